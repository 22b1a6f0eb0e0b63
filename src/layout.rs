//! How a view lies over shared storage: shape, strides and start, in elements.

use crate::{
    error::{Error, Result},
    shape::Shape,
};

/// A strided view. A stride of 0 repeats (broadcasting). For block formats strides count elements too, and the
/// dimension along which blocks run has stride 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    shape: Shape,
    strides: Vec<usize>,
    start: usize,
}

impl Layout {
    /// Row-major, from the storage's beginning.
    pub fn contiguous(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let strides = shape.strides();
        Self { shape, strides, start: 0 }
    }
    /// Any view; the caller has checked that it stays inside its storage.
    pub fn new(shape: Shape, strides: Vec<usize>, start: usize) -> Self {
        debug_assert_eq!(shape.rank(), strides.len());
        Self { shape, strides, start }
    }
    /// The view's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
    /// The view's sizes.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
    /// Strides in elements.
    pub fn strides(&self) -> &[usize] {
        &self.strides
    }
    /// Index of the first element in the storage.
    pub fn start(&self) -> usize {
        self.start
    }
    /// Row-major without gaps (start may be anywhere)?
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1usize;
        for (&d, &s) in self.dims().iter().zip(&self.strides).rev() {
            if d != 1 && s != expected {
                return self.shape.elements() == 0;
            }
            expected = expected.saturating_mul(d);
        }
        true
    }
    /// The range of storage that a contiguous view covers, `None` if it is not contiguous.
    pub fn contiguous_range(&self) -> Option<std::ops::Range<usize>> {
        self.is_contiguous().then(|| self.start..self.start + self.shape.elements())
    }
    /// Dimensions reordered: dimension `i` of the result is `order[i]` of this.
    pub fn permute(&self, order: &[usize]) -> Result<Self> {
        let mut seen = vec![false; self.shape.rank()];
        let valid = order.len() == seen.len()
            && order.iter().all(|&d| seen.get_mut(d).is_some_and(|s| !std::mem::replace(s, true)));
        if !valid {
            return Err(Error::argument(
                "permute",
                format!("{order:?} is no order of the dimensions of {}", self.shape),
            ));
        }
        let dims: Vec<_> = order.iter().map(|&d| self.dims()[d]).collect();
        let strides = order.iter().map(|&d| self.strides[d]).collect();
        Ok(Self { shape: dims.into(), strides, start: self.start })
    }
    /// Elements `start..start + len` of dimension `dim`.
    pub fn narrow(&self, dim: usize, start: usize, len: usize) -> Result<Self> {
        let size = self.dims()[dim];
        if start.checked_add(len).is_none_or(|end| end > size) {
            let message = format!("{start}..{start}+{len} is outside dimension {dim} of {}", self.shape);
            return Err(Error::argument("narrow", message));
        }
        let mut dims = self.dims().to_vec();
        dims[dim] = len;
        let start = self.start + start * self.strides[dim];
        Ok(Self { shape: dims.into(), strides: self.strides.clone(), start })
    }
    /// Every `step`th index of dimension `dim`; `step` is not 0.
    pub fn step(&self, dim: usize, step: usize) -> Self {
        let (mut dims, mut strides) = (self.dims().to_vec(), self.strides.clone());
        dims[dim] = dims[dim].div_ceil(step);
        // Where one index is left nothing goes by the stride, which might overflow.
        strides[dim] = if dims[dim] > 1 { strides[dim] * step } else { strides[dim] };
        Self { shape: dims.into(), strides, start: self.start }
    }
    /// Repeated along dimensions of size 1 and new leading ones.
    pub fn broadcast_to(&self, shape: &Shape) -> Result<Self> {
        let fail = || Error::shape("broadcast_to", format!("{} does not broadcast to {shape}", self.shape));
        let lead = shape.rank().checked_sub(self.shape.rank()).ok_or_else(fail)?;
        let mut strides = vec![0; shape.rank()];
        for i in 0..self.shape.rank() {
            strides[lead + i] = match (self.dims()[i], shape.dims()[lead + i]) {
                (a, b) if a == b => self.strides[i],
                (1, _) => 0,
                _ => return Err(fail()),
            };
        }
        Ok(Self { shape: shape.clone(), strides, start: self.start })
    }
    /// The same elements under another shape without copying, or `None` where that needs a copy.
    pub fn reshape(&self, shape: &Shape) -> Option<Self> {
        debug_assert_eq!(shape.elements(), self.shape.elements());
        if self.is_contiguous() {
            return Some(Self { shape: shape.clone(), strides: shape.strides(), start: self.start });
        }
        // Walk both shapes from the left in groups of equal element count; each old group must be gap-free inside.
        let old: Vec<(usize, usize)> =
            self.dims().iter().copied().zip(self.strides.iter().copied()).filter(|&(d, _)| d != 1).collect();
        let new = shape.dims();
        let mut strides = vec![0; new.len()];
        let (mut i, mut j) = (0, 0);
        while i < old.len() {
            let (mut oi, mut nj) = (i + 1, j + 1);
            let (mut op, mut np) = (old[i].0, *new.get(j)?);
            while op != np {
                if op < np {
                    op *= old.get(oi)?.0;
                    oi += 1;
                } else {
                    np *= *new.get(nj)?;
                    nj += 1;
                }
            }
            for k in i..oi - 1 {
                if old[k].1 != old[k + 1].1 * old[k + 1].0 {
                    return None;
                }
            }
            let mut s = old[oi - 1].1;
            for k in (j..nj).rev() {
                strides[k] = s;
                s *= new[k];
            }
            (i, j) = (oi, nj);
        }
        Some(Self { shape: shape.clone(), strides, start: self.start })
    }
    /// Storage index of every element in row-major order.
    pub fn indices(&self) -> Indices<'_> {
        Indices { layout: self, at: vec![0; self.shape.rank()], next: self.start, left: self.shape.elements() }
    }
}

/// Iterator of [`Layout::indices`].
pub struct Indices<'a> {
    layout: &'a Layout,
    at: Vec<usize>,
    next: usize,
    left: usize,
}

impl Iterator for Indices<'_> {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let current = self.next;
        let (dims, strides) = (self.layout.dims(), self.layout.strides());
        for d in (0..dims.len()).rev() {
            self.at[d] += 1;
            self.next += strides[d];
            if self.at[d] < dims[d] {
                break;
            }
            self.next -= strides[d] * dims[d];
            self.at[d] = 0;
        }
        Some(current)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
impl ExactSizeIterator for Indices<'_> {}
