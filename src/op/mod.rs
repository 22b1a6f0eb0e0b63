//! The closed set of operations.
//!
//! Every computation on tensors is one of these. Each has shape and dtype inference ([`Op::infer`]) and, when it is a
//! fused one, a decomposition into primitives ([`Op::decompose`]); gradient rules stand beside them. Operations have one
//! result. Views (permute, narrow, broadcast, most reshapes) are layouts, not operations.

#[cfg_attr(
    not(any(feature = "all-ops", feature = "whisper")),
    expect(dead_code, reason = "what only other builds need")
)]
mod conv;
mod custom;
mod elementwise;
#[cfg_attr(
    not(any(feature = "all-ops", feature = "whisper")),
    expect(dead_code, reason = "what only other builds need")
)]
mod fft;
mod fused;
mod gradient;
mod index;
mod matmul;
pub(crate) mod pad;
mod pool;
mod reduce;
#[cfg_attr(
    not(any(feature = "all-ops", feature = "webgpu")),
    expect(dead_code, reason = "what only other builds need")
)]
mod sample;

pub use conv::Convolution;
pub(crate) use conv::{check as check_conv, check_bias as check_conv_bias};
pub use custom::{Custom, CustomOp};
pub use fused::heads::Heads;
pub(crate) use fused::{attention::visible, projections::first_weight};
pub use gradient::Backward;
pub use pool::Windows;
pub use sample::Sampling;

use crate::{
    backend::Meta,
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    tensor::Tensor,
};

/// Elementwise functions of one operand.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    Neg,
    Abs,
    Sign,
    Exp,
    Log,
    Sqrt,
    Rsqrt,
    Recip,
    Sqr,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    /// `2^x`
    Exp2,
    /// `e^x - 1`
    Expm1,
    Log2,
    Log10,
    /// `log(1 + x)`
    Log1p,
    Erf,
    /// The inverse of `Erf`.
    Erfinv,
    Floor,
    Ceil,
    Round,
    /// Towards zero.
    Trunc,
    Sigmoid,
    Relu,
    Silu,
    /// GELU by the error function.
    Gelu,
    /// GELU by the tanh approximation (`gelu_pytorch_tanh`).
    GeluTanh,
}

/// Elementwise functions of two operands (same dtype, shapes already broadcast to each other).
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    /// The angle of the point `(b, a)`.
    Atan2,
    /// What division leaves, with the divisor's sign.
    Remainder,
    /// What division leaves, with the dividend's sign.
    Fmod,
    /// `sqrt(a² + b²)` without overflow on the way.
    Hypot,
    /// `a` with the sign of `b`.
    Copysign,
    /// Of the bits of integers, as the four below.
    BitAnd,
    BitOr,
    BitXor,
    /// `a * 2^b`
    Shl,
    /// `floor(a / 2^b)`
    Shr,
}

/// Comparisons; the result is u8, 1 for true.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Reductions over dimensions.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
}

/// How rotary embedding pairs elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RopeLayout {
    /// Elements `2i` and `2i + 1` (GPT-J; llama-architecture GGUF files).
    Interleaved,
    /// Elements `i` and `i + d/2` (GPT-NeoX; Hugging Face checkpoints).
    Half,
}

/// The gate of a gated activation: `gate(a) * b`.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gate {
    Silu,
    Gelu,
    GeluTanh,
    Relu,
}

impl Unary {
    /// What a user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Sign => "sign",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Sqrt => "sqrt",
            Self::Rsqrt => "rsqrt",
            Self::Recip => "recip",
            Self::Sqr => "sqr",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Tan => "tan",
            Self::Asin => "asin",
            Self::Acos => "acos",
            Self::Atan => "atan",
            Self::Sinh => "sinh",
            Self::Cosh => "cosh",
            Self::Tanh => "tanh",
            Self::Asinh => "asinh",
            Self::Acosh => "acosh",
            Self::Atanh => "atanh",
            Self::Exp2 => "exp2",
            Self::Expm1 => "expm1",
            Self::Log2 => "log2",
            Self::Log10 => "log10",
            Self::Log1p => "log1p",
            Self::Erf => "erf",
            Self::Erfinv => "erfinv",
            Self::Floor => "floor",
            Self::Ceil => "ceil",
            Self::Round => "round",
            Self::Trunc => "trunc",
            Self::Sigmoid => "sigmoid",
            Self::Relu => "relu",
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
        }
    }
}

impl Binary {
    /// What a user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Pow => "pow",
            Self::Min => "minimum",
            Self::Max => "maximum",
            Self::Atan2 => "atan2",
            Self::Remainder => "remainder",
            Self::Fmod => "fmod",
            Self::Hypot => "hypot",
            Self::Copysign => "copysign",
            Self::BitAnd => "bitwise_and",
            Self::BitOr => "bitwise_or",
            Self::BitXor => "bitwise_xor",
            Self::Shl => "bitwise_left_shift",
            Self::Shr => "bitwise_right_shift",
        }
    }
}

impl Compare {
    /// What a user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
        }
    }
}

impl Reduce {
    /// What a user calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Min => "min",
            Self::Prod => "prod",
        }
    }
}

/// One input as inference sees it.
type Input<'a> = (&'a Layout, DType);

/// An operation with its parameters. Inputs are given apart, in the order that each line states.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    // ---- primitives
    /// `[x]` → same elements, contiguous.
    Copy,
    /// `[x]` → converted to the dtype, saturating as Rust's `as`. From block formats: dequantized.
    Cast(DType),
    /// `[x]`
    Unary(Unary),
    /// `[a, b]`
    Binary(Binary),
    /// `[x]` → `x * mul + add` (integers: rounded parameters).
    Affine {
        /// Factor.
        mul: f64,
        /// Summand.
        add: f64,
    },
    /// `[x]` → limited to `min..=max`.
    Clamp {
        /// Lower limit.
        min: f64,
        /// Upper limit.
        max: f64,
    },
    /// `[a, b]` → u8
    Compare(Compare),
    /// `[condition u8, a, b]`
    Where,
    /// `[x]` → reduced over `dims` (sorted, distinct), kept as size 1 if `keep_dims`. Sums and products of integers
    /// are i64, as in PyTorch.
    Reduce {
        /// Which reduction.
        reduce: Reduce,
        /// Dimensions reduced.
        dims: Vec<usize>,
        /// Keep them as size 1.
        keep_dims: bool,
    },
    /// `[x]` → u32 index of the largest (`max`) or smallest element along `dim`; the first of equals.
    ArgReduce {
        /// Largest rather than smallest.
        max: bool,
        /// Dimension.
        dim: usize,
        /// Keep it as size 1.
        keep_dim: bool,
    },
    /// `[x]` → running sum along `dim`; of integers in i64, as in PyTorch.
    CumSum {
        /// Dimension.
        dim: usize,
    },
    /// `[x]` → running product along `dim`; of integers in i64, as in PyTorch.
    CumProd {
        /// Dimension.
        dim: usize,
    },
    /// `[x]` → u32 indices that sort `dim`; stable.
    ArgSort {
        /// Dimension.
        dim: usize,
        /// Largest first.
        descending: bool,
    },
    /// `[x]` → u32 indices of the `k` largest (or smallest) along the last dimension, the most extreme first.
    TopK {
        /// How many.
        k: usize,
        /// Largest rather than smallest.
        largest: bool,
    },
    /// `[x0, x1, …]` joined along `dim`.
    Cat {
        /// Dimension.
        dim: usize,
    },
    /// `[x, indices]` → `out[..i..] = x[..indices[..i..]..]` along `dim` (PyTorch's `gather`).
    Gather {
        /// Dimension.
        dim: usize,
    },
    /// `[x, indices 1-d]` → whole slices of `dim` (PyTorch's `index_select`).
    IndexSelect {
        /// Dimension.
        dim: usize,
    },
    /// `[x, indices, source]` → x with `source` added at `indices` along `dim` (PyTorch's `scatter_add`).
    ScatterAdd {
        /// Dimension.
        dim: usize,
    },
    /// `[x, indices, source]` → x with `source` in the place of its elements at `indices` along `dim` (PyTorch's `scatter`);
    /// of repeated indices the last wins.
    Scatter {
        /// Dimension.
        dim: usize,
    },
    /// `[a, b]`: `[.., m, k] x [.., k, n]`, batch dimensions equal (already broadcast).
    Matmul,
    /// `[x [n, c, h, w]]` → u32 index (in `h * w`) of the largest element of each window; the first of equals, a NaN before
    /// all.
    MaxIndices {
        /// Windows along the height.
        rows: Windows,
        /// Windows along the width.
        columns: Windows,
    },

    // ---- fused; each has a decomposition
    /// `[x [.., k], w [n, k]]` or with `bias [n]` → `x · wᵀ + bias`; `w` of any dtype, the result has x's.
    Linear,
    /// `[ids, table [n, d]]` → rows as `dtype`; table of any dtype.
    Embedding {
        /// Result dtype.
        dtype: DType,
    },
    /// `[x]` softmax along `dim`.
    Softmax {
        /// Dimension.
        dim: usize,
    },
    /// `[x]` log-softmax along `dim`.
    LogSoftmax {
        /// Dimension.
        dim: usize,
    },
    /// `[x, weight]` over the last dimension: `x / sqrt(mean(x²) + eps) * weight` (Zhang & Sennrich 2019).
    RmsNorm {
        /// Added to the mean square.
        eps: f64,
    },
    /// `[x, weight]` or `[x, weight, bias]` over the last dimension (Ba et al. 2016).
    LayerNorm {
        /// Added to the variance.
        eps: f64,
    },
    /// `[x [.., t, d], cos [t, r/2], sin [t, r/2]]`: the first `r` of `d` elements rotated (Su et al. 2021).
    Rope {
        /// Which elements pair up.
        layout: RopeLayout,
    },
    /// `[q [b, h, t, d], k [b, g, s, d], v [b, g, s, e]]` or with an additive `mask` broadcasting to `[b, h, t, s]`
    /// → `[b, h, t, e]`; `h` a multiple of `g` (grouped queries). A query that sees no key gives zeros.
    Attention {
        /// Factor on the scores, usually `1/sqrt(d)`.
        scale: f32,
        /// Query `i` sees keys up to `s - t + i`.
        causal: bool,
        /// Of those, only the last `window` (sliding-window attention).
        window: Option<usize>,
        /// `cap * tanh(score / cap)` before masking (Gemma 2).
        softcap: Option<f32>,
    },
    /// `[a, b]` → `gate(a) * b`.
    Gated(Gate),
    /// `[x [.., k], w [n, k], w' [n', k], …]` → `[.., n + n' + …]`: the products `x · wᵀ` side by side. With `norm`, a weight
    /// `[k]` of an RMS norm of `x`, which comes first, stands before the others.
    Linears {
        /// Added to the mean square.
        norm: Option<f64>,
    },
    /// `[x [.., k], g [n, k], u [n, k]]` → `gate(x · gᵀ) * (x · uᵀ)`; `norm` as in [`Op::Linears`].
    GatedLinears {
        /// Of the first product.
        gate: Gate,
        /// Added to the mean square.
        norm: Option<f64>,
    },
    /// `[x [.., k], w [n, k], residual [.., n]]` → `residual + x · wᵀ`.
    LinearAdd,
    /// `[x, weight, residual]` → `residual + rms_norm(x)`.
    RmsNormAdd {
        /// Added to the mean square.
        eps: f64,
    },
    /// `[x [b, t, (queries + 2 · keys) · d], cos [t, r/2], sin [t, r/2]]`, of which x holds queries, keys and values side by
    /// side, or with `query_norm [d], key_norm [d]` → `[b, queries + 2 · keys, t, d]`: the heads, those of queries and keys
    /// RMS-normalised (if norms are given) and rotated.
    Heads(Heads),
    /// `[logits [rows, tokens]]` → u32 `[rows]`: a token for each row.
    Sample(Sampling),
    /// `[x [n, c, h, w], weight [o, c / groups, kh, kw]]` or with `bias [o]` → `[n, o, ..size]`: cross-correlation.
    Conv(Convolution),
    /// `[x [n, o, h, w], weight [o, c / groups, kh, kw]]` or with `bias [c]` → `[n, c, ..size]`: the transpose of the
    /// convolution of that geometry.
    ConvTranspose(Convolution),
    /// `[x [.., n]]` → `[.., n/2 + 1, 2]`: the discrete Fourier transform, real and imaginary parts.
    Rfft,
    /// `[x [.., n/2 + 1, 2]]` → `[.., n]`: the inverse of [`Op::Rfft`].
    Irfft {
        /// How many real numbers.
        n: usize,
    },

    /// Any inputs: an operation from outside the crate.
    Custom(Custom),
}

impl Op {
    /// The operation's name in messages: what a user would call it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Copy => "contiguous",
            Op::Cast(_) => "to_dtype",
            Op::Unary(op) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Affine { .. } => "affine",
            Op::Clamp { .. } => "clamp",
            Op::Compare(op) => op.name(),
            Op::Where => "where_cond",
            Op::Reduce { reduce, .. } => reduce.name(),
            Op::ArgReduce { max: true, .. } => "argmax",
            Op::ArgReduce { max: false, .. } => "argmin",
            Op::CumSum { .. } => "cumsum",
            Op::CumProd { .. } => "cumprod",
            Op::ArgSort { .. } => "argsort",
            Op::TopK { .. } => "topk",
            Op::Cat { .. } => "cat",
            Op::Gather { .. } => "gather",
            Op::IndexSelect { .. } => "index_select",
            Op::ScatterAdd { .. } => "scatter_add",
            Op::Scatter { .. } => "scatter",
            Op::Matmul => "matmul",
            Op::Linear => "linear",
            Op::Embedding { .. } => "embedding",
            Op::Softmax { .. } => "softmax",
            Op::LogSoftmax { .. } => "log_softmax",
            Op::RmsNorm { .. } => "rms_norm",
            Op::LayerNorm { .. } => "layer_norm",
            Op::Rope { .. } => "rope",
            Op::Attention { .. } => "attention",
            Op::Gated(_) => "gated",
            Op::Linears { .. } => "linears",
            Op::GatedLinears { .. } => "gated_linears",
            Op::LinearAdd => "linear_add",
            Op::RmsNormAdd { .. } => "rms_norm_add",
            Op::Heads(_) => "heads",
            Op::Sample(_) => "sample",
            Op::MaxIndices { .. } => "max_pool2d",
            Op::Conv(_) => "conv2d",
            Op::ConvTranspose(_) => "conv_transpose2d",
            Op::Rfft => "rfft",
            Op::Irfft { .. } => "irfft",
            Op::Custom(op) => op.0.name(),
        }
    }

    /// How many inputs it takes: least and most.
    fn arity(&self) -> (usize, usize) {
        match self {
            Op::Binary(_) | Op::Compare(_) | Op::Gather { .. } | Op::IndexSelect { .. } => (2, 2),
            Op::Matmul | Op::Embedding { .. } | Op::RmsNorm { .. } | Op::Gated(_) => (2, 2),
            Op::Linear | Op::LayerNorm { .. } | Op::Conv(_) | Op::ConvTranspose(_) => (2, 3),
            Op::Where | Op::ScatterAdd { .. } | Op::Scatter { .. } | Op::Rope { .. } => (3, 3),
            Op::LinearAdd | Op::RmsNormAdd { .. } => (3, 3),
            Op::Attention { .. } => (3, 4),
            Op::GatedLinears { norm, .. } => (first_weight(*norm) + 2, first_weight(*norm) + 2),
            Op::Linears { norm } => (first_weight(*norm) + 1, usize::MAX),
            Op::Heads(heads) => (if heads.norm.is_some() { 5 } else { 3 }, 5),
            Op::Cat { .. } | Op::Custom(_) => (1, usize::MAX),
            _ => (1, 1),
        }
    }

    /// May input `i` be of a block format?
    fn takes_blocks(&self, i: usize) -> bool {
        match self {
            Op::Copy | Op::Cast(_) | Op::Cat { .. } | Op::Custom(_) => true,
            Op::Linear | Op::LinearAdd | Op::Embedding { .. } => i == 1,
            Op::Linears { norm } | Op::GatedLinears { norm, .. } => i >= first_weight(*norm),
            _ => false,
        }
    }

    /// Shape and dtype of the result.
    ///
    /// # Errors
    /// What is wrong with the inputs: their number, shapes or dtypes.
    pub fn infer(&self, inputs: &[(&Layout, DType)]) -> Result<Meta> {
        let name = self.name();
        let (min, max) = self.arity();
        if !(min..=max).contains(&inputs.len()) {
            return Err(Error::argument(name, format!("{} inputs given, takes {min}", inputs.len())));
        }
        for (i, &(_, dtype)) in inputs.iter().enumerate() {
            if dtype.is_quantized() && !self.takes_blocks(i) {
                let message = format!("{dtype} is a block format; dequantize it with to_dtype first");
                return Err(Error::dtype(name, message));
            }
        }
        match self {
            Op::Copy
            | Op::Cast(_)
            | Op::Unary(_)
            | Op::Binary(_)
            | Op::Affine { .. }
            | Op::Clamp { .. }
            | Op::Compare(_)
            | Op::Where => elementwise::infer(self, inputs),
            Op::Reduce { .. }
            | Op::ArgReduce { .. }
            | Op::CumSum { .. }
            | Op::CumProd { .. }
            | Op::ArgSort { .. }
            | Op::TopK { .. } => reduce::infer(self, inputs),
            Op::Cat { .. }
            | Op::Gather { .. }
            | Op::IndexSelect { .. }
            | Op::ScatterAdd { .. }
            | Op::Scatter { .. } => index::infer(self, inputs),
            Op::Matmul => matmul::infer(inputs),
            Op::Linear => fused::linear::infer_linear(inputs),
            Op::Embedding { dtype } => fused::linear::infer_embedding(*dtype, inputs),
            Op::Softmax { dim } | Op::LogSoftmax { dim } => fused::softmax::infer(name, *dim, inputs),
            Op::RmsNorm { .. } | Op::LayerNorm { .. } => fused::norm::infer(name, inputs),
            Op::Rope { .. } => fused::rope::infer(inputs),
            Op::Attention { .. } => fused::attention::infer(inputs),
            Op::Gated(_) => fused::gated::infer(inputs),
            Op::Linears { norm } => fused::projections::infer_linears(*norm, inputs),
            Op::GatedLinears { norm, .. } => fused::projections::infer_gated_linears(*norm, inputs),
            Op::LinearAdd => fused::projections::infer_linear_add(inputs),
            Op::RmsNormAdd { .. } => fused::norm::infer_add(inputs),
            Op::Heads(heads) => fused::heads::infer(heads, inputs),
            Op::Sample(_) => sample::infer(inputs),
            Op::MaxIndices { rows, columns } => pool::infer(rows, columns, inputs),
            Op::Conv(conv) => conv::infer(conv, false, inputs),
            Op::ConvTranspose(conv) => conv::infer(conv, true, inputs),
            Op::Rfft => fft::infer_rfft(inputs),
            Op::Irfft { n } => fft::infer_irfft(*n, inputs),
            Op::Custom(op) => op.0.infer(inputs),
        }
    }

    /// A fused operation computed by primitives (and simpler fused ones). `None` for primitives.
    pub fn decompose(&self, inputs: &[&Tensor]) -> Option<Result<Tensor>> {
        let input = |i: usize| inputs.get(i).copied();
        let (a, b, c) = (input(0)?, input(1), input(2));
        Some(match self {
            Op::Linear => fused::linear::decompose_linear(a, b?, c),
            Op::Embedding { dtype } => fused::linear::decompose_embedding(*dtype, a, b?),
            Op::Softmax { dim } => fused::softmax::decompose(*dim, a),
            Op::LogSoftmax { dim } => fused::softmax::decompose_log(*dim, a),
            Op::RmsNorm { eps } => fused::norm::decompose_rms(*eps, a, b?),
            Op::LayerNorm { eps } => fused::norm::decompose_layer(*eps, a, b?, c),
            Op::Rope { layout } => fused::rope::decompose(*layout, a, b?, c?),
            Op::Attention { scale, causal, window, softcap } => {
                fused::attention::decompose((*scale, *causal, *window, *softcap), a, b?, c?, input(3))
            }
            Op::Gated(gate) => fused::gated::decompose(*gate, a, b?),
            Op::Linears { norm } => fused::projections::decompose_linears(*norm, inputs),
            Op::GatedLinears { gate, norm } => fused::projections::decompose_gated_linears(*gate, *norm, inputs),
            Op::LinearAdd => fused::projections::decompose_linear_add(a, b?, c?),
            Op::RmsNormAdd { eps } => fused::norm::decompose_add(*eps, a, b?, c?),
            Op::Heads(heads) => fused::heads::decompose(heads, inputs),
            #[cfg(any(feature = "all-ops", feature = "webgpu"))]
            Op::Sample(sampling) => sample::decompose(sampling, a),
            #[cfg(any(feature = "all-ops", feature = "whisper"))]
            Op::Conv(conv) => conv::decompose(conv, a, b?, c),
            #[cfg(any(feature = "all-ops", feature = "whisper"))]
            Op::ConvTranspose(conv) => conv::decompose_transpose(conv, a, b?, c),
            #[cfg(any(feature = "all-ops", feature = "whisper"))]
            Op::Rfft => fft::decompose_rfft(a),
            #[cfg(any(feature = "all-ops", feature = "whisper"))]
            Op::Irfft { n } => fft::decompose_irfft(*n, a),
            Op::Custom(op) => return op.0.decompose(inputs),
            _ => return None,
        })
    }
}

/// The error for a dtype that is none of the wanted kind.
fn wrong_dtype(name: &'static str, wanted: &str, found: DType) -> Error {
    Error::dtype(name, format!("takes {wanted}, got {found}; cast with to_dtype"))
}

fn want_float(name: &'static str, dtype: DType) -> Result<()> {
    if dtype.is_float() { Ok(()) } else { Err(wrong_dtype(name, "floats", dtype)) }
}

fn want_int(name: &'static str, dtype: DType) -> Result<()> {
    if dtype.is_int() { Ok(()) } else { Err(wrong_dtype(name, "integer indices", dtype)) }
}

fn want_same(name: &'static str, a: DType, b: DType) -> Result<()> {
    if a == b { Ok(()) } else { Err(Error::dtypes(name, a, b)) }
}
