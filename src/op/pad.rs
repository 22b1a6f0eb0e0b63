//! Windows over a dimension, and what is spread over windows added up again.

use crate::{error::Result, shape::Shape, tensor::Tensor};

/// All windows of `size` elements `dilation` apart that begin every `step` along `dim`: a view with the windows in place
/// of `dim` and their elements in a new last dimension.
pub(crate) fn windows(x: &Tensor, dim: isize, size: usize, step: usize, dilation: usize) -> Result<Tensor> {
    let whole = x.unfold(dim, (size - 1) * dilation + 1, step)?;
    if dilation == 1 { Ok(whole) } else { whole.unfold(-1, 1, dilation)?.squeeze(-1) }
}

/// The reverse of [`windows`] along `dim`, which is followed by the dimension of the windows' elements: each is added at
/// its place in a dimension of `length`.
pub(crate) fn fold(x: &Tensor, dim: usize, length: usize, step: usize, dilation: usize) -> Result<Tensor> {
    let (count, size) = (x.dims()[dim], x.dims()[dim + 1]);
    let places: Vec<_> = (0..count).flat_map(|w| (0..size).map(move |k| (w * step + k * dilation) as u32)).collect();
    let source = x.flatten(dim as isize, dim as isize + 1)?;
    let mut shape = vec![1; source.rank()];
    shape[dim] = count * size;
    let places = Tensor::from_slice(&places, shape, x.device())?.broadcast_to(source.shape())?;
    let mut whole = source.dims().to_vec();
    whole[dim] = length;
    Tensor::zeros(Shape::from(whole), x.dtype(), x.device())?.scatter_add(dim as isize, &places, &source)
}
