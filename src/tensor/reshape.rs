//! Views and joins: nothing here copies, apart from joins and reshapes that no view can express.

use super::Tensor;
use crate::{
    autograd::ViewOp,
    error::{Error, Result},
    op::Op,
    shape::{HOLE, Shape},
};

#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// The same elements under another shape, one size of which may be [`HOLE`].
    ///
    /// ```
    /// # use votive::{Device, HOLE, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.reshape([4])?.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.reshape([HOLE, 1])?.dims(), [4, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = self.fill_hole(shape.into())?;
        let block = self.dtype().block_len();
        if !shape.dims().last().copied().unwrap_or(1).is_multiple_of(block) {
            let message = format!("{} as {shape}: rows are not whole blocks of {}", self.shape(), self.dtype());
            return Err(Error::shape("reshape", message));
        }
        if shape == *self.shape() {
            return Ok(self.clone());
        }
        match self.layout().reshape(&shape) {
            Some(layout) => Ok(self.view_as(ViewOp::Reshape, layout)),
            None => self.contiguous()?.reshape(shape),
        }
    }
    fn fill_hole(&self, shape: Shape) -> Result<Shape> {
        let fail = |why: &str| Error::shape("reshape", format!("{} as {shape}: {why}", self.shape()));
        let mut dims = shape.dims().to_vec();
        let holes: Vec<_> = (0..dims.len()).filter(|&i| dims[i] == HOLE).collect();
        if let &[hole] = &holes[..] {
            dims[hole] = 1;
            let rest = Shape::from(&dims[..]).checked_elements().unwrap_or(0);
            if rest == 0 || !self.elements().is_multiple_of(rest) {
                return Err(fail("no size fills the hole"));
            }
            dims[hole] = self.elements() / rest;
        } else if holes.len() > 1 {
            return Err(fail("more than one hole"));
        }
        let filled = Shape::from(dims);
        if filled.checked_elements() != Some(self.elements()) {
            return Err(fail(&format!("{} elements do not fill it", self.elements())));
        }
        Ok(filled)
    }
    /// Dimensions `start..=end` joined into one.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 3, 4], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.flatten(1, -1)?.dims(), [2, 12]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn flatten(&self, start: isize, end: isize) -> Result<Tensor> {
        let (start, end) = (self.shape().dim("flatten", start)?, self.shape().dim("flatten", end)?);
        if start > end {
            return Err(Error::argument("flatten", format!("dimension {start} comes after {end}")));
        }
        let mut dims = self.dims().to_vec();
        let joined = dims.drain(start..=end).product();
        dims.insert(start, joined);
        self.reshape(dims)
    }
    /// As one dimension.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// let flat = x.flatten_all()?;
    /// assert_eq!((flat.rank(), flat.to_vec_sync::<f32>()?), (1, vec![1.0, 2.0, 3.0, 4.0]));
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn flatten_all(&self) -> Result<Tensor> {
        self.reshape(self.elements())
    }
    /// Without dimension `dim`, which must have size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0]], &Device::cpu())?;
    /// assert_eq!(x.squeeze(0)?.dims(), [2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn squeeze(&self, dim: isize) -> Result<Tensor> {
        let at = self.shape().dim("squeeze", dim)?;
        let mut dims = self.dims().to_vec();
        if dims.remove(at) != 1 {
            return Err(Error::shape("squeeze", format!("dimension {at} of {} is not 1", self.shape())));
        }
        self.reshape(dims)
    }
    /// With a new dimension of size 1 at `dim` (-1: after the last).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// assert_eq!(x.unsqueeze(0)?.dims(), [1, 2]);
    /// assert_eq!(x.unsqueeze(-1)?.dims(), [2, 1]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn unsqueeze(&self, dim: isize) -> Result<Tensor> {
        let rank = self.rank() as isize;
        let at = if dim < 0 { dim + rank + 1 } else { dim };
        if !(0..=rank).contains(&at) {
            let message = format!("dimension {dim} is out of range for shape {}", self.shape());
            return Err(Error::argument("unsqueeze", message));
        }
        let mut dims = self.dims().to_vec();
        dims.insert(at as usize, 1);
        self.reshape(dims)
    }
    /// Two dimensions exchanged.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.transpose(0, 1)?.to_vec2_sync::<f32>()?, [[1.0, 3.0], [2.0, 4.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn transpose(&self, a: isize, b: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().dim("transpose", a)?, self.shape().dim("transpose", b)?);
        let mut order: Vec<_> = (0..self.rank()).collect();
        order.swap(a, b);
        self.ordered("transpose", &order)
    }
    /// Dimension `i` of the result is `order[i]` of this.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::zeros([2, 3, 4], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.permute([2, 0, 1])?.dims(), [4, 2, 3]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn permute(&self, order: impl AsRef<[usize]>) -> Result<Tensor> {
        self.ordered("permute", order.as_ref())
    }
    /// A matrix with rows and columns exchanged; a vector or scalar as it is.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.t()?.to_vec2_sync::<f32>()?, [[1.0, 3.0], [2.0, 4.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn t(&self) -> Result<Tensor> {
        match self.rank() {
            0 | 1 => Ok(self.clone()),
            2 => self.ordered("t", &[1, 0]),
            _ => Err(Error::shape("t", format!("{} has more than two dimensions", self.shape()))),
        }
    }
    fn ordered(&self, op: &'static str, order: &[usize]) -> Result<Tensor> {
        if self.dtype().is_quantized() && order.last().is_some_and(|&d| d + 1 != self.rank()) {
            let message = format!("{} is a block format; its rows stay the last dimension", self.dtype());
            return Err(Error::dtype(op, message));
        }
        Ok(self.view_as(ViewOp::Permute(order.to_vec()), self.layout().permute(order)?))
    }
    /// Repeated along dimensions of size 1 and new leading ones, without a copy.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// assert_eq!(x.broadcast_to([2, 2])?.to_vec2_sync::<f32>()?, [[1.0, 2.0], [1.0, 2.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        let shape = shape.into();
        if shape == *self.shape() {
            return Ok(self.clone());
        }
        if shape.checked_elements().is_none() {
            return Err(Error::shape("broadcast_to", format!("{shape} has more elements than can be counted")));
        }
        Ok(self.view_as(ViewOp::Broadcast, self.layout().broadcast_to(&shape)?))
    }
    /// PyTorch's `expand`: [`Tensor::broadcast_to`] where [`HOLE`] keeps a size.
    ///
    /// ```
    /// # use votive::{Device, HOLE, Tensor};
    /// let x = Tensor::new([[1f32], [2.0]], &Device::cpu())?;
    /// assert_eq!(x.expand([HOLE, 2])?.to_vec2_sync::<f32>()?, [[1.0, 1.0], [2.0, 2.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn expand(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        let mut dims = shape.into().dims().to_vec();
        let own = self.dims().iter().rev();
        for (size, &kept) in dims.iter_mut().rev().zip(own).filter(|(size, _)| **size == HOLE) {
            *size = kept;
        }
        self.broadcast_to(dims)
    }
    /// Elements `start..start + len` of dimension `dim`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([3f32, 1.0, 2.0], &Device::cpu())?;
    /// assert_eq!(x.narrow(0, 1, 2)?.to_vec_sync::<f32>()?, [1.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn narrow(&self, dim: isize, start: usize, len: usize) -> Result<Tensor> {
        let dim = self.shape().dim("narrow", dim)?;
        let block = self.dtype().block_len();
        if dim + 1 == self.rank() && !(start.is_multiple_of(block) && len.is_multiple_of(block)) {
            let message = format!("{start}..{start}+{len} cuts blocks of {}", self.dtype());
            return Err(Error::argument("narrow", message));
        }
        let layout = self.layout().narrow(dim, start, len)?;
        Ok(self.view_as(ViewOp::Narrow { dim, start }, layout))
    }
    /// Index `index` of dimension `dim`, which goes away.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.select(1, 0)?.to_vec_sync::<f32>()?, [1.0, 3.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn select(&self, dim: isize, index: usize) -> Result<Tensor> {
        self.narrow(dim, index, 1)?.squeeze(dim)
    }
    /// Joined along `dim`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0]], &Device::cpu())?;
    /// assert_eq!(Tensor::cat(&[&x, &x], 0)?.to_vec2_sync::<f32>()?, [[1.0, 2.0], [1.0, 2.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn cat(parts: &[&Tensor], dim: isize) -> Result<Tensor> {
        match parts {
            [] => Err(Error::argument("cat", "nothing to join")),
            [only] => only.shape().dim("cat", dim).map(|_| (*only).clone()),
            [first, ..] => Self::apply(Op::Cat { dim: first.shape().dim("cat", dim)? }, parts),
        }
    }
    /// Joined along a new dimension `dim`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// assert_eq!(Tensor::stack(&[&x, &x], 1)?.to_vec2_sync::<f32>()?, [[1.0, 1.0], [2.0, 2.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn stack(parts: &[&Tensor], dim: isize) -> Result<Tensor> {
        let parts = parts.iter().map(|t| t.unsqueeze(dim)).collect::<Result<Vec<_>>>()?;
        Self::cat(&parts.iter().collect::<Vec<_>>(), dim)
    }
    /// Each slice of `dim` repeated `repeats` times in place (key heads for grouped queries).
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// assert_eq!(x.repeat_interleave(2, 0)?.to_vec_sync::<f32>()?, [1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn repeat_interleave(&self, repeats: usize, dim: isize) -> Result<Tensor> {
        let at = self.shape().dim("repeat_interleave", dim)?;
        let mut dims = self.dims().to_vec();
        dims.insert(at + 1, repeats);
        let spread = self.unsqueeze(at as isize + 1)?.broadcast_to(dims)?;
        spread.flatten(at as isize, at as isize + 1)
    }
    /// The same elements laid out row by row without gaps. Operations take any layout: this is never needed, and only
    /// helps when one tensor with a scattered layout is read many times.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?.t()?;
    /// assert_eq!(x.contiguous()?.to_vec_sync::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// assert!(!x.layout().is_contiguous() && x.contiguous()?.layout().is_contiguous());
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn contiguous(&self) -> Result<Tensor> {
        if self.layout().is_contiguous() {
            return Ok(self.clone());
        }
        Self::apply(Op::Copy, &[self])
    }
}
