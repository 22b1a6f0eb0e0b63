//! Creation, elementwise functions, statistics, rearranging, indexing, searching, linear algebra.

use super::{Args, Call};
use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    tensor::{Ellipsis, Indexing, NewAxis, Tensor, step},
};

pub(super) fn call(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    let result = match inputs {
        _ if op == "einsum" => Some(Tensor::einsum(&args.text("equation")?, inputs)?),
        [x] => match function(op, args, x)? {
            None => unary(op, args, x)?,
            found => found,
        },
        [x, y] => binary(op, args, x, y)?,
        [x, y, z] => ternary(op, args, x, y, z)?,
        _ => None,
    };
    Ok(result.map(Call::Result))
}

/// Functions of each element.
fn function(op: &str, args: &Args<'_>, x: &Tensor) -> Result<Option<Tensor>> {
    let (beta, threshold) = (args.optional("beta").unwrap_or(1.0), args.optional("threshold").unwrap_or(20.0));
    let alpha = || args.number("alpha");
    Ok(Some(match op {
        "tan" => x.tan()?,
        "asin" => x.asin()?,
        "acos" => x.acos()?,
        "atan" => x.atan()?,
        "sinh" => x.sinh()?,
        "cosh" => x.cosh()?,
        "asinh" => x.asinh()?,
        "acosh" => x.acosh()?,
        "atanh" => x.atanh()?,
        "exp2" => x.exp2()?,
        "expm1" => x.expm1()?,
        "log2" => x.log2()?,
        "log10" => x.log10()?,
        "log1p" => x.log1p()?,
        "erfinv" => x.erfinv()?,
        "trunc" => x.trunc()?,
        "frac" => x.frac()?,
        "relu6" => x.relu6()?,
        "leaky_relu" => x.leaky_relu(args.number("slope")?)?,
        "elu" => x.elu(alpha()?)?,
        "celu" => x.celu(alpha()?)?,
        "selu" => x.selu()?,
        "hardtanh" => x.hardtanh(args.number("min")?, args.number("max")?)?,
        "hardsigmoid" => x.hardsigmoid()?,
        "hardswish" => x.hardswish()?,
        "softplus" => x.softplus(beta, threshold)?,
        "logsigmoid" => x.logsigmoid()?,
        "mish" => x.mish()?,
        "softsign" => x.softsign()?,
        "tanhshrink" => x.tanhshrink()?,
        "hardshrink" => x.hardshrink(args.number("lambda")?)?,
        "softshrink" => x.softshrink(args.number("lambda")?)?,
        "threshold" => x.threshold(threshold, args.number("value")?)?,
        "clamp_min" => x.clamp_min(args.number("value")?)?,
        "clamp_max" => x.clamp_max(args.number("value")?)?,
        "logit" => x.logit(args.optional("eps"))?,
        "bitwise_not" => x.bitwise_not()?,
        "logical_not" => x.logical_not()?,
        "isnan" => x.floor()?.log()?.isnan()?,
        "isinf" => x.floor()?.log()?.isinf()?,
        "isfinite" => x.floor()?.log()?.isfinite()?,
        "nan_to_num" if args.flag("smooth") => x.log()?.nan_to_num(7.0, Some(8.0), Some(-9.0))?,
        "nan_to_num" => x.floor()?.log()?.nan_to_num(7.0, Some(8.0), Some(-9.0))?,
        "rsub" => (1.5 - x)?,
        "rdiv" => (2 / x)?,
        "radd" => (3.0 + x.clone())?,
        "rmul" => (0.5 * x.clone())?,
        "remainder_scalar" => x.remainder_scalar(0.75)?,
        "fmod_scalar" => x.fmod_scalar(0.75)?,
        _ => return Ok(None),
    }))
}

fn unary(op: &str, args: &Args<'_>, x: &Tensor) -> Result<Option<Tensor>> {
    let dims = || args.dims("dims");
    let k = || args.dim("k");
    macro_rules! statistic {
        ($plain:ident, $keep:ident $(, $first:expr)? $(; $last:expr)?) => {{
            let dims = &dims()?[..];
            if args.flag("keep") { x.$keep($($first,)? dims $(, $last)?) } else { x.$plain($($first,)? dims $(, $last)?) }?
        }};
    }
    if let Some(p) = op.strip_prefix("norm_") {
        let p: f64 = p.parse().map_err(|_| Error::argument("conformance", format!("no norm {p}")))?;
        return Ok(Some(statistic!(norm, norm_keepdim, p)));
    }
    Ok(Some(match op {
        "glu" => x.glu(args.dim("dim")?)?,
        "var" => statistic!(var, var_keepdim; 1.0),
        "var_population" => statistic!(var, var_keepdim; 0.0),
        "std" => statistic!(std, std_keepdim; 1.0),
        "logsumexp" => statistic!(logsumexp, logsumexp_keepdim),
        "any" => x.any(&dims()?[..])?,
        "all" => x.all(&dims()?[..])?,
        "count_nonzero" => x.count_nonzero(&dims()?[..])?,
        "max_dim" => x.max_dim(args.dim("dim")?)?.0,
        "max_dim_index" => x.max_dim(args.dim("dim")?)?.1,
        "min_dim" => x.min_dim(args.dim("dim")?)?.0,
        "min_dim_index" => x.min_dim(args.dim("dim")?)?.1,
        "median" => x.median(args.dim("dim")?)?.0,
        "median_index" => x.median(args.dim("dim")?)?.1,
        "quantile" => x.quantile(args.number("q")?, args.dim("dim")?)?,
        "normalize" => x.normalize(args.number("p")?, args.dim("dim")?, 1e-12)?,
        "cumprod" => x.cumprod(args.dim("dim")?)?,
        "cumprod_zeros" => x.trunc()?.detach().mul(x)?.cumprod(args.dim("dim")?)?,
        "topk_smallest" => x.topk(args.size("k")?, args.dim("dim")?, false)?.0,
        "tril" => x.tril(k()?)?,
        "triu" => x.triu(k()?)?,
        "one_hot" => x.one_hot(5)?,
        "linspace" => {
            Tensor::linspace(args.number("start")?, args.number("end")?, args.size("steps")?, x.dtype(), x.device())?
        }
        "repeat" => x.repeat(args.list("repeats")?)?,
        "tile" => x.tile(args.list("repeats")?)?,
        "roll" => x.roll(args.dim("shift")?, args.dim("dim")?)?,
        "flip" => x.flip(&dims()?[..])?,
        "movedim" => x.movedim(args.dim("from")?, args.dim("to")?)?,
        "unflatten" => x.unflatten(args.dim("dim")?, args.list("sizes")?)?,
        "step" => x.step(args.dim("dim")?, args.size("step")?)?,
        "diagonal" => x.diagonal(k()?, dims()?[0], dims()?[1])?,
        "diag_embed" => x.diag_embed(k()?)?,
        "diag" => x.diag(k()?)?,
        "split" => {
            let parts = x.split(args.size("size")?, args.dim("dim")?)?;
            Tensor::cat(&parts.iter().rev().collect::<Vec<_>>(), args.dim("dim")?)?
        }
        "unbind" => Tensor::stack(&x.unbind(args.dim("dim")?)?.iter().rev().collect::<Vec<_>>(), 0)?,
        "trace" => x.trace()?,
        "softmin" => x.softmin(args.dim("dim")?)?,
        "diff" => x.diff(args.dim("dim")?)?,
        "squeeze_all" => x.narrow(args.dim("dim")?, args.size("start")?, 1)?.squeeze_all()?,
        "bincount" => x.bincount(7)?,
        "logspace" => {
            let (start, end, base) = (args.number("start")?, args.number("end")?, args.number("base")?);
            Tensor::logspace(start, end, args.size("steps")?, base, x.dtype(), x.device())?
        }
        _ => return Ok(None),
    }))
}

/// Operations whose shapes depend on values, which a browser's GPU gives only to those who wait.
pub(super) async fn awaited(op: &str, inputs: &[&Tensor]) -> Result<Option<Tensor>> {
    Ok(Some(match (op, inputs) {
        ("nonzero", [x]) => x.nonzero().await?,
        ("unique", [x]) => x.unique().await?.0,
        ("unique_counts", [x]) => x.unique().await?.1,
        ("masked_select", [x, mask]) => x.masked_select(mask).await?,
        ("index", [x, mask]) if cfg!(target_arch = "wasm32") && mask.dtype() == DType::U8 => {
            x.i((.., &mask.to_device(&Device::cpu()).await?))?
        }
        _ => return Ok(None),
    }))
}

fn binary(op: &str, args: &Args<'_>, x: &Tensor, y: &Tensor) -> Result<Option<Tensor>> {
    let grid = |indexing| Tensor::stack(&Tensor::meshgrid(&[x, y], indexing)?.iter().collect::<Vec<_>>(), 0);
    Ok(Some(match op {
        "prelu" => x.prelu(y)?,
        "atan2" => x.atan2(y)?,
        "hypot" => x.hypot(y)?,
        "copysign" => x.copysign(y)?,
        "fmod" => x.fmod(y)?,
        "remainder" => x.remainder(y)?,
        "logaddexp" => x.logaddexp(y)?,
        "floor_divide" => x.floor_divide(y)?,
        "logical_and" => x.logical_and(y)?,
        "logical_or" => x.logical_or(y)?,
        "logical_xor" => x.logical_xor(y)?,
        "bitwise_and" => x.bitwise_and(y)?,
        "bitwise_or" => x.bitwise_or(y)?,
        "bitwise_xor" => x.bitwise_xor(y)?,
        "bitwise_left_shift" => x.bitwise_left_shift(y)?,
        "bitwise_right_shift" => x.bitwise_right_shift(y)?,
        "isin" => x.isin(y)?,
        "isclose" => x.isclose(y, 0.25, 0.1, false)?,
        "lerp" => x.lerp(y, 0.3)?,
        "where_number" => x.where_cond(y, 0.5)?,
        "masked_fill" => x.masked_fill(y, 2.5)?,
        "meshgrid_ij" => grid(Indexing::Ij)?,
        "meshgrid_xy" => grid(Indexing::Xy)?,
        "hstack" => Tensor::hstack(&[x, y])?,
        "vstack" => Tensor::vstack(&[x, y])?,
        "scatter" => {
            let dim = args.dim("dim")?;
            let mut along = vec![1; y.rank()];
            along[dim as usize] = args.size("count")?;
            x.scatter(dim, &places(args, x)?.reshape(along)?.broadcast_to(y.shape())?, y)?
        }
        "scatter_number" => x.scatter(args.dim("dim")?, y, 2.5)?,
        "index_copy" => x.index_copy(args.dim("dim")?, &places(args, x)?, y)?,
        "index_fill" => x.index_fill(args.dim("dim")?, y, 2.5)?,
        "take" => x.take(y)?,
        "take_along_dim" => x.take_along_dim(y, args.dim("dim")?)?,
        "searchsorted" => x.cumsum(-1)?.searchsorted(y, args.flag("right"))?,
        "bucketize" => x.bucketize(&y.cumsum(-1)?, args.flag("right"))?,
        "index" => index(&args.text("how")?, x, y)?,
        "dot" => x.dot(y)?,
        "outer" => x.outer(y)?,
        "mv" => x.mv(y)?,
        "mm" => x.mm(y)?,
        "bmm" => x.bmm(y)?,
        "tensordot" => x.tensordot(y, &args.dims("dims")?, &args.dims("other_dims")?)?,
        "kron" => x.kron(y)?,
        "cdist" => x.cdist(y, args.number("p")?)?,
        "cosine_similarity" => x.cosine_similarity(y, args.dim("dim")?, 1e-8)?,
        _ => return Ok(None),
    }))
}

fn ternary(op: &str, args: &Args<'_>, x: &Tensor, y: &Tensor, z: &Tensor) -> Result<Option<Tensor>> {
    Ok(Some(match op {
        "lerp_tensor" => x.lerp(y, z)?,
        "addcmul" => x.addcmul(y, z, 0.5)?,
        "addcdiv" => x.addcdiv(y, z, 0.5)?,
        "clamp_tensor" => x.clamp_tensor(y, z)?,
        "index_add" => x.index_add(args.dim("dim")?, y, z)?,
        "addmm" => x.addmm(y, z, 0.5, 2.0)?,
        "baddbmm" => x.baddbmm(y, z, 0.5, 2.0)?,
        _ => return Ok(None),
    }))
}

/// Different indices of the case's dimension: 0, 3, 6 … by its size, as in the generator.
fn places(args: &Args<'_>, x: &Tensor) -> Result<Tensor> {
    let size = x.dim(args.dim("dim")?)?;
    Tensor::arange(0.0, args.number("count")?, DType::I64, x.device())?.mul_scalar(3.0)?.remainder_scalar(size as f64)
}

fn index(how: &str, t: &Tensor, i: &Tensor) -> Result<Tensor> {
    match how {
        "integers" => t.i((1, -2)),
        "ranges" => t.i((1.., ..-1, 2..4)),
        "steps" => t.i((step(.., 2), step(1.., 2))),
        "ellipsis" => t.i((Ellipsis, -1)),
        "new_axis" => t.i((.., NewAxis, 2, NewAxis)),
        "list" => t.i((.., i)),
        "list_negative" => t.i((.., (i - 2)?)),
        "list_first" => t.i((i - 1)?),
        "two_lists" => t.i((.., i, (i + 1)?)),
        "two_lists_apart" => t.i(((i - 1)?, .., i)),
        "list_and_integer" => t.i((1, .., i)),
        "lists_broadcast" => t.i(((i - 1)?.unsqueeze(1)?, i)),
        "mask" => t.i((.., i)),
        _ => Err(Error::argument("conformance", format!("no index {how}"))),
    }
}
