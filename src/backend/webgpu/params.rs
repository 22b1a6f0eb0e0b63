//! The block of numbers that a dispatch gets: `Params` in `shaders/common/params.wgsl`.

use crate::{
    error::{Error, Result},
    layout::Layout,
};

/// Most dimensions of an operand, after those that adjoin have been joined.
const MOST_DIMS: usize = 8;
/// Words of the block: as many bytes as dynamic offsets are multiples of.
pub(super) const WORDS: usize = 64;

/// Where the fields are, in words.
mod at {
    pub const COUNT: usize = 0;
    pub const RANK: usize = 1;
    pub const INNER_COUNT: usize = 2;
    pub const INNER_RANK: usize = 3;
    pub const K: usize = 4;
    pub const F: usize = 8;
    pub const STARTS: usize = 12;
    pub const DIMS: usize = 16;
    pub const INNER: usize = 24;
    pub const STRIDES: usize = 32;
}

/// Numbers of one dispatch.
#[derive(Clone)]
pub(super) struct Params {
    pub words: [u32; WORDS],
    /// Must operands be addressed by their strides?
    pub strided: bool,
}

/// A size as a shader counts it.
pub(super) fn word(op: &'static str, n: usize) -> Result<u32> {
    let too_large = |_| Error::Device { op, message: format!("{n} elements are more than a shader can count") };
    u32::try_from(n).map_err(too_large)
}

/// Sizes and each operand's strides with neighbouring dimensions joined where every operand allows.
fn collapsed(layouts: &[&Layout]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let (mut dims, mut strides) = (Vec::new(), vec![Vec::new(); layouts.len()]);
    let Some(first) = layouts.first() else { return (dims, strides) };
    for (i, &size) in first.dims().iter().enumerate().filter(|&(_, &size)| size != 1) {
        let joins = |strides: &Vec<usize>, layout: &&Layout| {
            strides.last().is_some_and(|&above| above == layout.strides()[i].wrapping_mul(size))
        };
        if strides.iter().zip(layouts).all(|(s, l)| joins(s, l))
            && let Some(last) = dims.last_mut()
        {
            *last *= size;
            for (strides, layout) in strides.iter_mut().zip(layouts) {
                strides.pop();
                strides.push(layout.strides()[i]);
            }
            continue;
        }
        dims.push(size);
        strides.iter_mut().zip(layouts).for_each(|(s, l)| s.push(l.strides()[i]));
    }
    (dims, strides)
}

impl Params {
    /// Of `count` results, whose operands are not addressed by strides.
    pub fn new(op: &'static str, count: usize) -> Result<Self> {
        let mut params = Self { words: [0; WORDS], strided: false };
        params.words[at::COUNT] = word(op, count)?;
        Ok(params)
    }
    /// Of operands (by number) that are walked together over one shape.
    pub fn over(op: &'static str, operands: &[(usize, &Layout)]) -> Result<Self> {
        let layouts: Vec<_> = operands.iter().map(|&(_, layout)| layout).collect();
        let count = layouts.first().map_or(0, |l| l.shape().elements());
        let mut params = Self::new(op, count)?;
        for &(operand, layout) in operands {
            params.start(op, operand, layout.start())?;
        }
        if layouts.iter().all(|l| l.is_contiguous()) {
            return Ok(params);
        }
        let (dims, strides) = collapsed(&layouts);
        params.strided = true;
        params.words[at::RANK] = dims.len() as u32;
        params.put(op, at::DIMS, &dims)?;
        for (&(operand, _), strides) in operands.iter().zip(&strides) {
            params.put(op, at::STRIDES + MOST_DIMS * operand, strides)?;
        }
        Ok(params)
    }
    /// The shape `dims` and strides over it as they are, none joined.
    pub fn plain(op: &'static str, dims: &[usize], operands: &[(usize, &Layout)]) -> Result<Self> {
        let mut params = Self::new(op, dims.iter().product())?;
        params.strided = true;
        params.words[at::RANK] = dims.len() as u32;
        params.put(op, at::DIMS, dims)?;
        for &(operand, layout) in operands {
            params.start(op, operand, layout.start())?;
            params.put(op, at::STRIDES + MOST_DIMS * operand, layout.strides())?;
        }
        Ok(params)
    }
    /// What one result is made of: a shape, and steps over it in the place of `operand`.
    pub fn inner(mut self, op: &'static str, operand: usize, layout: &Layout) -> Result<Self> {
        let (dims, strides) = collapsed(&[layout]);
        self.words[at::INNER_COUNT] = word(op, layout.shape().elements())?;
        self.words[at::INNER_RANK] = dims.len() as u32;
        self.put(op, at::INNER, &dims)?;
        self.put(op, at::STRIDES + MOST_DIMS * operand, &strides[0])?;
        Ok(self)
    }
    fn put(&mut self, op: &'static str, from: usize, values: &[usize]) -> Result<()> {
        if values.len() > MOST_DIMS {
            let message = format!("{} dimensions that do not adjoin; WebGPU kernels take {MOST_DIMS}", values.len());
            return Err(Error::Device { op, message });
        }
        for (place, &value) in self.words[from..].iter_mut().zip(values) {
            *place = word(op, value)?;
        }
        Ok(())
    }
    /// First element of an operand.
    pub fn start(&mut self, op: &'static str, operand: usize, start: usize) -> Result<()> {
        self.words[at::STARTS + operand] = word(op, start)?;
        Ok(())
    }
    /// The kernel's own numbers.
    pub fn k(mut self, op: &'static str, values: [usize; 4]) -> Result<Self> {
        for (place, value) in self.words[at::K..].iter_mut().zip(values) {
            *place = word(op, value)?;
        }
        Ok(self)
    }
    /// The kernel's own numbers as bits.
    pub fn bits(mut self, values: [u32; 2]) -> Self {
        self.words[at::K..at::K + 2].copy_from_slice(&values);
        self
    }
    /// The kernel's own floats, at most four.
    pub fn f<const N: usize>(mut self, values: [f32; N]) -> Self {
        self.words[at::F..at::F + N].copy_from_slice(&values.map(f32::to_bits));
        self
    }
    /// Numbers in the place of the inner shape, from `first` on.
    pub fn inner_words(mut self, op: &'static str, first: usize, values: &[usize]) -> Result<Self> {
        self.put(op, at::INNER + first, values)?;
        Ok(self)
    }
    /// Numbers in the place of the strides of half an operand.
    pub fn strides(mut self, op: &'static str, half: usize, values: [usize; 4]) -> Result<Self> {
        self.put(op, at::STRIDES + 4 * half, &values)?;
        Ok(self)
    }
    /// How many results, where that is not the number of elements of the shape.
    pub fn count(mut self, op: &'static str, count: usize) -> Result<Self> {
        self.words[at::COUNT] = word(op, count)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_that_adjoin_are_joined() {
        let whole = Layout::contiguous([2, 3, 4]);
        assert_eq!(collapsed(&[&whole]), (vec![24], vec![vec![1]]));
        let turned = whole.permute(&[1, 0, 2]).unwrap();
        assert_eq!(collapsed(&[&turned]), (vec![3, 2, 4], vec![vec![4, 12, 1]]));
        let inside = Layout::contiguous([2, 4, 4]).narrow(1, 1, 3).unwrap();
        assert_eq!(collapsed(&[&inside, &whole]), (vec![2, 12], vec![vec![16, 1], vec![12, 1]]));
    }
}
