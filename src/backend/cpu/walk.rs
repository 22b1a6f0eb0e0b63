//! Walking strided operands together, in pieces short enough for buffers on the stack, on one thread or on all.

use super::{
    num::{Load, Num, Wide, no_kernel},
    pool,
};
use crate::{
    backend::View,
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
};
use std::{marker::PhantomData, ops::Range};

/// Longest piece: its buffers stay in the first-level cache.
pub(super) const PIECE: usize = 1024;
/// Elementwise work for one task of the pool: tens of microseconds.
const TASK: usize = 32 * PIECE;

/// The way through `N` operands of one shape in row-major order.
pub(super) struct Walk<const N: usize> {
    /// Sizes and strides, outermost first, neighbouring dimensions joined where every operand allows.
    dims: Vec<(usize, [usize; N])>,
    /// Size and strides of the innermost dimension.
    inner: (usize, [usize; N]),
    start: [usize; N],
    elements: usize,
}

/// Elements next to each other in the walk.
pub(super) struct Piece<const N: usize> {
    /// Index of the first in row-major order.
    pub at: usize,
    /// Storage index of the first in each operand.
    pub from: [usize; N],
    /// How many.
    pub len: usize,
}

impl<const N: usize> Walk<N> {
    /// Through layouts of one shape.
    pub fn new(layouts: [&Layout; N]) -> Self {
        let start = layouts.map(Layout::start);
        let shape = layouts[0].dims();
        let elements = shape.iter().product();
        if layouts.iter().all(|l| l.is_contiguous()) {
            return Self { dims: Vec::new(), inner: (elements, [1; N]), start, elements };
        }
        let mut dims: Vec<(usize, [usize; N])> = Vec::with_capacity(shape.len());
        for (i, &size) in shape.iter().enumerate().filter(|&(_, &size)| size != 1) {
            let strides = layouts.map(|l| l.strides()[i]);
            match dims.last_mut() {
                Some((outer, above)) if (0..N).all(|n| above[n] == strides[n] * size) => {
                    (*outer, *above) = (*outer * size, strides);
                }
                _ => dims.push((size, strides)),
            }
        }
        let inner = dims.pop().unwrap_or((1, [1; N]));
        Self { dims, inner, start, elements }
    }
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.elements
    }
    /// Strides inside pieces.
    pub fn strides(&self) -> [usize; N] {
        self.inner.1
    }
    /// Visits a range of the elements in pieces of at most [`PIECE`].
    pub fn run(&self, range: Range<usize>, mut f: impl FnMut(Piece<N>)) {
        self.run_dyn(range, &mut f);
    }
    /// Compiled once for all kernels.
    fn run_dyn(&self, range: Range<usize>, f: &mut dyn FnMut(Piece<N>)) {
        let (inner, strides) = self.inner;
        let mut at = range.start;
        while at < range.end {
            let (mut row, column) = (at / inner, at % inner);
            let mut from = self.start;
            for &(size, strides) in self.dims.iter().rev() {
                let index = row % size;
                row /= size;
                (0..N).for_each(|n| from[n] += index * strides[n]);
            }
            (0..N).for_each(|n| from[n] += column * strides[n]);
            let mut left = (inner - column).min(range.end - at);
            while left > 0 {
                let len = left.min(PIECE);
                f(Piece { at, from, len });
                (0..N).for_each(|n| from[n] += len * strides[n]);
                (at, left) = (at + len, left - len);
            }
        }
    }
    /// Visits all elements, large numbers of them on all threads.
    pub fn run_parallel(&self, f: impl Fn(Piece<N>) + Sync) {
        if self.elements <= TASK {
            return self.run(0..self.elements, f);
        }
        pool::parallel(self.elements.div_ceil(TASK), |i| {
            self.run(i * TASK..((i + 1) * TASK).min(self.elements), &f);
        });
    }
}

/// Copies `len` elements at `from, from + stride, …` into wide ones.
#[inline]
pub(super) fn load<T: Num>(data: &[T], from: usize, stride: usize, out: &mut [T::Wide]) {
    match stride {
        0 => out.fill(data[from].widen()),
        1 => {
            let data = &data[from..from + out.len()];
            out.iter_mut().zip(data).for_each(|(o, v)| *o = v.widen());
        }
        _ => out.iter_mut().enumerate().for_each(|(i, o)| *o = data[from + i * stride].widen()),
    }
}

/// An operand's memory, read as wide elements.
pub(super) struct Source<'a, W> {
    bytes: &'a [u8],
    load: Load<W>,
    /// The bytes, where the elements are wide themselves.
    wide: Option<&'a [W]>,
}

impl<'a, W: Wide> Source<'a, W> {
    /// Of a dtype that is computed in `W`.
    pub fn new(view: &View<'a>) -> Result<Self> {
        let bytes = super::buffer_of(view)?.bytes();
        let (load, _) = W::access(view.dtype).ok_or_else(|| no_kernel("load", view.dtype))?;
        if !bytes.as_ptr().addr().is_multiple_of(super::alignment(view.dtype)) {
            return Err(Error::dtype("load", format!("unaligned elements of {}", view.dtype)));
        }
        let wide = (view.dtype == W::DTYPE).then(|| bytemuck::cast_slice(bytes));
        Ok(Self { bytes, load, wide })
    }
    /// Copies elements at `from, from + stride, …` to `out`.
    pub fn load(&self, from: usize, stride: usize, out: &mut [W]) {
        (self.load)(self.bytes, from, stride, out);
    }
    /// Those elements: the memory itself if they are wide and adjoin, else loaded into `space`.
    pub fn read<'s>(&'s self, from: usize, stride: usize, len: usize, space: &'s mut [W]) -> &'s [W] {
        match self.wide {
            Some(wide) if stride == 1 => &wide[from..from + len],
            _ => {
                self.load(from, stride, &mut space[..len]);
                &space[..len]
            }
        }
    }
}

/// Lets `f` fill `out`, elements of a dtype that is computed in `W`, converting afterwards if need be.
pub(super) fn fill<W: Wide>(out: &mut [u8], dtype: DType, f: impl FnOnce(&mut [W])) {
    if dtype == W::DTYPE {
        return f(bytemuck::cast_slice_mut(out));
    }
    // `Source::new` has refused other dtypes.
    let Some((_, store)) = W::access(dtype) else { return };
    let len = out.len() / dtype.block_bytes();
    let (mut few, mut many) = ([W::default(); PIECE], Vec::new());
    let space = if len <= PIECE {
        &mut few[..len]
    } else {
        many.resize(len, W::default());
        &mut many
    };
    f(space);
    store(space, out);
}

/// A slice that tasks write disjoint parts of.
pub(super) struct Shared<'a, T> {
    first: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: the pointer stands for a `&mut [T]` that is handed out in disjoint parts, which may go to other threads
// where T may.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { first: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }
    /// A part of the slice.
    ///
    /// # Safety
    /// Parts that are alive together must not overlap.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "part outside the slice");
        // SAFETY: inside the slice by the assertion; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(range.start), range.len()) }
    }
}

/// Runs `f(i, chunk)` for each chunk of `size` elements, on all threads if `parallel`.
pub(super) fn for_chunks<T: Send>(out: &mut [T], size: usize, parallel: bool, f: impl Fn(usize, &mut [T]) + Sync) {
    if !parallel || out.len() <= size {
        out.chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| f(i, chunk));
        return;
    }
    let len = out.len();
    let shared = Shared::new(out);
    pool::parallel(len.div_ceil(size), |i| {
        // SAFETY: chunk i is this task's alone.
        f(i, unsafe { shared.part(i * size..((i + 1) * size).min(len)) });
    });
}
