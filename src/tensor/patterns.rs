//! Tensors made by a rule: even steps, identities, triangles, grids, one-hot codes.

use super::Tensor;
use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    shape::Shape,
};

/// How [`Tensor::meshgrid`] orders dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// Matrix order: dimension `i` of the results follows vector `i`.
    Ij,
    /// As on paper: the first two dimensions exchanged.
    Xy,
}

/// Tensors made by a rule.
///
/// ```
/// use votive::{DType, Device, Tensor, tensor::Indexing};
/// let cpu = Device::cpu();
/// assert_eq!(Tensor::linspace(0.0, 1.0, 5, DType::F32, &cpu)?.to_vec_sync::<f32>()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
/// assert_eq!(Tensor::eye(2, DType::I64, &cpu)?.to_vec_sync::<i64>()?, [1, 0, 0, 1]);
/// let x = Tensor::arange(1.0, 7.0, DType::F32, &cpu)?.reshape([2, 3])?;
/// assert_eq!(x.triu(1)?.to_vec_sync::<f32>()?, [0.0, 2.0, 3.0, 0.0, 0.0, 6.0]);
/// assert_eq!(Tensor::tril_mask(2, 3, 0, &cpu)?.to_vec_sync::<u8>()?, [1, 0, 0, 1, 1, 0]);
/// let grid = Tensor::meshgrid(&[&Tensor::new([1i64, 2], &cpu)?, &Tensor::new([5i64, 6], &cpu)?], Indexing::Ij)?;
/// assert_eq!(grid[0].to_vec_sync::<i64>()?, [1, 1, 2, 2]);
/// assert_eq!(Tensor::new([2u32, 0], &cpu)?.one_hot(3)?.to_vec_sync::<i64>()?, [0, 0, 1, 1, 0, 0]);
/// assert_eq!(Tensor::new([2u32, 0, 2], &cpu)?.bincount(4)?.to_vec_sync::<i64>()?, [1, 0, 2, 0]);
/// assert_eq!(Tensor::logspace(0.0, 2.0, 3, 2.0, DType::F32, &cpu)?.to_vec_sync::<f32>()?, [1.0, 2.0, 4.0]);
/// # Ok::<(), votive::Error>(())
/// ```
impl Tensor {
    /// For results that are written over: PyTorch's `empty`, but zero, since no memory is handed out as it was found.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::empty([2], DType::F32, &Device::cpu())?;
    /// assert_eq!(x.to_vec_sync::<f32>()?, [0.0, 0.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn empty(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Self> {
        Self::zeros(shape, dtype, device)
    }
    /// `value` in the shape, dtype and device of this tensor.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([1f32, 2.0], &Device::cpu())?;
    /// assert_eq!(x.full_like(7.0)?.to_vec_sync::<f32>()?, [7.0, 7.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::full`].
    pub fn full_like(&self, value: f64) -> Result<Self> {
        Self::full(value, self.shape(), self.dtype(), self.device())
    }
    /// `steps` numbers from `start` to `end`, both included, at equal distances.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::linspace(0.0, 1.0, 5, DType::F32, &Device::cpu())?;
    /// assert_eq!(x.to_vec_sync::<f32>()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a number is not finite, or there is not enough memory.
    pub fn linspace(start: f64, end: f64, steps: usize, dtype: DType, device: &Device) -> Result<Self> {
        if !(start.is_finite() && end.is_finite()) {
            return Err(Error::argument("linspace", format!("no steps lead from {start} to {end}")));
        }
        let count = Self::arange(0.0, steps as f64, DType::F64, &Device::cpu())?;
        if steps < 2 {
            return count.add_scalar(start)?.to_dtype(dtype)?.moved_to(device);
        }
        // From both ends, so that both are exact.
        let step = (end - start) / (steps - 1) as f64;
        let (first, last) = (count.affine(step, start)?, count.sub_scalar((steps - 1) as f64)?.affine(step, end)?);
        let first_half = count.lt_scalar((steps / 2) as f64)?;
        first_half.where_cond(&first, &last)?.to_dtype(dtype)?.moved_to(device)
    }
    /// `base` to the power of `steps` numbers from `start` to `end` at equal distances.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::logspace(0.0, 3.0, 4, 2.0, DType::F32, &Device::cpu())?;
    /// assert_eq!(x.to_vec_sync::<f32>()?, [1.0, 2.0, 4.0, 8.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::linspace`].
    pub fn logspace(start: f64, end: f64, steps: usize, base: f64, dtype: DType, device: &Device) -> Result<Self> {
        let exponents = Self::linspace(start, end, steps, DType::F64, &Device::cpu())?;
        exponents.mul_scalar(base.ln())?.exp()?.to_dtype(dtype)?.moved_to(device)
    }
    /// The identity matrix.
    ///
    /// ```
    /// # use votive::{DType, Device, Tensor};
    /// let x = Tensor::eye(2, DType::I64, &Device::cpu())?;
    /// assert_eq!(x.to_vec2_sync::<i64>()?, [[1, 0], [0, 1]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn eye(n: usize, dtype: DType, device: &Device) -> Result<Self> {
        diagonals(n, n, device, |rows, columns| columns.eq(rows))?.to_dtype(dtype)
    }
    /// A u8 mask of `rows` by `columns`: 1 on and below the diagonal that is `diagonal` places right of the main one.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let mask = Tensor::tril_mask(2, 3, 0, &Device::cpu())?;
    /// assert_eq!(mask.to_vec2_sync::<u8>()?, [[1, 0, 0], [1, 1, 0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn tril_mask(rows: usize, columns: usize, diagonal: isize, device: &Device) -> Result<Self> {
        let offset = offset_within(diagonal, rows, columns);
        diagonals(rows, columns, device, |r, c| c.le(&r.add_scalar(offset)?))
    }
    /// A u8 mask of `rows` by `columns`: 1 on and above the diagonal that is `diagonal` places right of the main one.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let mask = Tensor::triu_mask(2, 3, 1, &Device::cpu())?;
    /// assert_eq!(mask.to_vec2_sync::<u8>()?, [[0, 1, 1], [0, 0, 1]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn triu_mask(rows: usize, columns: usize, diagonal: isize, device: &Device) -> Result<Self> {
        let offset = offset_within(diagonal, rows, columns);
        diagonals(rows, columns, device, |r, c| c.ge(&r.add_scalar(offset)?))
    }
    /// The lower triangle of each matrix (the last two dimensions), zeros above.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.tril(0)?.to_vec2_sync::<i64>()?, [[1, 0], [3, 4]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there are fewer than two dimensions.
    pub fn tril(&self, diagonal: isize) -> Result<Self> {
        let (rows, columns) = self.matrix_dims("tril")?;
        Self::tril_mask(rows, columns, diagonal, self.device())?.where_cond(self, 0.0)
    }
    /// The upper triangle of each matrix (the last two dimensions), zeros below.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1i64, 2], [3, 4]], &Device::cpu())?;
    /// assert_eq!(x.triu(0)?.to_vec2_sync::<i64>()?, [[1, 2], [0, 4]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there are fewer than two dimensions.
    pub fn triu(&self, diagonal: isize) -> Result<Self> {
        let (rows, columns) = self.matrix_dims("triu")?;
        Self::triu_mask(rows, columns, diagonal, self.device())?.where_cond(self, 0.0)
    }
    /// The sizes of the last two dimensions.
    pub(super) fn matrix_dims(&self, op: &'static str) -> Result<(usize, usize)> {
        match self.dims() {
            [.., rows, columns] => Ok((*rows, *columns)),
            _ => Err(Error::shape(op, format!("{} is no matrix", self.shape()))),
        }
    }
    /// Vectors as grids: result `i` holds vector `i` along its dimension and repeats it along the others, without a copy.
    ///
    /// ```
    /// # use votive::{Device, Tensor, tensor::Indexing};
    /// # let cpu = Device::cpu();
    /// let (x, y) = (Tensor::new([1i64, 2], &cpu)?, Tensor::new([5i64, 6], &cpu)?);
    /// let grid = Tensor::meshgrid(&[&x, &y], Indexing::Ij)?;
    /// assert_eq!(grid[0].to_vec2_sync::<i64>()?, [[1, 1], [2, 2]]);
    /// assert_eq!(grid[1].to_vec2_sync::<i64>()?, [[5, 6], [5, 6]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a tensor has more than one dimension.
    pub fn meshgrid(vectors: &[&Tensor], indexing: Indexing) -> Result<Vec<Tensor>> {
        if let Some(matrix) = vectors.iter().find(|v| v.rank() > 1) {
            return Err(Error::shape("meshgrid", format!("{} is no vector", matrix.shape())));
        }
        let sizes: Vec<_> = vectors.iter().map(|v| v.elements()).collect();
        let grid = |(i, vector): (usize, &&Tensor)| {
            let mut along = vec![1; sizes.len()];
            along[i] = sizes[i];
            let grid = vector.reshape(along)?.broadcast_to(&sizes[..])?;
            if indexing == Indexing::Xy && sizes.len() > 1 { grid.transpose(0, 1) } else { Ok(grid) }
        };
        vectors.iter().enumerate().map(grid).collect()
    }
    /// How often each of `0..classes` occurs among these integers, as i64.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([2u32, 0, 2], &Device::cpu())?;
    /// assert_eq!(x.bincount(4)?.to_vec_sync::<i64>()?, [1, 0, 2, 0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When this is not an integer tensor, or an integer is outside `0..classes`.
    pub fn bincount(&self, classes: usize) -> Result<Self> {
        let ids = self.flatten_all()?;
        let ones = Self::ones(ids.shape(), DType::I64, self.device())?;
        Self::zeros(classes, DType::I64, self.device())?.scatter_add(0, &ids, &ones)
    }
    /// A new last dimension of `classes` i64: 1 at the place that each integer names, 0 elsewhere.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([2u32, 0], &Device::cpu())?;
    /// assert_eq!(x.one_hot(3)?.to_vec2_sync::<i64>()?, [[0, 0, 1], [1, 0, 0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When this is not an integer tensor, or an integer is outside `0..classes`.
    pub fn one_hot(&self, classes: usize) -> Result<Self> {
        let zeros = Self::zeros([self.dims(), &[classes]].concat(), DType::I64, self.device())?;
        zeros.scatter(-1, &self.unsqueeze(-1)?, 1.0)
    }
}

/// A diagonal's offset, no further off than the matrix reaches: so that row numbers do not overflow.
fn offset_within(diagonal: isize, rows: usize, columns: usize) -> f64 {
    (diagonal as f64).clamp(-(rows as f64) - 1.0, columns as f64 + 1.0)
}

/// Rows and columns compared, by their i64 numbers.
fn diagonals(
    rows: usize,
    columns: usize,
    device: &Device,
    compare: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let number = |n: usize| Tensor::arange(0.0, n as f64, DType::I64, device);
    compare(&number(rows)?.unsqueeze(1)?, &number(columns)?)
}
