//! The tensor a user writes with: immutable, cheap to clone, strided over shared storage.

mod activation;
mod arrange;
mod cast;
mod conv;
mod create;
mod display;
mod einsum;
mod elementwise;
mod fused;
mod index;
mod linalg;
mod logical;
mod matmul;
mod norm;
mod operators;
mod pad;
mod patterns;
mod pool;
mod random;
mod read;
mod reduce;
mod reshape;
mod resize;
mod search;
mod select;
mod sort;
mod spectral;
mod statistics;
#[cfg(test)]
mod tests;

pub use arrange::SplitSizes;
pub use conv::{ConvOptions, ConvTransposeOptions, Padding};
pub use create::Nested;
pub use fused::AttentionOptions;
pub use operators::{Operand, Value};
pub use pad::{PadMode, WindowOptions};
pub use patterns::Indexing;
pub use pool::{AvgPoolOptions, MaxPoolOptions};
pub use random::{Generator, manual_seed};
pub use reduce::Dims;
pub use resize::{InterpolateSize, Interpolation};
pub use select::{Ellipsis, Index, Indices, NewAxis, step};
pub use spectral::StftOptions;

use crate::{
    autograd::{self, MadeBy, Node, ViewOp},
    backend::{Storage, View},
    device::Device,
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    op::Op,
    shape::Shape,
};
use std::sync::Arc;

/// An n-dimensional array on a device. Operations return new tensors; views share memory and never copy.
///
/// ```
/// use votive::{Device, Tensor};
/// let a = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
/// let b = (a.matmul(&a.t()?)? + 1.0)?;
/// assert_eq!(b.to_vec_sync::<f32>()?, [6.0, 12.0, 12.0, 26.0]);
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    storage: Storage,
    layout: Layout,
    dtype: DType,
    device: Device,
    /// Its place in the autograd graph, when it is tracked.
    node: Option<Arc<Node>>,
}

impl Tensor {
    pub(crate) fn from_parts(storage: Storage, layout: Layout, dtype: DType, device: Device) -> Self {
        Self(Arc::new(Inner { storage, layout, dtype, device, node: None }))
    }
    /// Sizes.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 3], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.shape().to_string(), "[2, 3]");
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn shape(&self) -> &Shape {
        self.0.layout.shape()
    }
    /// Sizes as a slice.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 3], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.dims(), [2, 3]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn dims(&self) -> &[usize] {
        self.0.layout.dims()
    }
    /// Element type.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// assert_eq!(Tensor::new([1u8, 2], &Device::cpu())?.dtype(), DType::U8);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }
    /// Where it lives.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// assert_eq!(Tensor::new([1u8, 2], &Device::cpu())?.device().to_string(), "cpu");
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn device(&self) -> &Device {
        &self.0.device
    }
    /// The view over its memory.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 3], DType::F32, &Device::cpu())?;
    /// assert_eq!((x.layout().strides(), x.t()?.layout().strides()), (&[3, 1][..], &[1, 3][..]));
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn layout(&self) -> &Layout {
        &self.0.layout
    }
    /// Number of dimensions; 0 for a scalar.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 3], DType::F32, &Device::cpu())?;
    /// assert_eq!((x.rank(), x.sum(..)?.rank()), (2, 0));
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn rank(&self) -> usize {
        self.0.layout.shape().rank()
    }
    /// Number of elements.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// assert_eq!(Tensor::zeros([2, 3], DType::F32, &Device::cpu())?.elements(), 6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn elements(&self) -> usize {
        self.0.layout.shape().elements()
    }
    /// The size of one dimension; negative counts from the end.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 3], DType::F32, &Device::cpu())?;
    /// assert_eq!((x.dim(0)?, x.dim(-1)?), (2, 3));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no such dimension.
    pub fn dim(&self, dim: isize) -> Result<usize> {
        Ok(self.dims()[self.shape().dim("dim", dim)?])
    }
    /// The only size of a vector.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// assert_eq!(Tensor::zeros([2], DType::F32, &Device::cpu())?.dims1()?, 2);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it has not one dimension.
    pub fn dims1(&self) -> Result<usize> {
        let [a] = self.exact_dims()?;
        Ok(a)
    }
    /// The sizes of a matrix.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// assert_eq!(Tensor::zeros([2, 3], DType::F32, &Device::cpu())?.dims2()?, (2, 3));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it has not two dimensions.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        let [a, b] = self.exact_dims()?;
        Ok((a, b))
    }
    /// The sizes of a tensor of three dimensions.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// assert_eq!(Tensor::zeros([2, 3, 4], DType::F32, &Device::cpu())?.dims3()?, (2, 3, 4));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it has not three dimensions.
    pub fn dims3(&self) -> Result<(usize, usize, usize)> {
        let [a, b, c] = self.exact_dims()?;
        Ok((a, b, c))
    }
    /// The sizes of a tensor of four dimensions.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// assert_eq!(Tensor::zeros([2, 3, 4, 5], DType::F32, &Device::cpu())?.dims4()?, (2, 3, 4, 5));
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it has not four dimensions.
    pub fn dims4(&self) -> Result<(usize, usize, usize, usize)> {
        let [a, b, c, d] = self.exact_dims()?;
        Ok((a, b, c, d))
    }
    fn exact_dims<const N: usize>(&self) -> Result<[usize; N]> {
        let fail = |_| Error::shape("dims", format!("{} does not have {N} dimensions", self.shape()));
        self.dims().try_into().map_err(fail)
    }
    /// The same memory seen through another layout; `view` says how, for the gradient.
    fn view_as(&self, view: ViewOp, layout: Layout) -> Tensor {
        let out = Self::from_parts(self.0.storage.clone(), layout, self.0.dtype, self.0.device.clone());
        out.recorded(|| MadeBy::View(view), &[self])
    }
    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.0.node.as_ref()
    }
    /// The same memory at another place of the graph.
    pub(crate) fn with_node(&self, node: Arc<Node>) -> Tensor {
        Self(Arc::new(Inner { node: Some(node), ..(*self.0).clone() }))
    }
    pub(crate) fn without_node(&self) -> Tensor {
        Self(Arc::new(Inner { node: None, ..(*self.0).clone() }))
    }
    /// The node, if this is the last handle of the tensor.
    pub(crate) fn into_sole_node(self) -> Option<Arc<Node>> {
        Arc::into_inner(self.0)?.node
    }
    /// This fresh result, remembering how it was made when one of `inputs` is tracked.
    fn recorded(self, made_by: impl FnOnce() -> MadeBy, inputs: &[&Tensor]) -> Tensor {
        if !self.0.dtype.is_float() || !inputs.iter().any(|x| x.is_tracked()) || !autograd::is_recording() {
            return self;
        }
        let inputs = inputs.iter().map(|&x| x.clone()).collect();
        self.with_node(Node::step(made_by(), inputs))
    }
    /// Where its memory is: equal for tensors that share it.
    #[cfg(test)]
    fn storage_address(&self) -> usize {
        Arc::as_ptr(&self.0.storage).addr()
    }
    pub(crate) fn view(&self) -> View<'_> {
        View { storage: &self.0.storage, layout: &self.0.layout, dtype: self.0.dtype }
    }
    /// Runs an operation: infers, executes or decomposes, and records for autograd.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # use votive::op::{Op, Unary};
    /// let x = Tensor::new([4f32, 9.0], &Device::cpu())?;
    /// assert_eq!(Tensor::apply(Op::Unary(Unary::Sqrt), &[&x])?.to_vec_sync::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the inputs do not fit the operation, live on different devices, or running it fails.
    pub fn apply(op: Op, inputs: &[&Tensor]) -> Result<Tensor> {
        let metas: Vec<_> = inputs.iter().map(|t| (t.layout(), t.dtype())).collect();
        let meta = op.infer(&metas)?;
        let Some(first) = inputs.first() else {
            return Err(Error::argument(op.name(), "no inputs"));
        };
        let device = first.device();
        if let Some(other) = inputs.iter().find(|t| !t.device().same(device)) {
            let message = format!("operands on {device} and {}; move one with to_device", other.device());
            return Err(Error::Device { op: op.name(), message });
        }
        let views: Vec<_> = inputs.iter().map(|t| t.view()).collect();
        if let Some(storage) = device.backend().execute(&op, &views, &meta)? {
            let out = Self::from_parts(storage, Layout::contiguous(meta.shape), meta.dtype, device.clone());
            return Ok(out.recorded(|| MadeBy::Op(op), inputs));
        }
        let no_kernel = || Error::Device { op: op.name(), message: format!("{device} has no kernel for it") };
        // Recorded as one operation: its gradient rule may hold less than those of its parts.
        let out = autograd::no_grad(|| op.decompose(inputs)).unwrap_or_else(|| Err(no_kernel()))?;
        if (out.shape(), out.dtype()) != (&meta.shape, meta.dtype) {
            let (found, wanted) =
                (format!("{} {}", out.shape(), out.dtype()), format!("{} {}", meta.shape, meta.dtype));
            return Err(Error::shape(op.name(), format!("its decomposition gave {found} instead of {wanted}")));
        }
        Ok(out.recorded(|| MadeBy::Op(op), inputs))
    }
}
