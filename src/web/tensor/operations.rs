//! The table of operations: what JavaScript's `Tensor` can do, each with the names, kinds and defaults of its arguments. Methods
//! take the tensor first; functions take none. The TypeScript declarations are written from the same lines.

use super::args::{Args, AttentionSpec, Axes, IntoJs, Name, Split, beside, kind, pad_mode, parameter, result};
use crate::web::promise::promise;
use crate::{
    autograd::{self, GradOptions},
    device::Device,
    dtype::DType,
    error::Result,
    nn::loss,
    op::RopeLayout,
    tensor::{
        AvgPoolOptions, ConvOptions, ConvTransposeOptions, Generator, Indexing, Interpolation, MaxPoolOptions, Tensor,
        WindowOptions,
    },
};
use wasm_bindgen::prelude::*;

/// An operation as JavaScript calls it.
pub(super) struct Operation {
    /// Its name there.
    pub name: &'static str,
    /// Reads its arguments and does it.
    pub run: fn(&mut Args) -> Result<JsValue>,
}

/// Writes the table and the TypeScript interface.
macro_rules! operations {
    ($table:ident $types:ident $interface:literal: $(
        [$($doc:literal)*] $name:ident [$($x:ident)?] [$($arg:ident: $kind:ident $(= $default:expr)?,)*] $result:ident $body:expr;
    )*) => {
        #[allow(non_snake_case, reason = "arguments have the names that JavaScript sees")]
        pub(super) static $table: &[Operation] = &[$(Operation {
            name: stringify!($name),
            run: |args| {
                $(let $x: Tensor = args.next("this", None)?;)?
                $(let $arg: kind!($kind) = args.next(stringify!($arg), parameter!($($default)?))?;)*
                args.end()?;
                operations!(@run $result $body)
            },
        }),*];

        #[wasm_bindgen(typescript_custom_section)]
        const $types: &str = concat!(
            "export interface ", $interface, "<T> {\n",
            $(
                "  /**", $($doc,)* " */\n",
                "  ", stringify!($name), "(", $(kind!(@type $kind $arg $($default)?), ", ",)* "): ", result!($result), ";\n",
            )*
            "}\n"
        );
    };
    (@run read $body:expr) => {
        Ok(promise(async move { $body.await.and_then(IntoJs::into_js) }).into())
    };
    (@run read_pair $body:expr) => { operations!(@run read $body) };
    (@run read_flag $body:expr) => { operations!(@run read $body) };
    (@run $result:ident $body:expr) => { ($body).and_then(IntoJs::into_js) };
}

/// Methods: `name(tensor, argument: kind = default …) -> result = body;`
macro_rules! methods {
    ($($(#[doc = $doc:literal])* $name:ident($x:ident $(, $arg:ident: $kind:ident $(= $default:expr)?)*) -> $result:ident = $body:expr;)*) => {
        operations! { METHODS METHOD_TYPES "TensorMethods":
            $([$($doc)*] $name [$x] [$($arg: $kind $(= $default)?,)*] $result $body;)*
        }
    };
}

/// Functions: the same without a tensor.
macro_rules! functions {
    ($($(#[doc = $doc:literal])* $name:ident($($arg:ident: $kind:ident $(= $default:expr)?),*) -> $result:ident = $body:expr;)*) => {
        operations! { FUNCTIONS FUNCTION_TYPES "TensorFunctions":
            $([$($doc)*] $name [] [$($arg: $kind $(= $default)?,)*] $result $body;)*
        }
    };
}

methods! {
    /// `-x`, of signed numbers.
    neg(x) -> tensor = x.neg();
    /// Absolute value.
    abs(x) -> tensor = x.abs();
    /// -1, 0 or 1.
    sign(x) -> tensor = x.sign();
    /// `e^x`, of floats.
    exp(x) -> tensor = x.exp();
    /// Natural logarithm, of floats.
    log(x) -> tensor = x.log();
    /// Square root, of floats.
    sqrt(x) -> tensor = x.sqrt();
    /// `1 / sqrt(x)`, of floats.
    rsqrt(x) -> tensor = x.rsqrt();
    /// `1 / x`, of floats.
    recip(x) -> tensor = x.recip();
    /// `x * x`.
    sqr(x) -> tensor = x.sqr();
    /// Sine of radians, of floats.
    sin(x) -> tensor = x.sin();
    /// Cosine of radians, of floats.
    cos(x) -> tensor = x.cos();
    /// Tangent of radians, of floats.
    tan(x) -> tensor = x.tan();
    /// Arc sine in radians, of floats; NaN outside -1 to 1.
    asin(x) -> tensor = x.asin();
    /// Arc cosine in radians, of floats; NaN outside -1 to 1.
    acos(x) -> tensor = x.acos();
    /// Arc tangent in radians, of floats.
    atan(x) -> tensor = x.atan();
    /// Hyperbolic sine, of floats.
    sinh(x) -> tensor = x.sinh();
    /// Hyperbolic cosine, of floats.
    cosh(x) -> tensor = x.cosh();
    /// Hyperbolic tangent, of floats.
    tanh(x) -> tensor = x.tanh();
    /// Inverse hyperbolic sine, of floats.
    asinh(x) -> tensor = x.asinh();
    /// Inverse hyperbolic cosine, of floats; NaN below 1.
    acosh(x) -> tensor = x.acosh();
    /// Inverse hyperbolic tangent, of floats; NaN outside -1 to 1.
    atanh(x) -> tensor = x.atanh();
    /// `2^x`, of floats.
    exp2(x) -> tensor = x.exp2();
    /// `e^x - 1`, accurate near 0, of floats.
    expm1(x) -> tensor = x.expm1();
    /// Logarithm to base 2, of floats.
    log2(x) -> tensor = x.log2();
    /// Logarithm to base 10, of floats.
    log10(x) -> tensor = x.log10();
    /// `log(1 + x)`, accurate near 0, of floats.
    log1p(x) -> tensor = x.log1p();
    /// The error function, of floats.
    erf(x) -> tensor = x.erf();
    /// The inverse of the error function, of floats; NaN outside -1 to 1.
    erfinv(x) -> tensor = x.erfinv();
    /// Towards minus infinity.
    floor(x) -> tensor = x.floor();
    /// Towards plus infinity.
    ceil(x) -> tensor = x.ceil();
    /// To the nearest integer, halves to even, as PyTorch.
    round(x) -> tensor = x.round();
    /// Towards zero.
    trunc(x) -> tensor = x.trunc();
    /// What is after the decimal point, with the sign of the element.
    frac(x) -> tensor = x.frac();
    /// `1 / (1 + e^-x)`, of floats.
    sigmoid(x) -> tensor = x.sigmoid();
    /// `max(x, 0)`.
    relu(x) -> tensor = x.relu();
    /// `x * sigmoid(x)`, of floats.
    silu(x) -> tensor = x.silu();
    /// GELU by the error function, of floats.
    gelu(x) -> tensor = x.gelu();
    /// GELU by the tanh approximation, of floats.
    geluTanh(x) -> tensor = x.gelu_tanh();
    /// `min(max(x, 0), 6)`
    relu6(x) -> tensor = x.relu6();
    /// `elu` with the scales under which layers keep mean 0 and variance 1 (Klambauer et al. 2017).
    selu(x) -> tensor = x.selu();
    /// `relu6(x + 3) / 6`
    hardsigmoid(x) -> tensor = x.hardsigmoid();
    /// `x * relu6(x + 3) / 6` (Howard et al. 2019)
    hardswish(x) -> tensor = x.hardswish();
    /// `log(sigmoid(x))` without overflow.
    logsigmoid(x) -> tensor = x.logsigmoid();
    /// `x * tanh(softplus(x))` (Misra 2019)
    mish(x) -> tensor = x.mish();
    /// `x / (1 + |x|)`
    softsign(x) -> tensor = x.softsign();
    /// `x - tanh(x)`
    tanhshrink(x) -> tensor = x.tanhshrink();
    /// 1 where the element is not a number.
    isnan(x) -> tensor = x.isnan();
    /// 1 where the element is infinite, of either sign.
    isinf(x) -> tensor = x.isinf();
    /// 1 where the element is neither infinite nor NaN.
    isfinite(x) -> tensor = x.isfinite();
    /// 1 where the element is false.
    logicalNot(x) -> tensor = x.logical_not();
    /// `a + b`
    add(x, other: operand) -> tensor = x.add(&beside(&other, &x)?);
    /// `a - b`
    sub(x, other: operand) -> tensor = x.sub(&beside(&other, &x)?);
    /// `a * b`
    mul(x, other: operand) -> tensor = x.mul(&beside(&other, &x)?);
    /// `a / b`; of integers towards zero, an error when a divisor is zero.
    div(x, other: operand) -> tensor = x.div(&beside(&other, &x)?);
    /// `a ^ b`; of integers, negative exponents give what rounding towards zero gives.
    pow(x, other: operand) -> tensor = x.pow(&beside(&other, &x)?);
    /// The smaller; NaN if either is.
    minimum(x, other: operand) -> tensor = x.minimum(&beside(&other, &x)?);
    /// The larger; NaN if either is.
    maximum(x, other: operand) -> tensor = x.maximum(&beside(&other, &x)?);
    /// The angle in radians of the point `(other, self)`, -π to π, of floats.
    atan2(x, other: operand) -> tensor = x.atan2(&beside(&other, &x)?);
    /// `a - b * floor(a / b)`: what division leaves, with the sign of `b` (Python's `%`); of integers an error when a divisor is zero.
    remainder(x, other: operand) -> tensor = x.remainder(&beside(&other, &x)?);
    /// `a - b * trunc(a / b)`: what division leaves, with the sign of `a` (C's `fmod`); of integers an error when a divisor is zero.
    fmod(x, other: operand) -> tensor = x.fmod(&beside(&other, &x)?);
    /// `sqrt(a² + b²)` without overflow on the way, of floats.
    hypot(x, other: operand) -> tensor = x.hypot(&beside(&other, &x)?);
    /// `a` with the sign of `b` (that of -0.0 too), of floats.
    copysign(x, other: operand) -> tensor = x.copysign(&beside(&other, &x)?);
    /// The bits that both have, of integers.
    bitwiseAnd(x, other: operand) -> tensor = x.bitwise_and(&beside(&other, &x)?);
    /// The bits that either has, of integers.
    bitwiseOr(x, other: operand) -> tensor = x.bitwise_or(&beside(&other, &x)?);
    /// The bits that one has, but not both; of integers.
    bitwiseXor(x, other: operand) -> tensor = x.bitwise_xor(&beside(&other, &x)?);
    /// The bits of integers moved up by as many places.
    bitwiseLeftShift(x, other: operand) -> tensor = x.bitwise_left_shift(&beside(&other, &x)?);
    /// The bits of integers moved down by as many places.
    bitwiseRightShift(x, other: operand) -> tensor = x.bitwise_right_shift(&beside(&other, &x)?);
    /// The other bits of integers: `-1 - x`.
    bitwiseNot(x) -> tensor = x.bitwise_not();
    /// 1 where `a = b`, as u8.
    eq(x, other: operand) -> tensor = x.eq(&beside(&other, &x)?);
    /// 1 where `a ≠ b`, as u8.
    ne(x, other: operand) -> tensor = x.ne(&beside(&other, &x)?);
    /// 1 where `a < b`, as u8.
    lt(x, other: operand) -> tensor = x.lt(&beside(&other, &x)?);
    /// 1 where `a ≤ b`, as u8.
    le(x, other: operand) -> tensor = x.le(&beside(&other, &x)?);
    /// 1 where `a > b`, as u8.
    gt(x, other: operand) -> tensor = x.gt(&beside(&other, &x)?);
    /// 1 where `a ≥ b`, as u8.
    ge(x, other: operand) -> tensor = x.ge(&beside(&other, &x)?);
    /// `floor(a / b)`; of integers too, for which `div` rounds towards zero.
    floorDivide(x, other: operand) -> tensor = x.floor_divide(&beside(&other, &x)?);
    /// `log(e^a + e^b)` without overflow.
    logaddexp(x, other: operand) -> tensor = x.logaddexp(&beside(&other, &x)?);
    /// 1 where both are true.
    logicalAnd(x, other: operand) -> tensor = x.logical_and(&beside(&other, &x)?);
    /// 1 where one is true, or both.
    logicalOr(x, other: operand) -> tensor = x.logical_or(&beside(&other, &x)?);
    /// 1 where one is true, but not both.
    logicalXor(x, other: operand) -> tensor = x.logical_xor(&beside(&other, &x)?);
    /// `x` where it is positive, `slope * x` elsewhere.
    leakyRelu(x, slope: number = 0.01) -> tensor = x.leaky_relu(slope);
    /// `leakyRelu` with learned slopes: one, or one for each place of dimension 1 (the channels).
    prelu(x, slope: tensor) -> tensor = x.prelu(&slope);
    /// `x` where it is positive, `alpha * (e^x - 1)` elsewhere (Clevert et al. 2015).
    elu(x, alpha: number = 1.0) -> tensor = x.elu(alpha);
    /// `elu` whose slope is continuous for every `alpha`: `alpha * (e^(x / alpha) - 1)` below 0 (Barron 2017).
    celu(x, alpha: number = 1.0) -> tensor = x.celu(alpha);
    /// Limited to `min..=max`.
    hardtanh(x, min: number = -1.0, max: number = 1.0) -> tensor = x.hardtanh(min, max);
    /// `log(1 + e^(beta * x)) / beta`; where `beta * x` is above `threshold`, `x`.
    softplus(x, beta: number = 1.0, threshold: number = 20.0) -> tensor = x.softplus(beta, threshold);
    /// `log(x / (1 - x))`, the inverse of `sigmoid`; with `eps`, of `x` limited to `eps..=1 - eps`.
    logit(x, eps: maybe_number = None) -> tensor = x.logit(eps);
    /// 0 from `-lambda` to `lambda`, `x` elsewhere.
    hardshrink(x, lambda: number = 0.5) -> tensor = x.hardshrink(lambda);
    /// `x` brought towards 0 by `lambda`, and 0 from `-lambda` to `lambda`.
    softshrink(x, lambda: number = 0.5) -> tensor = x.softshrink(lambda);
    /// `x` where it is above `threshold`, `value` elsewhere.
    threshold(x, threshold: number, value: number) -> tensor = x.threshold(threshold, value);
    /// The first half of `dim` times the sigmoid of the second (Dauphin et al. 2016).
    glu(x, dim: int = -1) -> tensor = x.glu(dim);
    /// `x * mul + add`; integers with rounded parameters.
    affine(x, mul: number, add: number) -> tensor = x.affine(mul, add);
    /// Limited to `min..=max`.
    clamp(x, min: number = f64::NEG_INFINITY, max: number = f64::INFINITY) -> tensor = x.clamp(min, max);
    /// At least `min`.
    clampMin(x, min: number) -> tensor = x.clamp_min(min);
    /// At most `max`.
    clampMax(x, max: number) -> tensor = x.clamp_max(max);
    /// Limited to the elements of `min` and `max`; where they cross, `max`.
    clampTensor(x, min: tensor, max: tensor) -> tensor = x.clamp_tensor(&min, &max);
    /// With this as the u8 condition: `a` where it is not 0, `b` elsewhere; all three broadcast. A number takes the dtype of the tensor beside it; two numbers make f32.
    where(x, a: operand, b: operand) -> tensor = x.where_cond(a, b);
    /// `self + weight * (end - self)`, with a number or a tensor as weight.
    lerp(x, end: tensor, weight: operand) -> tensor = x.lerp(&end, weight);
    /// `self + value * a * b`
    addcmul(x, a: tensor, b: tensor, value: number = 1.0) -> tensor = x.addcmul(&a, &b, value);
    /// `self + value * a / b`
    addcdiv(x, a: tensor, b: tensor, value: number = 1.0) -> tensor = x.addcdiv(&a, &b, value);
    /// NaN, infinity and minus infinity replaced; where no number is given for an infinity, by the dtype's largest or smallest.
    nanToNum(x, nan: number = 0.0, posinf: maybe_number = None, neginf: maybe_number = None) -> tensor = x.nan_to_num(nan, posinf, neginf);
    /// `value` (a number, or a tensor that broadcasts to this) where the u8 `mask`, which broadcasts too, is not 0.
    maskedFill(x, mask: tensor, value: operand) -> tensor = x.masked_fill(&mask, value);
    /// 1 where the element is among `values`.
    isin(x, values: tensor) -> tensor = x.isin(&values);
    /// 1 where `|self - other| <= atol + rtol * |other|`, or both are equal; NaN equals NaN if `equal_nan`.
    isclose(x, other: tensor, rtol: number = 1e-5, atol: number = 1e-8, equalNan: flag = false) -> tensor = x.isclose(&other, rtol, atol, equalNan);
    /// Sum; of integers in i64.
    sum(x, dims: dims = Axes(None), keepdim: flag = false) -> tensor = if keepdim { x.sum_keepdim(dims) } else { x.sum(dims) };
    /// Mean, of floats; NaN of nothing.
    mean(x, dims: dims = Axes(None), keepdim: flag = false) -> tensor = if keepdim { x.mean_keepdim(dims) } else { x.mean(dims) };
    /// Largest element; NaN if there is one.
    max(x, dims: dims = Axes(None), keepdim: flag = false) -> tensor = if keepdim { x.max_keepdim(dims) } else { x.max(dims) };
    /// Smallest element; NaN if there is one.
    min(x, dims: dims = Axes(None), keepdim: flag = false) -> tensor = if keepdim { x.min_keepdim(dims) } else { x.min(dims) };
    /// Product; of integers in i64.
    prod(x, dims: dims = Axes(None), keepdim: flag = false) -> tensor = if keepdim { x.prod_keepdim(dims) } else { x.prod(dims) };
    /// `log(sum(e^x))` without overflow, of floats.
    logsumexp(x, dims: dims = Axes(None), keepdim: flag = false) -> tensor = if keepdim { x.logsumexp_keepdim(dims) } else { x.logsumexp(dims) };
    /// 1 where one of the elements is not 0, as u8; 0 of nothing.
    any(x, dims: dims = Axes(None)) -> tensor = x.any(dims);
    /// 1 where none of the elements is 0, as u8; 1 of nothing.
    all(x, dims: dims = Axes(None)) -> tensor = x.all(dims);
    /// How many elements are not 0, as i64.
    countNonzero(x, dims: dims = Axes(None)) -> tensor = x.count_nonzero(dims);
    /// The variance: squared distances from the mean, over their number less `correction` (1 for samples, as PyTorch's default; 0 for whole populations). Of floats.
    var(x, dims: dims = Axes(None), correction: number = 1.0, keepdim: flag = false) -> tensor = if keepdim { x.var_keepdim(dims, correction) } else { x.var(dims, correction) };
    /// The square root of `var`.
    std(x, dims: dims = Axes(None), correction: number = 1.0, keepdim: flag = false) -> tensor = if keepdim { x.std_keepdim(dims, correction) } else { x.std(dims, correction) };
    /// The `p`-norm of floats: `sum(|x|^p)^(1/p)`; the largest magnitude for infinity, the smallest for minus infinity, the number of elements that are not 0 for 0. At a norm of 0 its gradient is 0.
    norm(x, p: number = 2.0, dims: dims = Axes(None), keepdim: flag = false) -> tensor = if keepdim { x.norm_keepdim(p, dims) } else { x.norm(p, dims) };
    /// This divided by its `p`-norm along `dim`, or by `eps` where that is larger (`F.normalize`).
    normalize(x, p: number = 2.0, dim: int = 1, eps: number = 1e-12) -> tensor = x.normalize(p, dim, eps);
    /// u32 index of the largest element along `dim`: the first of equals, NaN counts as largest.
    argmax(x, dim: int = -1, keepdim: flag = false) -> tensor = if keepdim { x.argmax_keepdim(dim) } else { x.argmax(dim) };
    /// u32 index of the smallest element along `dim`: the first of equals, NaN counts as smallest.
    argmin(x, dim: int = -1, keepdim: flag = false) -> tensor = if keepdim { x.argmin_keepdim(dim) } else { x.argmin(dim) };
    /// The largest elements along `dim` and their u32 indices: the first of equals.
    maxDim(x, dim: int) -> pair = x.max_dim(dim);
    /// The smallest elements along `dim` and their u32 indices: the first of equals.
    minDim(x, dim: int) -> pair = x.min_dim(dim);
    /// The middle elements of `dim` in order (of an even number the lower one) and their u32 indices.
    median(x, dim: int = -1) -> pair = x.median(dim);
    /// The value below which the share `q` of the elements of `dim` lies, between two elements by their distances to it. Of floats.
    quantile(x, q: number, dim: int = -1) -> tensor = x.quantile(q, dim);
    /// Each element of `dim` but the first, less the one before.
    diff(x, dim: int = -1) -> tensor = x.diff(dim);
    /// Running sum along `dim`; of integers in i64.
    cumsum(x, dim: int) -> tensor = x.cumsum(dim);
    /// Running product along `dim`; of integers in i64.
    cumprod(x, dim: int) -> tensor = x.cumprod(dim);
    /// Sorted values along `dim` and the u32 indices they came from.
    sort(x, dim: int = -1, descending: flag = false) -> pair = x.sort(dim, descending);
    /// u32 indices that sort `dim`; equals keep their order, NaN counts as largest.
    argsort(x, dim: int = -1, descending: flag = false) -> tensor = x.argsort(dim, descending);
    /// The `k` largest values along `dim`, largest first (or smallest, smallest first), and the u32 indices they came from.
    topk(x, k: size, dim: int = -1, largest: flag = true) -> pair = x.topk(k, dim, largest);
    /// For each of `values` the u32 place in this ascending sequence at which it belongs: before elements equal to it, or after them if `right`. Sequences are the last dimension: one for all values, or one for each row of them.
    searchsorted(x, values: tensor, right: flag = false) -> tensor = x.searchsorted(&values, right);
    /// The number of the interval between ascending `boundaries` in which each element lies, as u32: intervals include their upper end, or their lower one if `right`.
    bucketize(x, boundaries: tensor, right: flag = false) -> tensor = x.bucketize(&boundaries, right);
    /// The same elements under another shape, one size of which may be `HOLE`.
    reshape(x, shape: shape) -> tensor = x.reshape(shape);
    /// Dimensions `start..=end` joined into one.
    flatten(x, start: int = 0, end: int = -1) -> tensor = x.flatten(start, end);
    /// Without a dimension of size 1; without an argument, without all of them.
    squeeze(x, dim: maybe_int = None) -> tensor = dim.map_or_else(|| x.squeeze_all(), |dim| x.squeeze(dim));
    /// With a new dimension of size 1 at `dim` (-1: after the last).
    unsqueeze(x, dim: int) -> tensor = x.unsqueeze(dim);
    /// Two dimensions exchanged.
    transpose(x, a: int, b: int) -> tensor = x.transpose(a, b);
    /// Dimension `i` of the result is `order[i]` of this.
    permute(x, order: sizes) -> tensor = x.permute(order);
    /// A matrix with rows and columns exchanged.
    t(x) -> tensor = x.t();
    /// Dimension `source` moved to the place `destination`, the others in their order.
    movedim(x, source: int, destination: int) -> tensor = x.movedim(source, destination);
    /// Dimension `dim` as several, of these sizes, one of which may be `hole`.
    unflatten(x, dim: int, sizes: shape) -> tensor = x.unflatten(dim, sizes);
    /// Repeated along dimensions of size 1 and new leading ones, without a copy.
    broadcastTo(x, shape: shape) -> tensor = x.broadcast_to(shape);
    /// PyTorch's `expand`: `broadcastTo` where `HOLE` keeps a size.
    expand(x, shape: shape) -> tensor = x.expand(shape);
    /// `expand` to the shape of another tensor.
    expandAs(x, other: tensor) -> tensor = x.expand_as(&other);
    /// Elements `start..start + len` of dimension `dim`.
    narrow(x, dim: int, start: size, length: size) -> tensor = x.narrow(dim, start, length);
    /// Index `index` of dimension `dim`, which goes away.
    select(x, dim: int, index: size) -> tensor = x.select(dim, index);
    /// PyTorch's square brackets: integers, ranges, `step`, `..` (a whole dimension), `Ellipsis`, `NewAxis`, index tensors and u8 masks, one for each dimension from the first on. Negative integers count from the end, in index tensors too. Several index tensors broadcast to each other, and their dimensions stand where the first was, or in front when something stands between them. Everything but index tensors gives a view.
    i(x, at: indices) -> tensor = x.i(at.0);
    /// Every `step`th index of dimension `dim`, from the first, as a view.
    step(x, dim: int, step: size) -> tensor = x.step(dim, step);
    /// Parts of dimension `dim`: of one size each (the last may be smaller), or of the sizes listed, which must add up to it.
    split(x, sizes: split, dim: int = 0) -> list = match sizes { Split::Each(size) => x.split(size, dim), Split::Sizes(sizes) => x.split(&sizes, dim) };
    /// At most `chunks` parts of dimension `dim`, equal but for the last; as PyTorch's `chunk`.
    chunk(x, chunks: size, dim: int = 0) -> list = x.chunk(chunks, dim);
    /// Every index of dimension `dim`, which goes away.
    unbind(x, dim: int = 0) -> list = x.unbind(dim);
    /// The whole tensor repeated so many times along each dimension; more numbers than dimensions make leading ones.
    repeat(x, repeats: sizes) -> tensor = x.repeat(repeats);
    /// `repeat` where fewer numbers than dimensions are those of the last ones.
    tile(x, repeats: sizes) -> tensor = x.tile(repeats);
    /// Each slice of `dim` repeated `repeats` times in place (key heads for grouped queries).
    repeatInterleave(x, repeats: size, dim: int) -> tensor = x.repeat_interleave(repeats, dim);
    /// Elements moved by `shift` along `dim`; those that leave at the end come in at the beginning.
    roll(x, shift: int, dim: int) -> tensor = x.roll(shift, dim);
    /// The order of elements reversed along dimensions.
    flip(x, dims: dims) -> tensor = x.flip(dims);
    /// The diagonal of dimensions `dim1` and `dim2` that lies `offset` places right of the main one (or left, if negative), as a new last dimension.
    diagonal(x, offset: int = 0, dim1: int = 0, dim2: int = 1) -> tensor = x.diagonal(offset, dim1, dim2);
    /// Of a vector the matrix with it on a diagonal, of a matrix that diagonal: the one `offset` places right of the main.
    diag(x, offset: int = 0) -> tensor = x.diag(offset);
    /// Matrices with the vectors of the last dimension on the diagonal that is `offset` places right of the main one.
    diagEmbed(x, offset: int = 0) -> tensor = x.diag_embed(offset);
    /// The lower triangle of each matrix (the last two dimensions), zeros above.
    tril(x, diagonal: int = 0) -> tensor = x.tril(diagonal);
    /// The upper triangle of each matrix (the last two dimensions), zeros below.
    triu(x, diagonal: int = 0) -> tensor = x.triu(diagonal);
    /// The same elements laid out row by row without gaps. Operations take any layout: this is never needed, and only helps when one tensor with a scattered layout is read many times.
    contiguous(x) -> tensor = x.contiguous();
    /// Elements converted as Rust's `as` does (saturating); block formats are dequantized, or quantized to.
    toDtype(x, dtype: dtype) -> tensor = x.to_dtype(dtype);
    /// Elements at integer `indices` along `dim`, one for each index; as PyTorch's `gather`.
    gather(x, dim: int, indices: tensor) -> tensor = x.gather(dim, &indices);
    /// Whole slices of `dim` at the 1-d integer `indices`.
    indexSelect(x, dim: int, indices: tensor) -> tensor = x.index_select(dim, &indices);
    /// Elements at integer `indices` of this tensor as one dimension, in the shape of the indices.
    take(x, indices: tensor) -> tensor = x.take(&indices);
    /// `gather` where sizes apart from `dim` broadcast: with the results of `argsort` or `argmaxKeepdim`, the elements that they name.
    takeAlongDim(x, indices: tensor, dim: int) -> tensor = x.take_along_dim(&indices, dim);
    /// This with `source` (a tensor of the indices' shape, or one number) in the place of its elements at integer `indices` along `dim`; of repeated indices the last wins.
    scatter(x, dim: int, indices: tensor, source: operand) -> tensor = x.scatter(dim, &indices, source);
    /// This with `source` added at integer `indices` along `dim`; repeated indices add up.
    scatterAdd(x, dim: int, indices: tensor, source: tensor) -> tensor = x.scatter_add(dim, &indices, &source);
    /// This with the slices of `source` added to its own at the 1-d integer `indices` of `dim`; repeated indices add up.
    indexAdd(x, dim: int, indices: tensor, source: tensor) -> tensor = x.index_add(dim, &indices, &source);
    /// This with the slices of `source` in the place of its own at the 1-d integer `indices` of `dim`.
    indexCopy(x, dim: int, indices: tensor, source: tensor) -> tensor = x.index_copy(dim, &indices, &source);
    /// This with `value` in the slices at the 1-d integer `indices` of `dim`.
    indexFill(x, dim: int, indices: tensor, value: number) -> tensor = x.index_fill(dim, &indices, value);
    /// This with `source` written at `start` of `dim`. In place when nothing else shares the memory, as for a cache that is handed on; otherwise into a copy.
    writeSlice(x, dim: int, start: size, source: tensor) -> tensor = x.write_slice(dim, start, &source);
    /// How often each of `0..classes` occurs among these integers, as i64.
    bincount(x, classes: size) -> tensor = x.bincount(classes);
    /// A new last dimension of `classes` i64: 1 at the place that each integer names, 0 elsewhere.
    oneHot(x, classes: size) -> tensor = x.one_hot(classes);
    /// The matrix product as PyTorch's: vectors and matrices of any combination, batches broadcast.
    matmul(x, other: tensor) -> tensor = x.matmul(&other);
    /// The product of two matrices.
    mm(x, other: tensor) -> tensor = x.mm(&other);
    /// The products of two equally long lists of matrices.
    bmm(x, other: tensor) -> tensor = x.bmm(&other);
    /// A matrix times a vector.
    mv(x, vector: tensor) -> tensor = x.mv(&vector);
    /// The sum of the products of two vectors' elements.
    dot(x, other: tensor) -> tensor = x.dot(&other);
    /// All products of an element of one vector with one of another.
    outer(x, other: tensor) -> tensor = x.outer(&other);
    /// `beta * self + alpha * (a x b)`, for matrices `a` and `b`.
    addmm(x, a: tensor, b: tensor, beta: number = 1.0, alpha: number = 1.0) -> tensor = x.addmm(&a, &b, beta, alpha);
    /// `beta * self + alpha * (a x b)`, for lists of matrices `a` and `b`.
    baddbmm(x, a: tensor, b: tensor, beta: number = 1.0, alpha: number = 1.0) -> tensor = x.baddbmm(&a, &b, beta, alpha);
    /// The sum of a matrix's diagonal.
    trace(x) -> tensor = x.trace();
    /// The sum of products over pairs of dimensions: `dims[i]` of this with `other_dims[i]` of the other. What is left of this comes before what is left of the other.
    tensordot(x, other: tensor, dims: ints, otherDims: ints) -> tensor = x.tensordot(&other, &dims, &otherDims);
    /// The Kronecker product: the other tensor times each element of this, side by side.
    kron(x, other: tensor) -> tensor = x.kron(&other);
    /// The `p`-norm distance of each row of `[.., n, d]` from each of `[.., m, d]`: `[.., n, m]`.
    cdist(x, other: tensor, p: number = 2.0) -> tensor = x.cdist(&other, p);
    /// The cosine of the angle between vectors along `dim`: their product over that of their lengths, or over `eps` where that is larger.
    cosineSimilarity(x, other: tensor, dim: int = 1, eps: number = 1e-8) -> tensor = x.cosine_similarity(&other, dim, eps);
    /// `x · wᵀ + bias`: x `[.., k]`, `w [n, k]` of any float or block dtype, `bias [n]`; the result has x's dtype.
    linear(x, weight: tensor, bias: maybe_tensor = None) -> tensor = x.linear(&weight, bias.as_ref());
    /// Rows of `table [n, d]` (any float or block dtype) at these integer ids, as `dtype`: `[..ids, d]`.
    embedding(x, table: tensor, dtype: dtype = DType::F32) -> tensor = x.embedding(&table, dtype);
    /// `e^x / sum(e^x)` along `dim`.
    softmax(x, dim: int = -1) -> tensor = x.softmax(dim);
    /// `softmax` of the negative.
    softmin(x, dim: int = -1) -> tensor = x.softmin(dim);
    /// The logarithm of `softmax`.
    logSoftmax(x, dim: int = -1) -> tensor = x.log_softmax(dim);
    /// `x / sqrt(mean(x²) + eps) * weight` over the last dimension; `weight [d]` of any float dtype.
    rmsNorm(x, weight: tensor, eps: number = 1e-6) -> tensor = x.rms_norm(&weight, eps);
    /// `(x - mean) / sqrt(variance + eps) * weight + bias` over the last dimension.
    layerNorm(x, weight: tensor, bias: maybe_tensor = None, eps: number = 1e-5) -> tensor = x.layer_norm(&weight, bias.as_ref(), eps);
    /// `(x - mean) / sqrt(variance + eps)` over groups of neighbouring channels of each `[n, c, ..]`, times a weight `[c]` plus a bias `[c]` (Wu & He 2018).
    groupNorm(x, groups: size, weight: maybe_tensor = None, bias: maybe_tensor = None, eps: number = 1e-5) -> tensor = x.group_norm(groups, weight.as_ref(), bias.as_ref(), eps);
    /// `groupNorm` with each channel a group of its own (Ulyanov et al. 2016).
    instanceNorm(x, weight: maybe_tensor = None, bias: maybe_tensor = None, eps: number = 1e-5) -> tensor = x.instance_norm(weight.as_ref(), bias.as_ref(), eps);
    /// `(x - mean) / sqrt(variance + eps) * weight + bias` with statistics `[c]` that are given: batch normalisation of `[n, c, ..]` when a model is used (Ioffe & Szegedy 2015).
    batchNorm(x, mean: tensor, variance: tensor, weight: maybe_tensor = None, bias: maybe_tensor = None, eps: number = 1e-5) -> tensor = x.batch_norm(&mean, &variance, weight.as_ref(), bias.as_ref(), eps);
    /// Batch normalisation of `[n, c, ..]` by the batch's own mean and variance, which are the second and third result, `[c]`: for running statistics, to which PyTorch adds the unbiased variance that this is.
    batchNormTrain(x, weight: maybe_tensor = None, bias: maybe_tensor = None, eps: number = 1e-5) -> triple = x.batch_norm_train(weight.as_ref(), bias.as_ref(), eps);
    /// Rotary embedding of x `[.., t, d]` by `cos` and `sin [t, r/2]`; elements from `r` on stay as they are.
    rope(x, cos: tensor, sin: tensor, layout: rope_layout = RopeLayout::Half) -> tensor = x.rope(&cos, &sin, layout);
    /// Attention of queries `[b, h, t, d]` to `k [b, g, s, d]` and `v [b, g, s, e]`, with an additive `mask` that broadcasts to `[b, h, t, s]`; gives `[b, h, t, e]`. A query that sees no key gives zeros.
    attention(x, k: tensor, v: tensor, mask: maybe_tensor = None, options: attention = AttentionSpec::default()) -> tensor = { let options = options.for_head(x.dim(-1)?); x.attention(&k, &v, mask.as_ref(), options) };
    /// `gate(self) * other`, as in gated feed-forward layers.
    gated(x, gate: gate, other: tensor) -> tensor = x.gated(gate, &other);
    /// `[n, c, length]` by a weight `[outputs, c / groups, taps]` and a bias `[outputs]`, as PyTorch's `conv1d`.
    conv1d(x, weight: tensor, bias: maybe_tensor = None, options: conv1 = ConvOptions::default()) -> tensor = x.conv1d(&weight, bias.as_ref(), &options);
    /// `[n, c, h, w]` by a weight `[outputs, c / groups, kh, kw]` and a bias `[outputs]`, as PyTorch's `conv2d`.
    conv2d(x, weight: tensor, bias: maybe_tensor = None, options: conv2 = ConvOptions::default()) -> tensor = x.conv2d(&weight, bias.as_ref(), &options);
    /// `[n, c, length]` by a weight `[c, outputs / groups, taps]` and a bias `[outputs]`, as PyTorch's `conv_transpose1d`: the gradient of `conv1d` to its input.
    convTranspose1d(x, weight: tensor, bias: maybe_tensor = None, options: conv_transpose1 = ConvTransposeOptions::default()) -> tensor = x.conv_transpose1d(&weight, bias.as_ref(), &options);
    /// `[n, c, h, w]` by a weight `[c, outputs / groups, kh, kw]` and a bias `[outputs]`, as PyTorch's `conv_transpose2d`: the gradient of `conv2d` to its input.
    convTranspose2d(x, weight: tensor, bias: maybe_tensor = None, options: conv_transpose2 = ConvTransposeOptions::default()) -> tensor = x.conv_transpose2d(&weight, bias.as_ref(), &options);
    /// The largest of each window of `[n, c, length]`; NaN if there is one.
    maxPool1d(x, kernel: size1, options: max_pool1 = MaxPoolOptions::default()) -> tensor = x.max_pool1d(kernel, &options);
    /// The largest of each window of `[n, c, h, w]`; NaN if there is one.
    maxPool2d(x, kernel: size2, options: max_pool2 = MaxPoolOptions::default()) -> tensor = x.max_pool2d(kernel, &options);
    /// `maxPool2d` and the u32 index in `h * w` of each result, the first of equals.
    maxPool2dWithIndices(x, kernel: size2, options: max_pool2 = MaxPoolOptions::default()) -> pair = x.max_pool2d_with_indices(kernel, &options);
    /// The mean of each window of `[n, c, length]`.
    avgPool1d(x, kernel: size1, options: avg_pool1 = AvgPoolOptions::default()) -> tensor = x.avg_pool1d(kernel, &options);
    /// The mean of each window of `[n, c, h, w]`.
    avgPool2d(x, kernel: size2, options: avg_pool2 = AvgPoolOptions::default()) -> tensor = x.avg_pool2d(kernel, &options);
    /// Means of windows that cover `[n, c, length]` in `size` parts.
    adaptiveAvgPool1d(x, size: size1) -> tensor = x.adaptive_avg_pool1d(size);
    /// Means of windows that cover `[n, c, h, w]` in `size` parts.
    adaptiveAvgPool2d(x, size: size2) -> tensor = x.adaptive_avg_pool2d(size);
    /// The largest of windows that cover `[n, c, length]` in `size` parts.
    adaptiveMaxPool1d(x, size: size1) -> tensor = x.adaptive_max_pool1d(size);
    /// The largest of windows that cover `[n, c, h, w]` in `size` parts.
    adaptiveMaxPool2d(x, size: size2) -> tensor = x.adaptive_max_pool2d(size);
    /// With borders around the last dimensions, in PyTorch's order: `[left, right, top, bottom, …]`, the last dimension first. Negative numbers cut. The borders of `reflect` are smaller than the dimension.
    pad(x, pads: ints, mode: pad_mode = Name("constant"), value: number = 0.0) -> tensor = x.pad(&pads, pad_mode(mode, value));
    /// All windows of `size` elements that begin every `step` along `dim`, which becomes the windows; their elements are a new last dimension. A view, as in PyTorch: nothing is copied.
    unfold(x, dim: int, size: size, step: size = 1) -> tensor = x.unfold(dim, size, step);
    /// The windows of images `[n, c, h, w]` as columns `[n, c * kh * kw, windows]`: PyTorch's `nn.functional.unfold`.
    im2col(x, kernel: size2, options: window = WindowOptions::default()) -> tensor = x.im2col(kernel, &options);
    /// Columns `[n, c * kh * kw, windows]` added at their windows of images of `size`: PyTorch's `nn.functional.fold`.
    col2im(x, size: size2, kernel: size2, options: window = WindowOptions::default()) -> tensor = x.col2im(size, kernel, &options);
    /// `[.., c * f², h, w]` → `[.., c, h * f, w * f]` for a factor f (Shi et al. 2016).
    pixelShuffle(x, factor: size) -> tensor = x.pixel_shuffle(factor);
    /// The reverse of `pixelShuffle`: `[.., c, h * f, w * f]` → `[.., c * f², h, w]`.
    pixelUnshuffle(x, factor: size) -> tensor = x.pixel_unshuffle(factor);
    /// A batch of signals `[n, c, length]` or images `[n, c, h, w]` in another size, as PyTorch's `nn.functional.interpolate`. With `alignCorners` the first and last elements stay where they are; the nearest element takes no notice of it.
    interpolate(x, size: interpolate_size, mode: interpolation = Interpolation::Nearest, alignCorners: flag = false) -> tensor = x.interpolate(size.as_size(), mode, alignCorners);
    /// The discrete Fourier transform of real numbers along the last dimension: `[.., n]` → `[.., n/2 + 1, 2]`.
    rfft(x) -> tensor = x.rfft();
    /// The inverse of `rfft`: `[.., n/2 + 1, 2]` → `[.., n]`.
    irfft(x, n: size) -> tensor = x.irfft(n);
    /// The short-time Fourier transform of signals `[length]` or `[n, length]`: `[.., frequencies, frames, 2]`, as PyTorch's `stft(…, return_complex=False)`. Without a `window` all elements of a frame count alike.
    stft(x, options: stft, window: maybe_tensor = None) -> tensor = x.stft(window.as_ref(), &options);
    /// The signal of which this is the `stft` by the same window and options, by least squares (Griffin & Lim 1984); `length` cuts or pads it with zeros.
    istft(x, options: stft, window: maybe_tensor = None, length: maybe_size = None) -> tensor = x.istft(window.as_ref(), length, &options);
    /// Zeros in the shape, dtype and device of this tensor.
    zerosLike(x) -> tensor = x.zeros_like();
    /// Ones in the shape, dtype and device of this tensor.
    onesLike(x) -> tensor = x.ones_like();
    /// `value` in the shape, dtype and device of this tensor.
    fullLike(x, value: number) -> tensor = x.full_like(value);
    /// `rand` in the shape, dtype and device of this tensor.
    randLike(x) -> tensor = x.rand_like(Generator::global());
    /// `randn` in the shape, dtype and device of this tensor.
    randnLike(x) -> tensor = x.randn_like(Generator::global());
    /// 1 with the probability that each element of this float tensor gives, else 0; in its dtype. Not differentiable: the result is not tracked.
    bernoulli(x) -> tensor = x.bernoulli(Generator::global());
    /// For each row (the last dimension) of non-negative weights, `samples` u32 indices drawn with probabilities in proportion to them. Without replacement no index is drawn twice (by the largest of `weight / exponential`: Efraimidis & Spirakis 2006).
    multinomial(x, samples: size, replacement: flag = false) -> tensor = x.multinomial(samples, replacement, Generator::global());
    /// This tensor as a leaf that gradients are wanted of. Integer tensors have none and stay as they are.
    requiresGrad(x) -> tensor = Ok(x.requires_grad());
    /// The same memory outside the graph: gradients stop here.
    detach(x) -> tensor = Ok(x.detach());
    /// Are all elements close, as `isclose` says?
    allclose(x, other: tensor, rtol: number = 1e-5, atol: number = 1e-8, equalNan: flag = false) -> read_flag = x.allclose(&other, rtol, atol, equalNan);
    /// Indices of the elements that are not 0: i64 `[count, rank]`.
    nonzero(x) -> read = x.nonzero();
    /// The elements where the mask is not 0, as a vector.
    maskedSelect(x, mask: tensor) -> read = x.masked_select(&mask);
    /// The different elements in ascending order, and how often each occurs.
    unique(x) -> read_pair = x.unique();
}

functions! {
    /// Zeros.
    zeros(shape: shape, dtype: dtype = DType::F32) -> tensor = Tensor::zeros(shape, dtype, &Device::cpu());
    /// Ones.
    ones(shape: shape, dtype: dtype = DType::F32) -> tensor = Tensor::ones(shape, dtype, &Device::cpu());
    /// One value everywhere.
    full(shape: shape, value: number, dtype: dtype = DType::F32) -> tensor = Tensor::full(value, shape, dtype, &Device::cpu());
    /// A tensor to be written over.
    empty(shape: shape, dtype: dtype = DType::F32) -> tensor = Tensor::empty(shape, dtype, &Device::cpu());
    /// `start, start + step, …` before `end`.
    arange(start: number, end: number, step: number = 1.0, dtype: dtype = DType::F32) -> tensor = Tensor::arange_step(start, end, step, dtype, &Device::cpu());
    /// `steps` numbers at equal distances, both ends among them.
    linspace(start: number, end: number, steps: size, dtype: dtype = DType::F32) -> tensor = Tensor::linspace(start, end, steps, dtype, &Device::cpu());
    /// Powers of `base` at equal distances of their exponents.
    logspace(start: number, end: number, steps: size, base: number = 10.0, dtype: dtype = DType::F32) -> tensor = Tensor::logspace(start, end, steps, base, dtype, &Device::cpu());
    /// The identity matrix.
    eye(n: size, dtype: dtype = DType::F32) -> tensor = Tensor::eye(n, dtype, &Device::cpu());
    /// u8 1 on and below a diagonal, 0 above.
    trilMask(rows: size, columns: size, diagonal: int = 0) -> tensor = Tensor::tril_mask(rows, columns, diagonal, &Device::cpu());
    /// u8 1 on and above a diagonal, 0 below.
    triuMask(rows: size, columns: size, diagonal: int = 0) -> tensor = Tensor::triu_mask(rows, columns, diagonal, &Device::cpu());
    /// Random numbers from 0 to below 1.
    rand(shape: shape, dtype: dtype = DType::F32) -> tensor = Tensor::rand(shape, dtype, &Device::cpu(), Generator::global());
    /// Random numbers of the normal distribution.
    randn(shape: shape, dtype: dtype = DType::F32) -> tensor = Tensor::randn(shape, dtype, &Device::cpu(), Generator::global());
    /// Random integers from `low` to below `high`.
    randint(low: int, high: int, shape: shape, dtype: dtype = DType::I64) -> tensor = Tensor::randint(low as i64, high as i64, shape, dtype, &Device::cpu(), Generator::global());
    /// The integers below `n` in random order.
    randperm(n: size) -> tensor = Tensor::randperm(n, &Device::cpu(), Generator::global());
    /// Seeds the random numbers: the same seed, the same numbers.
    manualSeed(seed: size) -> nothing = { crate::manual_seed(seed as u64); Ok(()) };
    /// Joined along a dimension.
    cat(tensors: tensors, dim: int = 0) -> tensor = Tensor::cat(&tensors.iter().collect::<Vec<_>>(), dim);
    /// Joined along a new dimension.
    stack(tensors: tensors, dim: int = 0) -> tensor = Tensor::stack(&tensors.iter().collect::<Vec<_>>(), dim);
    /// Joined side by side.
    hstack(tensors: tensors) -> tensor = Tensor::hstack(&tensors.iter().collect::<Vec<_>>());
    /// Joined one above the other.
    vstack(tensors: tensors) -> tensor = Tensor::vstack(&tensors.iter().collect::<Vec<_>>());
    /// Vectors as grids.
    meshgrid(vectors: tensors, indexing: indexing = Indexing::Ij) -> list = Tensor::meshgrid(&vectors.iter().collect::<Vec<_>>(), indexing);
    /// All in the shape that they broadcast to.
    broadcastTensors(tensors: tensors) -> list = Tensor::broadcast_tensors(&tensors.iter().collect::<Vec<_>>());
    /// Einstein's summation: `einsum('bij,bjk->bik', [a, b])`.
    einsum(equation: text, operands: tensors) -> tensor = Tensor::einsum(&equation, &operands.iter().collect::<Vec<_>>());
    /// Gradients of `outputs` with respect to `inputs`; null for an input that they do not depend on. `createGraph` lets them be
    /// differentiated again.
    grad(outputs: tensors, inputs: tensors, gradOutputs: maybe_tensors = None, createGraph: flag = false) -> maybe_list = {
        let grads = gradOutputs.as_ref().map(|g| g.iter().collect::<Vec<_>>());
        let options = GradOptions { grad_outputs: grads.as_deref(), create_graph: createGraph };
        autograd::grad(&outputs.iter().collect::<Vec<_>>(), &inputs.iter().collect::<Vec<_>>(), options)
    };
    /// The mean cross-entropy of logits `[n, classes]` and integer classes `[n]`.
    crossEntropy(logits: tensor, target: tensor) -> tensor = loss::cross_entropy(&logits, &target, loss::CrossEntropyOptions::default());
    /// The mean of squared differences.
    mseLoss(input: tensor, target: tensor, reduction: reduction = loss::Reduction::Mean) -> tensor = loss::mse_loss(&input, &target, reduction);
    /// The mean of absolute differences.
    l1Loss(input: tensor, target: tensor, reduction: reduction = loss::Reduction::Mean) -> tensor = loss::l1_loss(&input, &target, reduction);
    /// Binary cross-entropy of logits and targets from 0 to 1.
    binaryCrossEntropyWithLogits(logits: tensor, target: tensor) -> tensor = loss::binary_cross_entropy_with_logits(&logits, &target, loss::BceOptions::default());
}
