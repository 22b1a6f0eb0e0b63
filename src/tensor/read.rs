//! Reading elements back from the device.

use super::Tensor;
use crate::{
    backend::{Reading, cpu::Buffer},
    device::Device,
    dtype::{DType, Element},
    error::{Error, Result},
};
use std::task::{Context, Poll, Waker};

impl Tensor {
    /// The elements in row-major order, read back from the device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(votive::block_on(x.to_vec::<f32>())?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `T` is not this tensor's dtype, or reading fails.
    pub async fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.want_element::<T>("to_vec")?;
        let buffer = self.to_buffer().await?;
        Ok(buffer.as_slice::<T>()?.to_vec())
    }
    /// [`Tensor::to_vec`] without waiting, where memory is at hand: on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_vec`], and when the device can only be read asynchronously.
    pub fn to_vec_sync<T: Element>(&self) -> Result<Vec<T>> {
        self.want_element::<T>("to_vec_sync")?;
        Ok(self.to_buffer_sync()?.as_slice::<T>()?.to_vec())
    }
    /// The only element.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[5f32]], &Device::cpu())?;
    /// assert_eq!(votive::block_on(x.to_scalar::<f32>())?, 5.0);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not exactly one, or as [`Tensor::to_vec`].
    pub async fn to_scalar<T: Element>(&self) -> Result<T> {
        match self.to_vec::<T>().await?[..] {
            [value] => Ok(value),
            _ => Err(Error::shape("to_scalar", format!("{} is not one element", self.shape()))),
        }
    }
    /// [`Tensor::to_scalar`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[5f32]], &Device::cpu())?;
    /// assert_eq!(x.to_scalar_sync::<f32>()?, 5.0);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_scalar`], and when the device can only be read asynchronously.
    pub fn to_scalar_sync<T: Element>(&self) -> Result<T> {
        match self.to_vec_sync::<T>()?[..] {
            [value] => Ok(value),
            _ => Err(Error::shape("to_scalar_sync", format!("{} is not one element", self.shape()))),
        }
    }
    /// The only element of any plain dtype as f64: PyTorch's `item`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[5f32]], &Device::cpu())?;
    /// assert_eq!(votive::block_on(x.item())?, 5.0);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_scalar`].
    pub async fn item(&self) -> Result<f64> {
        self.detach().to_device(&Device::cpu()).await?.to_dtype(DType::F64)?.to_scalar().await
    }
    /// [`Tensor::item`] without waiting, on the CPU device.
    ///
    /// ```
    /// use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i32, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.sum(..)?.item_sync()?, 10.0);
    /// assert_eq!(x.to_vec2_sync::<i32>()?, [[1, 2], [3, 4]]);
    /// assert_eq!(x.unsqueeze(0)?.to_vec3_sync::<i32>()?, [[[1, 2], [3, 4]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_scalar_sync`].
    pub fn item_sync(&self) -> Result<f64> {
        let here = Self::from_buffer(self.to_buffer_sync()?, self.dtype(), self.shape(), &Device::cpu())?;
        here.to_dtype(DType::F64)?.to_scalar_sync()
    }
    /// The rows of a matrix.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(votive::block_on(x.to_vec2::<f32>())?, [[1.0, 2.0], [3.0, 4.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it is none, or as [`Tensor::to_vec`].
    pub async fn to_vec2<T: Element>(&self) -> Result<Vec<Vec<T>>> {
        let (_, columns) = self.dims2()?;
        Ok(rows(self.to_vec().await?, columns, self.dims()[0]))
    }
    /// [`Tensor::to_vec2`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.to_vec2_sync::<f32>()?, [[1.0, 2.0], [3.0, 4.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_vec2`].
    pub fn to_vec2_sync<T: Element>(&self) -> Result<Vec<Vec<T>>> {
        let (count, columns) = self.dims2()?;
        Ok(rows(self.to_vec_sync()?, columns, count))
    }
    /// The rows of the matrices of a tensor of three dimensions.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 2.0], [3.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(votive::block_on(x.to_vec3::<f32>())?, [[[1.0, 2.0], [3.0, 4.0]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it has not three dimensions, or as [`Tensor::to_vec`].
    pub async fn to_vec3<T: Element>(&self) -> Result<Vec<Vec<Vec<T>>>> {
        let (matrices, count, columns) = self.dims3()?;
        Ok(rows(rows(self.to_vec().await?, columns, matrices * count), count, matrices))
    }
    /// [`Tensor::to_vec3`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 2.0], [3.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(x.to_vec3_sync::<f32>()?, [[[1.0, 2.0], [3.0, 4.0]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_vec3`].
    pub fn to_vec3_sync<T: Element>(&self) -> Result<Vec<Vec<Vec<T>>>> {
        let (matrices, count, columns) = self.dims3()?;
        Ok(rows(rows(self.to_vec_sync()?, columns, matrices * count), count, matrices))
    }
    /// The elements' bytes in row-major order, of any dtype.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i32, 258], &Device::cpu())?;
    /// assert_eq!(votive::block_on(x.to_buffer())?.bytes(), [1, 0, 0, 0, 2, 1, 0, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When reading fails.
    pub async fn to_buffer(&self) -> Result<Buffer> {
        self.reading().await
    }
    /// Begins to read; the result is [`Tensor::to_buffer`]'s, and what is computed afterwards is not waited for.
    pub(crate) fn reading(&self) -> Reading {
        self.device().backend().read(self.view())
    }
    /// [`Tensor::to_buffer`] without waiting, on the CPU device.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i32, 258], &Device::cpu())?;
    /// assert_eq!(x.to_buffer_sync()?.bytes(), [1, 0, 0, 0, 2, 1, 0, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::to_buffer`], and when the device can only be read asynchronously.
    pub fn to_buffer_sync(&self) -> Result<Buffer> {
        let mut future = self.reading();
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                let message = format!("{} is read asynchronously; await to_vec instead", self.device());
                Err(Error::Device { op: "to_vec_sync", message })
            }
        }
    }
    /// This tensor on another device; itself if it is there already.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let there = votive::block_on(x.to_device(&Device::cpu()))?;
    /// assert_eq!(there.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When reading or allocating fails, or the tensor is tracked: gradients do not cross devices.
    pub async fn to_device(&self, device: &Device) -> Result<Tensor> {
        if self.device().same(device) {
            return Ok(self.clone());
        }
        if self.is_tracked() {
            let message = format!("no gradient flows from {device} to {}; detach() it first", self.device());
            return Err(Error::Device { op: "to_device", message });
        }
        Self::from_buffer(self.to_buffer().await?, self.dtype(), self.shape(), device)
    }
    fn want_element<T: Element>(&self, op: &'static str) -> Result<()> {
        if T::DTYPE == self.dtype() {
            return Ok(());
        }
        Err(Error::dtype(op, format!("tensor is {}, not {}; cast it with to_dtype", self.dtype(), T::DTYPE)))
    }
}

/// `count` groups of `size` values.
fn rows<T>(values: Vec<T>, size: usize, count: usize) -> Vec<Vec<T>> {
    let mut values = values.into_iter();
    (0..count).map(|_| values.by_ref().take(size).collect()).collect()
}
