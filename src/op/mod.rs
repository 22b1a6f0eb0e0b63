//! The closed set of operations.
//!
//! Every computation on tensors is one of these. Each has shape and dtype inference ([`Op::infer`]) and, when it is a
//! fused one, a decomposition into primitives ([`Op::decompose`]); gradient rules will sit beside them. Operations have one
//! result. Views (permute, narrow, broadcast, most reshapes) are layouts, not operations.

use crate::{backend::Meta, dtype::DType, error::Result, layout::Layout, tensor::Tensor};

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
    Tanh,
    Erf,
    Floor,
    Ceil,
    Round,
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
    /// `[x]` → reduced over `dims` (sorted, distinct), kept as size 1 if `keep_dims`.
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
    /// `[x]` → running sum along `dim`.
    CumSum {
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
    /// `[x]` → u32 indices of the `k` largest along the last dimension, largest first.
    TopK {
        /// How many.
        k: usize,
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
    /// `[a, b]`: `[.., m, k] x [.., k, n]`, batch dimensions equal (already broadcast).
    Matmul,

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
    /// → `[b, h, t, e]`; `h` a multiple of `g` (grouped queries).
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
}

impl Op {
    /// The operation's name in messages.
    pub fn name(&self) -> &'static str {
        "op"
    }
    /// Shape and dtype of the result, or what is wrong with the inputs.
    pub fn infer(&self, _inputs: &[(&Layout, DType)]) -> Result<Meta> {
        Err(crate::error::Error::Unsupported("not built yet".into()))
    }
    /// A fused operation computed by primitives (and simpler fused ones). `None` for primitives.
    pub fn decompose(&self, _inputs: &[&Tensor]) -> Option<Result<Tensor>> {
        None
    }
}
