//! The operations of the core.

use super::{Args, Call};
use crate::{
    dtype::DType,
    error::{Error, Result},
    op::{Gate, Op, RopeLayout},
    shape::{HOLE, Shape},
    tensor::{AttentionOptions, Tensor},
};

pub(super) fn call(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    if let Some(fused) = fused(op, args, inputs)? {
        return Ok(Some(fused));
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

pub(super) fn gate(args: &Args<'_>) -> Result<Gate> {
    Ok(match args.text("gate")?.as_str() {
        "silu" => Gate::Silu,
        "gelu" => Gate::Gelu,
        "gelu_tanh" => Gate::GeluTanh,
        "relu" => Gate::Relu,
        other => return Err(Error::argument("conformance", format!("no gate {other}"))),
    })
}

/// Layers in one operation each: by their method and by their decomposition.
fn fused(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    let dim = || inputs[0].shape().dim("conformance", args.dim("dim")?);
    let (direct, op) = match (op, inputs) {
        ("linear", [x, w, bias @ ..]) => (x.linear(w, bias.first().copied())?, Op::Linear),
        ("embedding", [ids, table]) => {
            let dtype = DType::from_name(&args.text("dtype")?)?;
            (ids.embedding(table, dtype)?, Op::Embedding { dtype })
        }
        ("softmax", [x]) => (x.softmax(args.dim("dim")?)?, Op::Softmax { dim: dim()? }),
        ("log_softmax", [x]) => (x.log_softmax(args.dim("dim")?)?, Op::LogSoftmax { dim: dim()? }),
        ("rms_norm", [x, w]) => {
            let eps = args.number("eps")?;
            (x.rms_norm(w, eps)?, Op::RmsNorm { eps })
        }
        ("layer_norm", [x, w, bias @ ..]) => {
            let eps = args.number("eps")?;
            (x.layer_norm(w, bias.first().copied(), eps)?, Op::LayerNorm { eps })
        }
        ("rope", [x, cos, sin]) => {
            let layout = if args.flag("interleaved") { RopeLayout::Interleaved } else { RopeLayout::Half };
            (x.rope(cos, sin, layout)?, Op::Rope { layout })
        }
        ("attention", [q, k, v, mask @ ..]) => {
            let (scale, causal) = (args.number("scale")? as f32, args.flag("causal"));
            let window = args.optional("window").map(|w| w as usize);
            let softcap = args.optional("softcap").map(|c| c as f32);
            let options = AttentionOptions { scale, causal, window, softcap };
            (q.attention(k, v, mask.first().copied(), options)?, Op::Attention { scale, causal, window, softcap })
        }
        ("gated", [a, b]) => {
            let gate = gate(args)?;
            (a.gated(gate, b)?, Op::Gated(gate))
        }
        _ => return Ok(None),
    };
    Ok(Some(Call::Fused(direct, op)))
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
        "prod" if args.flag("round") => x.round()?.mul(x)?.prod(&args.dims("dims")?[..]),
        "prod" => reduce!(prod, prod_keepdim),
        "argmax" if args.flag("keep") => x.argmax_keepdim(args.dim("dim")?),
        "argmax" => x.argmax(args.dim("dim")?),
        "argmin" if args.flag("keep") => x.argmin_keepdim(args.dim("dim")?),
        "argmin" => x.argmin(args.dim("dim")?),
        "cumsum" => x.cumsum(args.dim("dim")?),
        "argsort" => x.argsort(args.dim("dim")?, args.flag("descending")),
        "sort" => x.sort(args.dim("dim")?, args.flag("descending")).map(|sorted| sorted.0),
        "topk" => x.topk(args.size("k")?, args.dim("dim")?, true).map(|top| top.0),
        "add_scalar" => x.add_scalar(args.number("value")?),
        "sub_scalar" => x.sub_scalar(args.number("value")?),
        "mul_scalar" => x.mul_scalar(args.number("value")?),
        "div_scalar" => x.div_scalar(args.number("value")?),
        "pow_scalar" => x.pow_scalar(args.number("value")?),
        "minimum_scalar" => x.minimum_scalar(args.number("value")?),
        "maximum_scalar" => x.maximum_scalar(args.number("value")?),
        "eq_scalar" => x.eq_scalar(args.number("value")?),
        "ne_scalar" => x.ne_scalar(args.number("value")?),
        "lt_scalar" => x.lt_scalar(args.number("value")?),
        "le_scalar" => x.le_scalar(args.number("value")?),
        "gt_scalar" => x.gt_scalar(args.number("value")?),
        "ge_scalar" => x.ge_scalar(args.number("value")?),
        _ => return view(op, args, x),
    };
    result.map(Some)
}

fn view(op: &str, args: &Args<'_>, x: &Tensor) -> Result<Option<Tensor>> {
    let part = |parts: Vec<Tensor>| -> Result<Tensor> {
        let at = args.size("part")?;
        parts.get(at).cloned().ok_or_else(|| Error::argument("conformance", format!("no part {at}")))
    };
    let result = match op {
        "split_sizes" => x.split(&args.list("sizes")?, args.dim("dim")?).and_then(part),
        "chunk" => x.chunk(args.size("chunks")?, args.dim("dim")?).and_then(part),
        "squeeze" => x.squeeze(args.dim("dim")?),
        "unsqueeze" => x.unsqueeze(args.dim("dim")?),
        "flatten" => x.flatten(args.dim("start")?, args.dim("end")?),
        "flatten_all" => x.flatten_all(),
        "expand" => {
            let size = |d: isize| usize::try_from(d).unwrap_or(HOLE);
            x.expand(args.dims("shape")?.into_iter().map(size).collect::<Vec<_>>())
        }
        "broadcast_to" => x.broadcast_to(Shape::from(args.list("shape")?)),
        "transpose" => x.transpose(args.dim("a")?, args.dim("b")?),
        "t" => x.t(),
        "select" => x.select(args.dim("dim")?, args.size("index")?),
        "contiguous" => x.contiguous(),
        "permute" => x.permute(args.list("order")?),
        "narrow" => x.narrow(args.dim("dim")?, args.size("start")?, args.size("len")?),
        "reshape" => x.reshape(args.list("shape")?),
        "transpose_reshape" => x.transpose(0, -1)?.reshape(args.list("shape")?),
        "repeat_interleave" => x.repeat_interleave(args.size("repeats")?, args.dim("dim")?),
        _ => return made(op, args, x),
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
        "expand_as" => x.expand_as(y),
        "broadcast_tensors" => Tensor::broadcast_tensors(&[x, y]).and_then(|all| {
            all.get(args.size("part")?).cloned().ok_or_else(|| Error::argument("conformance", "no part"))
        }),
        "gather" => x.gather(args.dim("dim")?, y),
        "index_select" => x.index_select(args.dim("dim")?, y),
        "write_slice" => x.clone().write_slice(args.dim("dim")?, args.size("start")?, y),
        "cat" => Tensor::cat(&[x, y], args.dim("dim")?),
        "stack" => Tensor::stack(&[x, y], args.dim("dim")?),
        _ => return Ok(None),
    };
    result.map(Some)
}

/// Tensors like `x`, or on its device in its dtype.
fn made(op: &str, args: &Args<'_>, x: &Tensor) -> Result<Option<Tensor>> {
    let (dtype, device, shape) = (x.dtype(), x.device(), || args.list("shape"));
    let (start, end) = (|| args.number("start"), || args.number("end"));
    let triangle = || Ok((args.size("rows")?, args.size("columns")?, args.dim("diagonal")?));
    let result = match op {
        "zeros_like" => x.zeros_like(),
        "ones_like" => x.ones_like(),
        "full_like" => x.full_like(args.number("value")?),
        "zeros" => Tensor::zeros(shape()?, dtype, device),
        "ones" => Tensor::ones(shape()?, dtype, device),
        "full" => Tensor::full(args.number("value")?, shape()?, dtype, device),
        "arange" => Tensor::arange(start()?, end()?, dtype, device),
        "arange_step" => Tensor::arange_step(start()?, end()?, args.number("step")?, dtype, device),
        "eye" => Tensor::eye(args.size("n")?, dtype, device),
        "tril_mask" => triangle().and_then(|(rows, columns, k)| Tensor::tril_mask(rows, columns, k, device)),
        "triu_mask" => triangle().and_then(|(rows, columns, k)| Tensor::triu_mask(rows, columns, k, device)),
        _ => return Ok(None),
    };
    result.map(Some)
}
