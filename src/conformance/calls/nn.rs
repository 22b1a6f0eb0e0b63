//! Losses.

use super::{Args, Call};
use crate::{
    error::{Error, Result},
    nn::loss::{self, BceOptions, CrossEntropyOptions, Reduction},
    tensor::Tensor,
};

pub(super) fn call(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    let &[x, y, ref rest @ ..] = inputs else { return Ok(None) };
    let reduction = || match &*args.text("reduction")? {
        "none" => Ok(Reduction::None),
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        "batchmean" => Ok(Reduction::BatchMean),
        other => Err(Error::argument("conformance", format!("no reduction {other}"))),
    };
    let weight = rest.first().copied().filter(|_| args.flag("weight"));
    let classes = || -> Result<_> {
        Ok(CrossEntropyOptions {
            weight,
            ignore_index: args.optional("ignore_index").map_or(-100, |i| i as i64),
            label_smoothing: args.optional("label_smoothing").unwrap_or(0.0),
            reduction: reduction()?,
        })
    };
    let found = match op {
        "cross_entropy" => loss::cross_entropy(x, y, classes()?)?,
        "nll_loss" => loss::nll_loss(x, y, classes()?)?,
        "mse_loss" => loss::mse_loss(x, y, reduction()?)?,
        "l1_loss" => loss::l1_loss(x, y, reduction()?)?,
        "huber_loss" => loss::huber_loss(x, y, args.number("size")?, reduction()?)?,
        "smooth_l1_loss" => loss::smooth_l1_loss(x, y, args.number("size")?, reduction()?)?,
        "binary_cross_entropy" => loss::binary_cross_entropy(x, y, weight, reduction()?)?,
        "binary_cross_entropy_with_logits" => {
            let pos_weight = rest.get(1).copied().filter(|_| args.flag("pos_weight"));
            loss::binary_cross_entropy_with_logits(x, y, BceOptions { weight, pos_weight, reduction: reduction()? })?
        }
        "kl_div" => loss::kl_div(x, y, args.flag("log_target"), reduction()?)?,
        _ => return Ok(None),
    };
    Ok(Some(Call::Result(found)))
}
