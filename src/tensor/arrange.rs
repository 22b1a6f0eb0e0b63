//! Rearranging: repetitions, rolls, flips, steps, diagonals, joins.

use super::Tensor;
use crate::{
    autograd::ViewOp,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
};

/// The argument of [`Tensor::split`]: the size of every part (the last may be smaller), or a list of sizes.
pub trait SplitSizes {
    /// Sizes of the parts of a dimension of `size`.
    ///
    /// # Errors
    /// When a part is to have size 0 or the sizes do not add up.
    fn sizes(&self, size: usize) -> Result<Vec<usize>>;
}

impl SplitSizes for usize {
    fn sizes(&self, size: usize) -> Result<Vec<usize>> {
        if *self == 0 {
            return Err(Error::argument("split", "parts of size 0"));
        }
        Ok((0..size.max(1)).step_by(*self).map(|at| (*self).min(size - at)).collect())
    }
}
impl SplitSizes for &[usize] {
    fn sizes(&self, size: usize) -> Result<Vec<usize>> {
        if self.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) != Some(size) {
            return Err(Error::argument("split", format!("{self:?} do not add up to a dimension of {size}")));
        }
        Ok(self.to_vec())
    }
}
impl<const N: usize> SplitSizes for [usize; N] {
    fn sizes(&self, size: usize) -> Result<Vec<usize>> {
        self.as_slice().sizes(size)
    }
}
impl<const N: usize> SplitSizes for &[usize; N] {
    fn sizes(&self, size: usize) -> Result<Vec<usize>> {
        self.as_slice().sizes(size)
    }
}
impl SplitSizes for &Vec<usize> {
    fn sizes(&self, size: usize) -> Result<Vec<usize>> {
        self.as_slice().sizes(size)
    }
}

/// Rearranging. What can be a view is one.
///
/// ```
/// use votive::{DType, Device, Tensor};
/// let x = Tensor::arange(0.0, 6.0, DType::I64, &Device::cpu())?.reshape([2, 3])?;
/// let values = |t: votive::Result<Tensor>| t?.to_vec_sync::<i64>();
/// assert_eq!(values(x.repeat([1, 2]))?, [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
/// assert_eq!(values(x.roll(1, 1))?, [2, 0, 1, 5, 3, 4]);
/// assert_eq!(values(x.flip([0, 1]))?, [5, 4, 3, 2, 1, 0]);
/// assert_eq!(values(x.step(1, 2))?, [0, 2, 3, 5]);
/// assert_eq!(values(x.diagonal(1, 0, 1))?, [1, 5]);
/// assert_eq!(values(x.diagonal(0, 0, 1)?.diag(0))?, [0, 0, 0, 4]);
/// assert_eq!(x.unflatten(1, [3, 1])?.movedim(0, -1)?.dims(), [3, 1, 2]);
/// assert_eq!(values(Tensor::vstack(&[&x, &x.select(0, 0)?]))?, [0, 1, 2, 3, 4, 5, 0, 1, 2]);
/// assert_eq!(values(Ok(x.split(2, 1)?.remove(1)))?, [2, 5]);
/// assert_eq!(x.unbind(0)?.len(), 2);
/// assert_eq!(values(x.diff(1))?, [1, 1, 1, 1]);
/// assert_eq!(x.unsqueeze(0)?.unsqueeze(2)?.squeeze_all()?.dims(), [2, 3]);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    /// Parts of dimension `dim`: of one size each (the last may be smaller), or of the sizes listed, which must add up to it.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2, 3, 4, 5], &Device::cpu())?;
    /// assert_eq!(x.split(2, 0)?[2].to_vec_sync::<i64>()?, [5]);
    /// assert_eq!(x.split([1, 4], 0)?[1].to_vec_sync::<i64>()?, [2, 3, 4, 5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn split(&self, sizes: impl SplitSizes, dim: isize) -> Result<Vec<Tensor>> {
        let mut start = 0;
        let part = |len: usize| {
            start += len;
            self.narrow(dim, start - len, len)
        };
        sizes.sizes(self.dim(dim)?)?.into_iter().map(part).collect()
    }
    /// At most `chunks` parts of dimension `dim`, equal but for the last; as PyTorch's `chunk`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2, 3, 4, 5], &Device::cpu())?;
    /// assert_eq!(x.chunk(2, 0)?[1].to_vec_sync::<i64>()?, [4, 5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn chunk(&self, chunks: usize, dim: isize) -> Result<Vec<Tensor>> {
        if chunks == 0 {
            return Err(Error::argument("chunk", "0 chunks asked for"));
        }
        self.split(self.dim(dim)?.div_ceil(chunks).max(1), dim)
    }
    /// Without any of the dimensions of size 1.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1i64], [2]]], &Device::cpu())?;
    /// assert_eq!(x.dims(), [1, 2, 1]);
    /// assert_eq!(x.squeeze_all()?.dims(), [2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn squeeze_all(&self) -> Result<Tensor> {
        self.reshape(self.dims().iter().copied().filter(|&size| size != 1).collect::<Vec<_>>())
    }
    /// Each element of `dim` but the first, less the one before.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 4, 9], &Device::cpu())?;
    /// assert_eq!(x.diff(0)?.to_vec_sync::<i64>()?, [3, 5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn diff(&self, dim: isize) -> Result<Tensor> {
        let n = self.dim(dim)?;
        self.narrow(dim, n.min(1), n.saturating_sub(1))?.sub(&self.narrow(dim, 0, n.saturating_sub(1))?)
    }
    /// Every index of dimension `dim`, which goes away.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.unbind(1)?[0].to_vec_sync::<i64>()?, [1, 3]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn unbind(&self, dim: isize) -> Result<Vec<Tensor>> {
        (0..self.dim(dim)?).map(|i| self.select(dim, i)).collect()
    }
    /// The whole tensor repeated so many times along each dimension; more numbers than dimensions make leading ones.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2], &Device::cpu())?;
    /// assert_eq!(x.repeat([2, 2])?.to_vec2_sync::<i64>()?, [[1, 2, 1, 2], [1, 2, 1, 2]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn repeat(&self, repeats: impl Into<Shape>) -> Result<Tensor> {
        let repeats = repeats.into();
        let Some(new) = repeats.rank().checked_sub(self.rank()) else {
            let message = format!("{repeats} has fewer numbers than {} dimensions", self.shape());
            return Err(Error::argument("repeat", message));
        };
        let own: Vec<_> = std::iter::repeat_n(1, new).chain(self.dims().iter().copied()).collect();
        // Each size `d` as `[1, d]`, then `[r, d]`, then `r * d`.
        let (mut apart, mut spread, mut joined) = (Vec::new(), Vec::new(), Vec::new());
        for (&size, &times) in own.iter().zip(repeats.dims()) {
            apart.extend([1, size]);
            spread.extend([times, size]);
            let size = size.checked_mul(times);
            joined
                .push(size.ok_or_else(|| Error::shape("repeat", format!("{} by {repeats} overflows", self.shape())))?);
        }
        self.reshape(apart)?.broadcast_to(spread)?.reshape(joined)
    }
    /// [`Tensor::repeat`] where fewer numbers than dimensions are those of the last ones.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.tile(2)?.to_vec2_sync::<i64>()?, [[1, 2, 1, 2], [3, 4, 3, 4]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn tile(&self, repeats: impl Into<Shape>) -> Result<Tensor> {
        let repeats = repeats.into();
        let missing = self.rank().saturating_sub(repeats.rank());
        self.repeat(std::iter::repeat_n(1, missing).chain(repeats.dims().iter().copied()).collect::<Vec<_>>())
    }
    /// Elements moved by `shift` along `dim`; those that leave at the end come in at the beginning.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2, 3], &Device::cpu())?;
    /// assert_eq!(x.roll(1, 0)?.to_vec_sync::<i64>()?, [3, 1, 2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn roll(&self, shift: isize, dim: isize) -> Result<Tensor> {
        let size = self.dim(dim)?;
        if size == 0 {
            return Ok(self.clone());
        }
        let first = (size - shift.rem_euclid(size as isize) as usize) % size;
        Self::cat(&[&self.narrow(dim, first, size - first)?, &self.narrow(dim, 0, first)?], dim)
    }
    /// The order of elements reversed along dimensions.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.flip(1)?.to_vec2_sync::<i64>()?, [[2, 1], [4, 3]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn flip(&self, dims: impl super::Dims) -> Result<Tensor> {
        let mut flipped = self.clone();
        for dim in dims.indices("flip", self.shape())? {
            let order: Vec<i64> = (0..self.dims()[dim] as i64).rev().collect();
            let order = Self::from_slice(&order, order.len(), self.device())?;
            flipped = flipped.index_select(dim as isize, &order)?;
        }
        Ok(flipped)
    }
    /// Dimension `source` moved to the place `destination`, the others in their order.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2, 3], [4, 5, 6]], &Device::cpu())?;
    /// assert_eq!(x.movedim(0, 1)?.to_vec2_sync::<i64>()?, [[1, 4], [2, 5], [3, 6]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn movedim(&self, source: isize, destination: isize) -> Result<Tensor> {
        let (from, to) = (self.shape().dim("movedim", source)?, self.shape().dim("movedim", destination)?);
        let mut order: Vec<_> = (0..self.rank()).filter(|&d| d != from).collect();
        order.insert(to, from);
        self.permute(order)
    }
    /// Dimension `dim` as several, of these sizes, one of which may be [`crate::HOLE`].
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2, 3, 4], &Device::cpu())?;
    /// assert_eq!(x.unflatten(0, [2, 2])?.to_vec2_sync::<i64>()?, [[1, 2], [3, 4]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn unflatten(&self, dim: isize, sizes: impl Into<Shape>) -> Result<Tensor> {
        let at = self.shape().dim("unflatten", dim)?;
        let mut dims = self.dims().to_vec();
        dims.splice(at..=at, sizes.into().dims().iter().copied());
        self.reshape(dims)
    }
    /// [`Tensor::expand`] to the shape of another tensor.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([1i64, 2], &cpu)?;
    /// assert_eq!(x.expand_as(&Tensor::new([[0i64; 2]; 3], &cpu)?)?.to_vec2_sync::<i64>()?, [[1, 2], [1, 2], [1, 2]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn expand_as(&self, other: &Tensor) -> Result<Tensor> {
        self.broadcast_to(other.shape())
    }
    /// Tensors broadcast to each other, without a copy.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let (x, y) = (Tensor::new([[1i64], [2]], &cpu)?, Tensor::new([3i64, 4], &cpu)?);
    /// let both = Tensor::broadcast_tensors(&[&x, &y])?;
    /// assert_eq!(both[0].to_vec2_sync::<i64>()?, [[1, 1], [2, 2]]);
    /// assert_eq!(both[1].to_vec2_sync::<i64>()?, [[3, 4], [3, 4]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn broadcast_tensors(tensors: &[&Tensor]) -> Result<Vec<Tensor>> {
        let shape = tensors.iter().try_fold(Shape::from(()), |s, t| s.broadcast(t.shape(), "broadcast_tensors"))?;
        tensors.iter().map(|t| t.broadcast_to(&shape)).collect()
    }
    /// Every `step`th index of dimension `dim`, from the first, as a view.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2, 3, 4, 5], &Device::cpu())?;
    /// assert_eq!(x.step(0, 2)?.to_vec_sync::<i64>()?, [1, 3, 5]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn step(&self, dim: isize, step: usize) -> Result<Tensor> {
        let at = self.shape().dim("step", dim)?;
        if step == 0 {
            return Err(Error::argument("step", "a step of 0 leads nowhere"));
        }
        if step == 1 {
            return Ok(self.clone());
        }
        if self.dtype().is_quantized() && at + 1 == self.rank() {
            let message = format!("{} is a block format; its rows stay whole", self.dtype());
            return Err(Error::dtype("step", message));
        }
        let step = step.min(self.dims()[at].max(1));
        Ok(self.view_as(ViewOp::Step { dim: at, step }, self.layout().step(at, step)))
    }
    /// The diagonal of dimensions `dim1` and `dim2` that lies `offset` places right of the main one (or left, if negative),
    /// as a new last dimension.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.diagonal(0, 0, 1)?.to_vec_sync::<i64>()?, [1, 4]);
    /// assert_eq!(x.diagonal(1, 0, 1)?.to_vec_sync::<i64>()?, [2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn diagonal(&self, offset: isize, dim1: isize, dim2: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().dim("diagonal", dim1)?, self.shape().dim("diagonal", dim2)?);
        if a == b {
            return Err(Error::argument(
                "diagonal",
                format!("dimensions {dim1} and {dim2} of {} are one", self.shape()),
            ));
        }
        let order: Vec<_> = (0..self.rank()).filter(|&d| d != a && d != b).chain([a, b]).collect();
        let matrix = self.permute(order)?;
        let (rows, columns) = matrix.matrix_dims("diagonal")?;
        let (down, right) = (offset.min(0).unsigned_abs(), offset.max(0).unsigned_abs());
        // The square whose main diagonal this is; along its rows joined, an element follows each `n + 1` places on.
        let n = rows.saturating_sub(down).min(columns.saturating_sub(right));
        let square = matrix.narrow(-2, down.min(rows), n)?.narrow(-1, right.min(columns), n)?;
        if n == 0 {
            return square.select_empty();
        }
        square.flatten(-2, -1)?.step(-1, n + 1)
    }
    /// Without its last dimension, of two that are empty.
    fn select_empty(&self) -> Result<Tensor> {
        self.reshape(&self.dims()[..self.rank() - 1])
    }
    /// Of a vector the matrix with it on a diagonal, of a matrix that diagonal: the one `offset` places right of the main.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1i64, 2], &Device::cpu())?;
    /// assert_eq!(x.diag(0)?.to_vec2_sync::<i64>()?, [[1, 0], [0, 2]]);
    /// assert_eq!(x.diag(0)?.diag(0)?.to_vec_sync::<i64>()?, [1, 2]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn diag(&self, offset: isize) -> Result<Tensor> {
        match self.rank() {
            1 => self.diag_embed(offset),
            2 => self.diagonal(offset, 0, 1),
            _ => Err(Error::shape("diag", format!("{} is neither vector nor matrix", self.shape()))),
        }
    }
    /// Matrices with the vectors of the last dimension on the diagonal that is `offset` places right of the main one.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.diag_embed(0)?.to_vec3_sync::<i64>()?, [[[1, 0], [0, 2]], [[3, 0], [0, 4]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn diag_embed(&self, offset: isize) -> Result<Tensor> {
        let Some(&len) = self.dims().last() else {
            return Err(Error::shape("diag_embed", "a scalar is no vector"));
        };
        let overflow = || Error::argument("diag_embed", format!("no matrix has a diagonal {offset} places off"));
        let n = len.checked_add(offset.unsigned_abs()).ok_or_else(overflow)?;
        let number = |n: usize| Self::arange(0.0, n as f64, DType::I64, self.device());
        // Down the rows for offsets to the right, so that each row holds its own element; to the left along the columns.
        let (mut shape, side) = (self.dims().to_vec(), if offset < 0 { -2 } else { -1 });
        *shape.last_mut().unwrap_or(&mut 0) = n - len;
        let padded = Self::cat(&[self, &Self::zeros(shape, self.dtype(), self.device())?], -1)?;
        let place = number(n)?.unsqueeze(1)?.add_scalar(offset as f64)?.eq(&number(n)?)?;
        place.where_cond(padded.unsqueeze(side)?, 0.0)
    }
    /// Joined along the columns: dimension 1, or the only one of vectors.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let (x, y) = (Tensor::new([[1i64], [2]], &cpu)?, Tensor::new([[3i64], [4]], &cpu)?);
    /// assert_eq!(Tensor::hstack(&[&x, &y])?.to_vec2_sync::<i64>()?, [[1, 3], [2, 4]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn hstack(parts: &[&Tensor]) -> Result<Tensor> {
        let vectors = parts.iter().all(|t| t.rank() <= 1);
        let at_least_1 = |t: &&Tensor| if t.rank() == 0 { t.reshape(1) } else { Ok((*t).clone()) };
        let parts = parts.iter().map(at_least_1).collect::<Result<Vec<_>>>()?;
        Self::cat(&parts.iter().collect::<Vec<_>>(), if vectors { 0 } else { 1 })
    }
    /// Joined along the rows: dimension 0, vectors being rows.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let (x, y) = (Tensor::new([1i64, 2], &cpu)?, Tensor::new([3i64, 4], &cpu)?);
    /// assert_eq!(Tensor::vstack(&[&x, &y])?.to_vec2_sync::<i64>()?, [[1, 2], [3, 4]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn vstack(parts: &[&Tensor]) -> Result<Tensor> {
        let rows = |t: &&Tensor| if t.rank() < 2 { t.reshape([1, t.elements()]) } else { Ok((*t).clone()) };
        let parts = parts.iter().map(rows).collect::<Result<Vec<_>>>()?;
        Self::cat(&parts.iter().collect::<Vec<_>>(), 0)
    }
}
