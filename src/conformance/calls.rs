//! What a case's operation name and arguments mean: a call of the tensor API, or a fused operation.

use crate::{
    dtype::DType,
    error::{Error, Result},
    op::{Gate, Op, RopeLayout},
    tensor::Tensor,
};
use serde_json::Value;

/// Results of one case.
pub(super) struct Results {
    pub direct: Tensor,
    /// Of fused operations.
    pub decomposed: Option<Tensor>,
}

/// Typed access to a case's arguments.
struct Args<'a>(&'a Value);

impl Args<'_> {
    fn get<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let found = self.0.get(name).and_then(read);
        found.ok_or_else(|| Error::argument("conformance", format!("no argument {name} in {}", self.0)))
    }
    fn number(&self, name: &str) -> Result<f64> {
        self.get(name, Value::as_f64)
    }
    fn size(&self, name: &str) -> Result<usize> {
        self.get(name, |v| v.as_u64().map(|v| v as usize))
    }
    fn dim(&self, name: &str) -> Result<isize> {
        self.get(name, |v| v.as_i64().map(|v| v as isize))
    }
    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
    fn text(&self, name: &str) -> Result<String> {
        self.get(name, |v| v.as_str().map(str::to_string))
    }
    fn list(&self, name: &str) -> Result<Vec<usize>> {
        self.get(name, |v| v.as_array()?.iter().map(|v| v.as_u64().map(|v| v as usize)).collect())
    }
    fn optional(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }
}

/// Runs a case.
pub(super) fn run(op: &str, args: &Value, inputs: &[&Tensor]) -> Result<Results> {
    let args = Args(args);
    if let Some(fused) = fused(op, &args, inputs)? {
        let decomposed = fused.decompose(inputs).transpose()?;
        return Ok(Results { direct: Tensor::apply(fused, inputs)?, decomposed });
    }
    let [x, rest @ ..] = inputs else {
        return Err(Error::argument("conformance", "a case without inputs"));
    };
    let direct = match rest {
        [] => unary(op, &args, x)?,
        [y] => binary(op, &args, x, y)?,
        [y, z] if op == "where_cond" => x.where_cond(y, z)?,
        [y, z] if op == "scatter_add" => x.scatter_add(args.dim("dim")?, y, z)?,
        _ if op == "cat" => Tensor::cat(inputs, args.dim("dim")?)?,
        _ => return Err(unknown(op)),
    };
    Ok(Results { direct, decomposed: None })
}

fn unknown(op: &str) -> Error {
    Error::argument("conformance", format!("no call for the operation {op}"))
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
            other => return Err(unknown(other)),
        }),
        _ => return Ok(None),
    }))
}

fn unary(op: &str, args: &Args<'_>, x: &Tensor) -> Result<Tensor> {
    let dims = || -> Result<Vec<isize>> { Ok(args.list("dims")?.into_iter().map(|d| d as isize).collect()) };
    macro_rules! reduce {
        ($plain:ident, $keep:ident) => {
            if args.flag("keep") { x.$keep(&dims()?[..]) } else { x.$plain(&dims()?[..]) }
        };
    }
    match op {
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
        "topk" => x.topk(args.size("k")?, args.dim("dim")?).map(|top| top.0),
        "permute" => x.permute(args.list("order")?),
        "narrow" => x.narrow(args.dim("dim")?, args.size("start")?, args.size("len")?),
        "reshape" => x.reshape(args.list("shape")?),
        "transpose_reshape" => x.transpose(0, -1)?.reshape(args.list("shape")?),
        "repeat_interleave" => x.repeat_interleave(args.size("repeats")?, args.dim("dim")?),
        _ => Err(unknown(op)),
    }
}

fn binary(op: &str, args: &Args<'_>, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    match op {
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
        _ => Err(unknown(op)),
    }
}
