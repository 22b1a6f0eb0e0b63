//! The operations of the core.

use super::{Args, Call};
use crate::{
    dtype::DType,
    error::{Error, Result},
    op::{Gate, Op, RopeLayout},
    tensor::Tensor,
};

pub(super) fn call(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    if let Some(fused) = fused(op, args, inputs)? {
        return Ok(Some(Call::Op(fused)));
    }
    let result = match inputs {
        _ if op == "cat" => Some(Tensor::cat(inputs, args.dim("dim")?)?),
        [x] => unary(op, args, x)?,
        [x, y] => binary(op, args, x, y)?,
        [x, y, z] if op == "where_cond" => Some(x.where_cond(y, z)?),
        [x, y, z] if op == "scatter_add" => Some(x.scatter_add(args.dim("dim")?, y, z)?),
        _ => None,
    };
    Ok(result.map(Call::Result))
}

/// The fused operation of that name, if it is one.
fn fused(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Op>> {
    let dim = || inputs[0].shape().dim("conformance", args.dim("dim")?);
    Ok(Some(match op {
        "linear" => Op::Linear,
        "embedding" => Op::Embedding { dtype: DType::from_name(&args.text("dtype")?)? },
        "softmax" => Op::Softmax { dim: dim()? },
        "log_softmax" => Op::LogSoftmax { dim: dim()? },
        "rms_norm" => Op::RmsNorm { eps: args.number("eps")? },
        "layer_norm" => Op::LayerNorm { eps: args.number("eps")? },
        "rope" if args.flag("interleaved") => Op::Rope { layout: RopeLayout::Interleaved },
        "rope" => Op::Rope { layout: RopeLayout::Half },
        "attention" => Op::Attention {
            scale: args.number("scale")? as f32,
            causal: args.flag("causal"),
            window: args.optional("window").map(|w| w as usize),
            softcap: args.optional("softcap").map(|c| c as f32),
        },
        "gated" => Op::Gated(match args.text("gate")?.as_str() {
            "silu" => Gate::Silu,
            "gelu" => Gate::Gelu,
            "gelu_tanh" => Gate::GeluTanh,
            "relu" => Gate::Relu,
            other => return Err(Error::argument("conformance", format!("no gate {other}"))),
        }),
        _ => return Ok(None),
    }))
}

fn unary(op: &str, args: &Args<'_>, x: &Tensor) -> Result<Option<Tensor>> {
    macro_rules! reduce {
        ($plain:ident, $keep:ident) => {
            if args.flag("keep") { x.$keep(&args.dims("dims")?[..]) } else { x.$plain(&args.dims("dims")?[..]) }
        };
    }
    let result = match op {
        "neg" => x.neg(),
        "abs" => x.abs(),
        "sign" => x.sign(),
        "exp" => x.exp(),
        "log" => x.log(),
        "sqrt" => x.sqrt(),
        "rsqrt" => x.rsqrt(),
        "recip" => x.recip(),
        "sqr" => x.sqr(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tanh" => x.tanh(),
        "erf" => x.erf(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "round" => x.round(),
        "sigmoid" => x.sigmoid(),
        "relu" => x.relu(),
        "silu" => x.silu(),
        "gelu" => x.gelu(),
        "gelu_tanh" => x.gelu_tanh(),
        "affine" => x.affine(args.number("mul")?, args.number("add")?),
        "clamp" => x.clamp(args.number("min")?, args.number("max")?),
        "to_dtype" => x.to_dtype(DType::from_name(&args.text("dtype")?)?),
        "sum" => reduce!(sum, sum_keepdim),
        "mean" => reduce!(mean, mean_keepdim),
        "max" => reduce!(max, max_keepdim),
        "min" => reduce!(min, min_keepdim),
        // PyTorch's has one dimension, not a list.
        "prod" => x.prod(args.list("dims")?.first().map_or(0, |&d| d as isize)),
        "argmax" if args.flag("keep") => x.argmax_keepdim(args.dim("dim")?),
        "argmax" => x.argmax(args.dim("dim")?),
        "argmin" if args.flag("keep") => x.argmin_keepdim(args.dim("dim")?),
        "argmin" => x.argmin(args.dim("dim")?),
        "cumsum" => x.cumsum(args.dim("dim")?),
        "argsort" => x.argsort(args.dim("dim")?, args.flag("descending")),
        "sort" => x.sort(args.dim("dim")?, args.flag("descending")).map(|sorted| sorted.0),
        "topk" => x.topk(args.size("k")?, args.dim("dim")?, true).map(|top| top.0),
        "permute" => x.permute(args.list("order")?),
        "narrow" => x.narrow(args.dim("dim")?, args.size("start")?, args.size("len")?),
        "reshape" => x.reshape(args.list("shape")?),
        "transpose_reshape" => x.transpose(0, -1)?.reshape(args.list("shape")?),
        "repeat_interleave" => x.repeat_interleave(args.size("repeats")?, args.dim("dim")?),
        _ => return Ok(None),
    };
    result.map(Some)
}

fn binary(op: &str, args: &Args<'_>, x: &Tensor, y: &Tensor) -> Result<Option<Tensor>> {
    let result = match op {
        "add" => x.add(y),
        "sub" => x.sub(y),
        "mul" => x.mul(y),
        "div" => x.div(y),
        "pow" => x.pow(y),
        "minimum" => x.minimum(y),
        "maximum" => x.maximum(y),
        "eq" => x.eq(y),
        "ne" => x.ne(y),
        "lt" => x.lt(y),
        "le" => x.le(y),
        "gt" => x.gt(y),
        "ge" => x.ge(y),
        "matmul" => x.matmul(y),
        "gather" => x.gather(args.dim("dim")?, y),
        "index_select" => x.index_select(args.dim("dim")?, y),
        "write_slice" => x.clone().write_slice(args.dim("dim")?, args.size("start")?, y),
        "cat" => Tensor::cat(&[x, y], args.dim("dim")?),
        "stack" => Tensor::stack(&[x, y], args.dim("dim")?),
        _ => return Ok(None),
    };
    result.map(Some)
}
