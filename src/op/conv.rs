//! Convolution and its transpose: one geometry, under which each is the other's gradient.

use super::{Backward, Input, Op, fused::computed, gradient::InputGradients, pad::windows, want_float, want_same};
use crate::{
    backend::Meta,
    error::{Error, Result},
    shape::Shape,
    tensor::{PadMode, Tensor},
};

/// How the taps of a kernel lie over an image: tap `i` of output `t` reads input `t * stride + i * dilation - padding`;
/// what lies outside is zero. In the transposed convolution inputs and outputs change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Distance of neighbouring outputs.
    pub stride: [usize; 2],
    /// Zeros before the first row and column; those after the last follow from `size`.
    pub padding: [usize; 2],
    /// Distance of neighbouring taps.
    pub dilation: [usize; 2],
    /// Channels are in so many groups, each convolved by itself.
    pub groups: usize,
    /// Height and width of the result.
    pub size: [usize; 2],
}

/// Checks channels, groups and steps of an input `[n, c, ..]` and a weight of as many dimensions. A weight is
/// `[outputs, c / groups, ..]`, or for the transpose `[c, outputs / groups, ..]`.
///
/// # Errors
/// What does not fit, as the operation `name`.
pub(crate) fn check(
    name: &'static str,
    transposed: bool,
    (x, w): (&Shape, &Shape),
    (stride, dilation, groups): (&[usize], &[usize], usize),
) -> Result<()> {
    let rank = stride.len() + 2;
    let axes = if rank == 3 { "length" } else { "height, width" };
    let fail = |message: String| Err(Error::shape(name, message));
    if x.rank() != rank {
        return fail(format!("the input {x} should be [batch, channels, {axes}]"));
    }
    if w.rank() != rank {
        let channels = if transposed { "inputs, outputs / groups" } else { "outputs, inputs / groups" };
        return fail(format!("the weight {w} should be [{channels}, {axes} of the kernel]"));
    }
    if groups == 0 || stride.contains(&0) || dilation.contains(&0) {
        let message = format!("stride {stride:?}, dilation {dilation:?} and groups {groups} must be positive");
        return Err(Error::argument(name, message));
    }
    if w.dims().contains(&0) || x.dims()[1..].contains(&0) {
        return fail(format!("{x} by {w}: only the batch may be empty"));
    }
    if !w.dims()[0].is_multiple_of(groups) {
        return fail(format!("weight {w}: {} channels are not {groups} equal groups", w.dims()[0]));
    }
    let takes = if transposed { Some(w.dims()[0]) } else { w.dims()[1].checked_mul(groups) };
    if takes != Some(x.dims()[1]) {
        let groups = if groups > 1 { format!(" in {groups} groups") } else { String::new() };
        let takes = takes.unwrap_or(usize::MAX);
        return fail(format!("weight {w} takes {takes} channels{groups}, the input {x} has {}", x.dims()[1]));
    }
    Ok(())
}

/// Checks the bias of `outputs` channels.
pub(crate) fn check_bias(name: &'static str, bias: &Shape, outputs: usize) -> Result<()> {
    if bias.dims() == [outputs] {
        return Ok(());
    }
    Err(Error::shape(name, format!("the bias {bias} should be [{outputs}], one for each channel of the result")))
}

fn name(transposed: bool) -> &'static str {
    if transposed { "conv_transpose2d" } else { "conv2d" }
}

pub(super) fn infer(conv: &Convolution, transposed: bool, inputs: &[Input<'_>]) -> Result<Meta> {
    let name = name(transposed);
    let ((x, dtype), (w, w_dtype)) = (inputs[0], inputs[1]);
    want_float(name, dtype)?;
    want_same(name, dtype, w_dtype)?;
    check(name, transposed, (x.shape(), w.shape()), (&conv.stride, &conv.dilation, conv.groups))?;
    if conv.size.contains(&0) {
        return Err(Error::argument(name, format!("a result of size {:?}", conv.size)));
    }
    let outputs = if transposed { w.dims()[1].checked_mul(conv.groups) } else { Some(w.dims()[0]) };
    let shape = outputs.map(|outputs| Shape::from([x.dims()[0], outputs, conv.size[0], conv.size[1]]));
    let Some(shape) = shape.filter(|shape| shape.checked_elements().is_some()) else {
        return Err(Error::shape(name, format!("a result of size {:?} cannot be counted", conv.size)));
    };
    if let Some((bias, bias_dtype)) = inputs.get(2) {
        want_same(name, dtype, *bias_dtype)?;
        check_bias(name, bias.shape(), shape.dims()[1])?;
    }
    // Indices of rows and columns, padding included, can be counted.
    let reach = |axis: usize| {
        let (low, high) =
            if transposed { (x.dims()[2 + axis], conv.size[axis]) } else { (conv.size[axis], x.dims()[2 + axis]) };
        let taps = w.dims()[2 + axis].checked_mul(conv.dilation[axis])?;
        let last = low.checked_mul(conv.stride[axis])?.checked_add(taps)?.checked_add(conv.padding[axis])?;
        last.checked_add(high).filter(|&last| isize::try_from(last).is_ok())
    };
    if reach(0).is_none() || reach(1).is_none() {
        return Err(Error::argument(name, "stride, padding and dilation reach further than can be counted"));
    }
    Ok(Meta { shape, dtype })
}

/// A bias `[channels]` over an image.
fn add_bias(x: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    match bias {
        Some(bias) => x.add(&bias.to_dtype(x.dtype())?.reshape([bias.elements(), 1, 1])?),
        None => Ok(x),
    }
}

/// Where each tap of each output reads in the padded image: how much padding to put before and after.
fn padding(conv: &Convolution, axis: usize, outputs: usize, inputs: usize, taps: usize) -> [isize; 2] {
    let reach = (outputs - 1) * conv.stride[axis] + (taps - 1) * conv.dilation[axis] + 1;
    let low = conv.padding[axis] as isize;
    [low, reach as isize - low - inputs as isize]
}

/// By a view of all windows, and a matrix product.
pub(super) fn decompose(conv: &Convolution, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n, _, h, width) = x.dims4()?;
    let (o, per_group, kh, kw) = w.dims4()?;
    let (g, [oh, ow]) = (conv.groups, conv.size);
    computed(x, |x| {
        let [top, bottom] = padding(conv, 0, oh, h, kh);
        let [left, right] = padding(conv, 1, ow, width, kw);
        let padded = x.pad(&[left, right, top, bottom], PadMode::Constant(0.0))?;
        let rows = windows(&padded, 2, kh, conv.stride[0], conv.dilation[0])?; // [n, c, oh, w, kh]
        let taps = windows(&rows, 3, kw, conv.stride[1], conv.dilation[1])?; // [n, c, oh, ow, kh, kw]
        let columns = taps.permute([0, 1, 4, 5, 2, 3])?.reshape([n, g, per_group * kh * kw, oh * ow])?;
        let rows = w.to_dtype(x.dtype())?.reshape([g, o / g, per_group * kh * kw])?;
        add_bias(rows.matmul(&columns)?.reshape([n, o, oh, ow])?, bias)
    })
}

/// By a matrix product, whose columns are added at their windows.
pub(super) fn decompose_transpose(conv: &Convolution, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n, o, h, width) = x.dims4()?;
    let (_, per_group, kh, kw) = w.dims4()?;
    let (g, [oh, ow]) = (conv.groups, conv.size);
    let c = per_group * g;
    computed(x, |x| {
        let w = w.to_dtype(x.dtype())?.reshape([g, o / g, per_group * kh * kw])?;
        let columns = w.transpose(1, 2)?.matmul(&x.reshape([n, g, o / g, h * width])?)?;
        let columns = columns.reshape([n, c, kh, kw, h, width])?;
        // Row by row: added at their windows of a padded image, which is then cut.
        let [top, bottom] = padding(conv, 0, h, oh, kh);
        let [left, right] = padding(conv, 1, width, ow, kw);
        let padded = |low: isize, size: usize, high: isize| (low + size as isize + high) as usize;
        let columns = columns.permute([0, 1, 4, 2, 5, 3])?; // [n, c, h, kh, w, kw]
        let columns = super::pad::fold(&columns, 4, padded(left, ow, right), conv.stride[1], conv.dilation[1])?;
        let image = super::pad::fold(&columns, 2, padded(top, oh, bottom), conv.stride[0], conv.dilation[0])?;
        add_bias(image.pad(&[-left, -right, -top, -bottom], PadMode::Constant(0.0))?, bias)
    })
}

/// The gradients of both: to an image by the other one, to the weight by a convolution of the image by the gradient.
pub(super) fn gradient(conv: &Convolution, transposed: bool, at: &Backward<'_>) -> InputGradients {
    let ([x, w, ..], grad) = (at.inputs, at.grad) else {
        return Err(Error::argument(name(transposed), "has an input and a weight"));
    };
    let back = Convolution { size: [x.dims()[2], x.dims()[3]], ..*conv };
    let to_x = || Tensor::apply(if transposed { Op::Conv(back) } else { Op::ConvTranspose(back) }, &[grad, w]);
    let to_w = || if transposed { to_weight(conv, grad, x, w.dims()) } else { to_weight(conv, x, grad, w.dims()) };
    Ok(vec![at.needed(0, to_x)?, at.needed(1, to_w)?, at.needed(2, || grad.sum([0, 2, 3]))?])
}

/// `image [n, c, ..]` convolved by `grad [n, o, ..]`, taps of which lie as far apart as outputs did and the other way round.
/// Batch and channels change roles, and so do groups.
fn to_weight(conv: &Convolution, image: &Tensor, grad: &Tensor, w: &[usize]) -> Result<Tensor> {
    let (n, c, h, width) = image.dims4()?;
    let g = conv.groups;
    if image.elements() == 0 || grad.elements() == 0 {
        return Tensor::zeros(w, grad.dtype(), grad.device());
    }
    let image = image.reshape([n, g, c / g, h, width])?.permute([2, 1, 0, 3, 4])?.reshape([c / g, g * n, h, width])?;
    let by = Convolution {
        stride: conv.dilation,
        padding: conv.padding,
        dilation: conv.stride,
        groups: g,
        size: [w[2], w[3]],
    };
    Tensor::apply(Op::Conv(by), &[&image, &grad.transpose(0, 1)?])?.transpose(0, 1)
}
