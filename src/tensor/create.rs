//! Making tensors.

use super::Tensor;
use crate::{
    backend::{Storage, cpu::Buffer},
    device::Device,
    dtype::{DType, Element},
    error::{Error, Result},
    layout::Layout,
    shape::Shape,
};

/// Bytes of a new tensor, checked.
fn bytes_of(op: &'static str, shape: &Shape, dtype: DType) -> Result<usize> {
    let last = shape.dims().last().copied().unwrap_or(1);
    shape
        .checked_elements()
        .filter(|_| last.is_multiple_of(dtype.block_len()))
        .and_then(|n| dtype.bytes_for(n))
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(|| Error::shape(op, format!("no {dtype} tensor has the shape {shape}")))
}

impl Tensor {
    /// From elements in row-major order.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0], [2, 2], &Device::cpu())?;
    /// assert_eq!(x.to_vec2_sync::<f32>()?, [[1.0, 2.0], [3.0, 4.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When their number is not that of the shape.
    pub fn from_slice<T: Element>(values: &[T], shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        let shape = shape.into();
        if shape.checked_elements() != Some(values.len()) {
            let message = format!("{} values do not fill the shape {shape}", values.len());
            return Err(Error::shape("from_slice", message));
        }
        Self::from_buffer(Buffer::from_slice(values)?, T::DTYPE, shape, device)
    }
    /// From nested arrays, slices or vectors: `Tensor::new([[1.0, 2.0], [3.0, 4.0]], &device)`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!((x.dims(), x.to_vec_sync::<f32>()?), (&[2, 2][..], vec![1.0, 2.0, 3.0, 4.0]));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When rows differ in length.
    pub fn new<N: Nested>(values: N, device: &Device) -> Result<Self> {
        let shape = values.shape();
        let mut flat = Vec::new();
        values.flatten_into(&shape, &mut flat)?;
        Self::from_slice(&flat, shape, device)
    }
    /// From raw bytes in row-major order, of any dtype, block formats too.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let bytes = Tensor::new([1f32, 2.0], &cpu)?.to_buffer_sync()?;
    /// let x = Tensor::from_buffer(bytes, DType::F32, [2, 1], &cpu)?;
    /// assert_eq!(x.to_vec2_sync::<f32>()?, [[1.0], [2.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the number of bytes is not that of the shape.
    pub fn from_buffer(bytes: Buffer, dtype: DType, shape: impl Into<Shape>, device: &Device) -> Result<Self> {
        let shape = shape.into();
        if bytes_of("from_buffer", &shape, dtype)? != bytes.len() {
            let message = format!("{} bytes do not make a {dtype} tensor of shape {shape}", bytes.len());
            return Err(Error::shape("from_buffer", message));
        }
        let storage = device.backend().upload(bytes, dtype, &shape)?;
        Ok(Self::from_parts(storage, Layout::contiguous(shape), dtype, device.clone()))
    }
    /// Over memory that holds all elements of the shape.
    pub(crate) fn from_storage(storage: Storage, shape: Shape, dtype: DType, device: &Device) -> Self {
        Self::from_parts(storage, Layout::contiguous(shape), dtype, device.clone())
    }
    /// All zero.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 2], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.to_vec2_sync::<f32>()?, [[0.0, 0.0], [0.0, 0.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        let shape = shape.into();
        let bytes = Buffer::zeroed(bytes_of("zeros", &shape, dtype)?)?;
        Self::from_buffer(bytes, dtype, shape, device)
    }
    /// All one.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::ones([2, 2], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.to_vec2_sync::<f32>()?, [[1.0, 1.0], [1.0, 1.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn ones(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        Self::full(1.0, shape, dtype, device)
    }
    /// One value everywhere, converted to the dtype as Rust's `as` does.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::full(2.5, [3], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.to_vec_sync::<f32>()?, [2.5, 2.5, 2.5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not enough memory, or the dtype is a block format.
    pub fn full(value: f64, shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        let shape = shape.into();
        bytes_of("full", &shape, dtype)?;
        Self::scalar(value, dtype, device)?.broadcast_to(shape)?.contiguous()
    }
    /// A zero-dimensional tensor of any plain dtype.
    fn scalar(value: f64, dtype: DType, device: &Device) -> Result<Self> {
        Self::from_slice(&[value], (), &Device::cpu())?.to_dtype(dtype)?.moved_to(device)
    }
    /// Values, in this tensor's dtype and on its device.
    pub(crate) fn values_like(&self, values: &[f64], shape: impl Into<Shape>) -> Result<Self> {
        Self::from_slice(values, shape, &Device::cpu())?.to_dtype(self.dtype())?.moved_to(self.device())
    }
    /// A tensor in main memory, moved: so values are made in f64, whatever the device has.
    pub(crate) fn moved_to(self, device: &Device) -> Result<Self> {
        if self.device().same(device) {
            return Ok(self);
        }
        Self::from_buffer(self.to_buffer_sync()?, self.dtype(), self.shape(), device)
    }
    /// A value of this tensor's dtype and device, to be broadcast against it.
    ///
    /// # Errors
    /// When the dtype is an integer's and the value is none, or does not fit: comparing with 2.5 as if it were 2 would
    /// be no help.
    pub(crate) fn scalar_like(&self, value: f64) -> Result<Self> {
        self.scalar_for("scalar", value)
    }
    /// [`Tensor::scalar_like`] as an argument of the operation that errors are to name.
    pub(super) fn scalar_for(&self, op: &'static str, value: f64) -> Result<Self> {
        let limits = match self.dtype() {
            DType::U8 => Some((0.0, 255.0)),
            DType::U32 => Some((0.0, f64::from(u32::MAX))),
            DType::I32 => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
            DType::I64 => Some((i64::MIN as f64, i64::MAX as f64)),
            _ => None,
        };
        if limits.is_some_and(|(low, high)| value.fract() != 0.0 || !(low..=high).contains(&value)) {
            let message = format!("{value} is no {}; cast the tensor with to_dtype", self.dtype());
            return Err(Error::dtype(op, message));
        }
        Self::scalar(value, self.dtype(), self.device())
    }
    /// Zeros in the shape, dtype and device of this tensor.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2], &Device::cpu())?;
    /// assert_eq!(x.zeros_like()?.to_vec_sync::<i64>()?, [0, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn zeros_like(&self) -> Result<Self> {
        Self::zeros(self.shape(), self.dtype(), self.device())
    }
    /// Ones in the shape, dtype and device of this tensor.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3i64, 2], &Device::cpu())?;
    /// assert_eq!(x.ones_like()?.to_vec_sync::<i64>()?, [1, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn ones_like(&self) -> Result<Self> {
        Self::ones(self.shape(), self.dtype(), self.device())
    }
    /// `start, start + 1, …` below `end`, as dtype.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::arange(1.0, 4.0, DType::I64, &Device::cpu())?;
    /// assert_eq!(x.to_vec_sync::<i64>()?, [1, 2, 3]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `end` is below `start` or either is not finite.
    pub fn arange(start: f64, end: f64, dtype: DType, device: &Device) -> Result<Self> {
        Self::arange_step(start, end, 1.0, dtype, device)
    }
    /// `start, start + step, …` before `end`, as dtype.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::arange_step(1.0, 0.0, -0.25, DType::F32, &Device::cpu())?;
    /// assert_eq!(x.to_vec_sync::<f32>()?, [1.0, 0.75, 0.5, 0.25]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `step` does not lead from `start` to `end`, or a number is not finite.
    pub fn arange_step(start: f64, end: f64, step: f64, dtype: DType, device: &Device) -> Result<Self> {
        let count = ((end - start) / step).ceil();
        if !(start.is_finite() && end.is_finite() && count >= 0.0 && count < isize::MAX as f64 / 8.0) {
            return Err(Error::argument("arange", format!("no steps of {step} lead from {start} to {end}")));
        }
        let n = count as usize;
        bytes_of("arange", &Shape::from(n), DType::F64)?;
        let mut bytes = Buffer::zeroed(n * 8)?;
        for (i, value) in bytes.as_slice_mut::<f64>()?.iter_mut().enumerate() {
            *value = start + i as f64 * step;
        }
        Self::from_buffer(bytes, DType::F64, n, &Device::cpu())?.to_dtype(dtype)?.moved_to(device)
    }
}

/// Numbers in nested arrays, slices or vectors, the argument of [`Tensor::new`].
pub trait Nested {
    /// The innermost number.
    type Item: Element;
    /// Sizes, taken from the first entry of each level.
    fn shape(&self) -> Shape;
    /// Appends all elements in row-major order, checking them against the shape.
    ///
    /// # Errors
    /// When rows differ in length.
    fn flatten_into(&self, shape: &Shape, out: &mut Vec<Self::Item>) -> Result<()>;
}

impl<T: Element> Nested for T {
    type Item = T;
    fn shape(&self) -> Shape {
        Shape::from(())
    }
    fn flatten_into(&self, _: &Shape, out: &mut Vec<T>) -> Result<()> {
        out.push(*self);
        Ok(())
    }
}

macro_rules! nested_list {
    ($([$($generics:tt)*] $list:ty),*) => { $(
        impl<$($generics)*> Nested for $list {
            type Item = N::Item;
            fn shape(&self) -> Shape {
                let mut dims = vec![self.len()];
                dims.extend(self.first().map(N::shape).unwrap_or_default().dims());
                dims.into()
            }
            fn flatten_into(&self, shape: &Shape, out: &mut Vec<N::Item>) -> Result<()> {
                let (len, rest) = match shape.dims() {
                    [len, rest @ ..] => (*len, Shape::from(rest)),
                    [] => (usize::MAX, Shape::from(())),
                };
                if self.len() != len {
                    return Err(Error::shape("new", format!("rows of {len} and {} elements", self.len())));
                }
                self.iter().try_for_each(|entry| entry.flatten_into(&rest, out))
            }
        }
    )* };
}
nested_list!([N: Nested, const K: usize] [N; K], [N: Nested, const K: usize] &[N; K], [N: Nested] &[N], [N: Nested] Vec<N>);
