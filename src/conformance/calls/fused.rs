//! Operations fused of several layers.

use super::{Args, Call, base};
use crate::{
    error::Result,
    op::{Heads, Op, RopeLayout},
    tensor::Tensor,
};

pub(super) fn call(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    let norm = args.optional("eps");
    let op = match op {
        "linears" => Op::Linears { norm },
        "gated_linears" => Op::GatedLinears { gate: base::gate(args)?, norm },
        "linear_add" => Op::LinearAdd,
        "rms_norm_add" => Op::RmsNormAdd { eps: args.number("eps")? },
        "heads" => {
            let layout = if args.flag("interleaved") { RopeLayout::Interleaved } else { RopeLayout::Half };
            Op::Heads(Heads { layout, queries: args.size("queries")?, keys: args.size("keys")?, norm })
        }
        _ => return Ok(None),
    };
    Ok(Some(Call::Fused(Tensor::apply(op.clone(), inputs)?, op)))
}
