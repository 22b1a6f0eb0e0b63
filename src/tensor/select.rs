//! `x.i((.., 1..3, &ids))`: PyTorch's square brackets.

use super::Tensor;
use crate::{
    dtype::DType,
    error::{Error, Result},
};
use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// What stands at one place between the brackets: see [`Tensor::i`].
#[derive(Clone, Debug)]
pub enum Index {
    /// One index of a dimension, which goes away; negative counts from the end.
    At(isize),
    /// A range of a dimension; negative ends count from the end, and ends outside are moved to it.
    Range {
        /// First index, or the dimension's beginning.
        start: Option<isize>,
        /// Index after the last, or the dimension's end.
        end: Option<isize>,
        /// Distance of the indices taken.
        step: usize,
    },
    /// As many whole dimensions as the other places leave.
    Ellipsis,
    /// A new dimension of size 1.
    NewAxis,
    /// Indices of a dimension; as u8, a mask.
    Tensor(Tensor),
}

/// In [`Tensor::i`]: as many whole dimensions as the other places leave (PyTorch's `...`).
#[derive(Clone, Copy, Debug)]
pub struct Ellipsis;

/// In [`Tensor::i`]: a new dimension of size 1 (PyTorch's `None`).
#[derive(Clone, Copy, Debug)]
pub struct NewAxis;

/// In [`Tensor::i`]: every `step`th index of a range, PyTorch's `start:end:step`.
///
/// ```
/// # use votive::{Device, Tensor, step};
/// let x = Tensor::new([0f32, 1.0, 2.0, 3.0, 4.0], &Device::cpu())?;
/// assert_eq!(x.i(step(.., 2))?.to_vec_sync::<f32>()?, [0.0, 2.0, 4.0]);
/// assert_eq!(x.i(step(1..4, 2))?.to_vec_sync::<f32>()?, [1.0, 3.0]);
/// # Ok::<(), votive::Error>(())
/// ```
pub fn step(range: impl Into<Index>, step: usize) -> Index {
    match range.into() {
        Index::Range { start, end, .. } => Index::Range { start, end, step },
        other => other,
    }
}

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Self {
        Self::Range { start: None, end: None, step: 1 }
    }
}
impl From<Ellipsis> for Index {
    fn from(_: Ellipsis) -> Self {
        Self::Ellipsis
    }
}
impl From<NewAxis> for Index {
    fn from(_: NewAxis) -> Self {
        Self::NewAxis
    }
}
impl From<&Tensor> for Index {
    fn from(ids: &Tensor) -> Self {
        Self::Tensor(ids.clone())
    }
}
impl From<Tensor> for Index {
    fn from(ids: Tensor) -> Self {
        Self::Tensor(ids)
    }
}

/// A Rust range as one of [`Index`].
fn range<T: Copy + TryInto<isize>>(range: &impl RangeBounds<T>) -> Index {
    // A number that no isize holds is beyond every end.
    let number = |v: T| v.try_into().unwrap_or(isize::MAX);
    let start = match range.start_bound() {
        Bound::Included(&v) => Some(number(v)),
        Bound::Excluded(&v) => Some(number(v).saturating_add(1)),
        Bound::Unbounded => None,
    };
    let end = match range.end_bound() {
        // `..=-1` ends with the last.
        Bound::Included(&v) => Some(number(v).saturating_add(1)).filter(|&end| end != 0 || number(v) != -1),
        Bound::Excluded(&v) => Some(number(v)),
        Bound::Unbounded => None,
    };
    Index::Range { start, end, step: 1 }
}

macro_rules! integers {
    ($($t:ty),*) => { $(
        impl From<$t> for Index {
            fn from(at: $t) -> Self {
                // A number that no isize holds is outside every dimension.
                Self::At(at.try_into().unwrap_or(isize::MAX))
            }
        }
        integers!(@ $t: Range<$t>, RangeFrom<$t>, RangeTo<$t>, RangeInclusive<$t>, RangeToInclusive<$t>);
    )* };
    (@ $t:ty: $($range:ty),*) => { $(
        impl From<$range> for Index {
            fn from(bounds: $range) -> Self {
                range::<$t>(&bounds)
            }
        }
    )* };
}
integers!(i32, isize, usize, i64, u32);

/// What stands between the brackets: one thing, or a tuple of up to six.
pub trait Indices {
    /// Its parts.
    fn parts(self) -> Vec<Index>;
}
impl<T: Into<Index>> Indices for T {
    fn parts(self) -> Vec<Index> {
        vec![self.into()]
    }
}
impl Indices for Vec<Index> {
    fn parts(self) -> Vec<Index> {
        self
    }
}
macro_rules! tuples {
    ($(($($t:ident $i:tt),+))*) => { $(
        impl<$($t: Into<Index>),+> Indices for ($($t,)+) {
            fn parts(self) -> Vec<Index> {
                vec![$(self.$i.into()),+]
            }
        }
    )* };
}
tuples! {
    (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5)
}

impl Tensor {
    /// PyTorch's square brackets: integers, ranges, [`step`], `..` (a whole dimension), [`Ellipsis`], [`NewAxis`], index
    /// tensors and u8 masks, one for each dimension from the first on. Negative integers count from the end, in index
    /// tensors too. Several index tensors broadcast to each other, and their dimensions stand where the first was, or in
    /// front when something stands between them. Everything but index tensors gives a view.
    ///
    /// ```
    /// use votive::{DType, Device, Ellipsis, NewAxis, Tensor, step};
    /// let x = Tensor::arange(0.0, 24.0, DType::I64, &Device::cpu())?.reshape([2, 3, 4])?;
    /// let values = |t: votive::Result<Tensor>| t?.to_vec_sync::<i64>();
    /// assert_eq!(values(x.i((1, 2, -1)))?, [23]);
    /// assert_eq!(values(x.i((0, .., 1..3)))?, [1, 2, 5, 6, 9, 10]);
    /// assert_eq!(values(x.i((Ellipsis, step(.., 3))))?[..4], [0, 3, 4, 7]);
    /// assert_eq!(x.i((NewAxis, 1, ..-1))?.dims(), [1, 2, 4]);
    /// let ids = Tensor::new([2i64, -3], &Device::cpu())?;
    /// assert_eq!(values(x.i((1, &ids, 0)))?, [20, 12]);
    /// assert_eq!(values(x.i((&ids.clamp(0.0, 1.0)?, &ids, 0)))?, [20, 0]);
    /// assert_eq!(values(x.i(&x.gt_scalar(21.0)?))?, [22, 23]);
    /// assert_eq!(x.i(2).unwrap_err().to_string(), "i: index 2 is outside dimension 0 of [2, 3, 4]");
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there are more places than dimensions, an index is outside its dimension, index tensors do not broadcast, a
    /// mask has not the shape of what it masks, or a mask is on a device that cannot be read without waiting (WebGPU in
    /// browsers; masks on the CPU serve tensors on every device, and see [`Tensor::masked_select`]).
    pub fn i(&self, indices: impl Indices) -> Result<Tensor> {
        let parts = indices.parts();
        let taken = parts.iter().map(places).sum::<usize>();
        let ellipses = parts.iter().filter(|p| matches!(p, Index::Ellipsis)).count();
        if taken > self.rank() {
            let message = format!("{taken} places for the {} dimensions of {}", self.rank(), self.shape());
            return Err(Error::argument("i", message));
        }
        if ellipses > 1 {
            return Err(Error::argument("i", format!("{ellipses} ellipses; one is all that can be told apart")));
        }
        let mut x = self.clone();
        let mut lists = Vec::new();
        let mut dim = 0;
        for part in parts {
            let at = dim as isize;
            match part {
                Index::At(index) => x = x.select(at, x.index_in("i", dim, index)?)?,
                Index::Range { start, end, step } => {
                    let size = x.dims()[dim];
                    let inside =
                        |v: isize| if v < 0 { size.saturating_sub(v.unsigned_abs()) } else { size.min(v as usize) };
                    let (start, end) = (start.map_or(0, inside), end.map_or(size, inside));
                    x = x.narrow(at, start, end.saturating_sub(start))?.step(at, step)?;
                    dim += 1;
                }
                Index::Ellipsis => dim += self.rank() - taken,
                Index::NewAxis => {
                    x = x.unsqueeze(at)?;
                    dim += 1;
                }
                Index::Tensor(mask) if mask.dtype() == DType::U8 => {
                    let masked = &x.dims()[dim..dim + mask.rank()];
                    if masked != mask.dims() || masked.is_empty() {
                        let why = format!("a mask of {masked:?} belongs at dimension {dim}");
                        return Err(Error::shapes("i", x.shape(), mask.shape(), why));
                    }
                    for column in mask.nonzero_sync()?.unbind(1)? {
                        lists.push((dim, column.moved_to(self.device())?));
                        dim += 1;
                    }
                }
                Index::Tensor(ids) => {
                    lists.push((dim, ids));
                    dim += 1;
                }
            }
        }
        if lists.is_empty() { Ok(x) } else { x.at_lists(lists) }
    }
    /// An index of dimension `dim` that may count from the end.
    fn index_in(&self, op: &'static str, dim: usize, index: isize) -> Result<usize> {
        let size = self.dims()[dim] as isize;
        let at = if index < 0 { index.saturating_add(size) } else { index };
        if (0..size).contains(&at) {
            return Ok(at as usize);
        }
        Err(Error::argument(op, format!("index {index} is outside dimension {dim} of {}", self.shape())))
    }
    /// Elements at index tensors of some dimensions (in ascending order), which broadcast to each other.
    fn at_lists(&self, lists: Vec<(usize, Tensor)>) -> Result<Tensor> {
        let dims: Vec<_> = lists.iter().map(|(dim, _)| *dim).collect();
        let lists: Vec<_> = lists.iter().map(|(dim, ids)| positive(ids, self.dims()[*dim])).collect::<Result<_>>()?;
        let lists = Self::broadcast_tensors(&lists.iter().collect::<Vec<_>>())?;
        let shape = lists[0].shape().clone();
        let together = dims.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let place = if together { dims[0] } else { 0 };
        let others: Vec<_> = (0..self.rank()).filter(|d| !dims.contains(d)).collect();
        let order = [&others[..place], &dims, &others[place..]].concat();
        let x = self.permute(order)?;
        // The indexed dimensions as one, and the index into it.
        let (mut flat, mut stride) = (None::<Tensor>, 1);
        for (&dim, ids) in dims.iter().zip(&lists).rev() {
            let term = ids.flatten_all()?.mul_scalar(stride as f64)?;
            flat = Some(flat.map_or(Ok(term.clone()), |sum| sum.add(&term))?);
            stride *= self.dims()[dim];
        }
        let Some(flat) = flat else { return Ok(x) };
        let sizes = x.dims();
        let (before, after) = (&sizes[..place], &sizes[place + dims.len()..]);
        let joined = x.reshape([before, &[stride], after].concat())?;
        joined.index_select(place as isize, &flat)?.reshape([before, shape.dims(), after].concat())
    }
}

/// How many dimensions a part speaks for.
fn places(part: &Index) -> usize {
    match part {
        Index::At(_) | Index::Range { .. } => 1,
        Index::Tensor(mask) if mask.dtype() == DType::U8 => mask.rank(),
        Index::Tensor(_) => 1,
        Index::Ellipsis | Index::NewAxis => 0,
    }
}

/// Indices as i64, those from the end as those from the beginning. Each is looked up among `0..size`, since outside ones
/// must be found before several are joined into one.
fn positive(ids: &Tensor, size: usize) -> Result<Tensor> {
    if !ids.dtype().is_int() {
        let message = format!("index tensors are integers, or u8 masks, not {}; cast with to_dtype", ids.dtype());
        return Err(Error::dtype("i", message));
    }
    let wide = ids.to_dtype(DType::I64)?;
    let from_start = wide.lt_scalar(0.0)?.where_cond(wide.add_scalar(size as f64)?, &wide)?;
    let found = Tensor::arange(0.0, size as f64, DType::I64, ids.device())?.take(&from_start);
    found.map_err(|error| {
        // The index as it was given.
        let outside = |i: &i64| !(-(size as i64)..size as i64).contains(i);
        let given = wide.to_vec_sync::<i64>().ok().and_then(|ids| ids.into_iter().find(outside));
        given.map_or(error, |i| Error::argument("i", format!("index {i} is outside a dimension of {size}")))
    })
}
