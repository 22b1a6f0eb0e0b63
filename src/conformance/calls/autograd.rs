//! Small computations of several operations, for the gradients through them.

use super::{Args, Call};
use crate::{
    autograd::checkpoint,
    error::{Error, Result},
    op::Gate,
    tensor::{AttentionOptions, Tensor},
};

pub(super) fn call(op: &str, _: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    let owned: Vec<_> = inputs.iter().map(|&x| x.clone()).collect();
    let result = match op {
        "mlp" => mlp(&owned)?,
        "checkpointed_mlp" => checkpoint(inputs, mlp)?,
        "used_twice" => {
            let [x] = &owned[..] else { return Err(wrong(op)) };
            x.mul(x)?.add(&x.mul(&x.sum(..)?)?)?
        }
        "views" => views(&owned)?,
        "write_slice_twice" => {
            let [x, part] = &owned[..] else { return Err(wrong(op)) };
            let first = x.clone().write_slice(1, 1, part)?;
            let second = first.clone().write_slice(1, 0, &part.mul_scalar(2.0)?)?;
            first.mul(&second)?
        }
        "recurrent" => {
            let [x, w] = &owned[..] else { return Err(wrong(op)) };
            (0..8).try_fold(x.clone(), |h, _| x.add(&h.matmul(w)?)?.tanh())?
        }
        "tied_embedding" => {
            let [ids, table] = &owned[..] else { return Err(wrong(op)) };
            ids.embedding(table, table.dtype())?.linear(table, None)?
        }
        "decoder_block" => decoder_block(&owned)?,
        _ => return Ok(None),
    };
    Ok(Some(Call::Result(result)))
}

fn wrong(op: &str) -> Error {
    Error::argument("conformance", format!("the wrong number of inputs for {op}"))
}

fn mlp(inputs: &[Tensor]) -> Result<Tensor> {
    let [x, w1, b1, w2, b2] = inputs else { return Err(wrong("mlp")) };
    x.linear(w1, Some(b1))?.tanh()?.linear(w2, Some(b2))?.log_softmax(-1)
}

fn views(inputs: &[Tensor]) -> Result<Tensor> {
    let x = &inputs[0];
    let flat = x.narrow(1, 1, 2)?.permute([2, 0, 1])?.flatten_all()?;
    let square = flat.reshape([5, 6])?;
    let rows = square.unsqueeze(0)?.broadcast_to([2, 5, 6])?;
    rows.sin()?.mul(&square.narrow(1, 2, 1)?)?.mul(&x.select(0, 1)?.t()?.narrow(1, 0, 1)?)
}

/// Attention and a gated layer with residuals.
fn decoder_block(inputs: &[Tensor]) -> Result<Tensor> {
    let [x, norm, wq, wkv, wo, wg] = inputs else { return Err(wrong("decoder_block")) };
    let (b, n, d) = x.dims3()?;
    let h = x.rms_norm(norm, 1e-5)?;
    let q = h.linear(wq, None)?.reshape([b, n, 2, d / 2])?.transpose(1, 2)?;
    let kv = h.linear(wkv, None)?.reshape([b, n, 2, 1, d / 2])?.permute([2, 0, 3, 1, 4])?;
    let options = AttentionOptions { scale: 0.5, causal: true, window: None, softcap: None };
    let seen = q.attention(&kv.select(0, 0)?, &kv.select(0, 1)?, None, options)?;
    let x = x.add(&seen.transpose(1, 2)?.reshape([b, n, d])?.linear(wo, None)?)?;
    x.add(&x.linear(wg, None)?.gated(Gate::Silu, &x)?.linear(wo, None)?)
}
