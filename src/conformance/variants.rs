//! What the golden files do not hold of an operation, on the inputs of its f32 cases: the other floating dtypes, against
//! f32 on the same (rounded) numbers, and broadcast inputs, against copies of them. Gradients too.

use super::{
    Case, Outcome, calls,
    gradient::{close, gradients},
    input, tolerance,
};
use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    tensor::Tensor,
};
use std::collections::HashSet;

/// Which operations have cases of which dtypes, and with broadcast inputs (`""`).
pub(super) type Covered = HashSet<(String, String)>;

pub(super) fn cover(covered: &mut Covered, case: &Case) {
    covered.insert((case.op.clone(), case.dtype.clone()));
    if case.inputs.iter().any(|spec| spec.expand.is_some()) {
        covered.insert((case.op.clone(), String::new()));
    }
}

/// Adds an outcome for each variant of a case that its operation has no case of.
pub(super) async fn run(case: &Case, covered: &Covered, device: &Device, outcomes: &mut Vec<Outcome>) {
    if case.dtype != "f32" {
        return;
    }
    let has = |what: &str| covered.contains(&(case.op.clone(), what.into()));
    for dtype in [DType::F64, DType::F16, DType::BF16] {
        let name = dtype.to_string();
        if !has(&name) && device.supports(dtype) {
            let error = in_dtype(case, dtype, device).await.err().map(|e| e.to_string());
            outcomes.push(Outcome { name: format!("{} in {name}", case.name), error });
        }
    }
    if !has("") {
        let error = broadcast(case, device).await.err().map(|e| e.to_string());
        outcomes.push(Outcome { name: format!("{} broadcast", case.name), error });
    }
}

fn inputs(case: &Case, device: &Device) -> Result<Vec<Tensor>> {
    case.inputs.iter().map(|spec| input(spec, device)).collect()
}

async fn in_dtype(case: &Case, dtype: DType, device: &Device) -> Result<()> {
    let cast = |all: &[Tensor], from: DType, to: DType| -> Result<Vec<Tensor>> {
        all.iter().map(|x| if x.dtype() == from { x.to_dtype(to) } else { Ok(x.clone()) }).collect()
    };
    let narrow = cast(&inputs(case, device)?, DType::F32, dtype)?;
    let wide = cast(&narrow, dtype, DType::F32)?;
    // An operation made of several rounds between them.
    let allowed = 4.0 * tolerance(if dtype == DType::F64 { DType::F32 } else { dtype });
    same(case, &narrow, &wide, Some(dtype), allowed).await
}

async fn broadcast(case: &Case, device: &Device) -> Result<()> {
    let spread = |x: Tensor| -> Result<Tensor> {
        match x.dims().iter().position(|&n| n > 1) {
            Some(dim) if x.dtype().is_float() => x.narrow(dim as isize, 0, 1)?.broadcast_to(x.shape()),
            _ => Ok(x),
        }
    };
    let views = inputs(case, device)?.into_iter().map(spread).collect::<Result<Vec<_>>>()?;
    let copies = views.iter().map(Tensor::contiguous).collect::<Result<Vec<_>>>()?;
    // The same numbers; kernels may add them up in another order.
    same(case, &views, &copies, None, tolerance(DType::F32)).await
}

/// Compares what a case gives of two lists of inputs.
async fn same(case: &Case, inputs: &[Tensor], reference: &[Tensor], dtype: Option<DType>, allowed: f64) -> Result<()> {
    let (inputs, reference): (Vec<_>, Vec<_>) = (inputs.iter().collect(), reference.iter().collect());
    let found = calls::run(&case.op, &case.args, &inputs).await?.direct;
    let want = calls::run(&case.op, &case.args, &reference).await?.direct;
    if let Some(dtype) = dtype.filter(|_| want.dtype() == DType::F32 && case.args.get("dtype").is_none())
        && found.dtype() != dtype
    {
        return Err(Error::argument("conformance", format!("a result of {} from {dtype}", found.dtype())));
    }
    close(&found, &want, allowed).await?;
    let Some(gradient) = &case.gradient else { return Ok(()) };
    let (_, _, found) = gradients(case, gradient, &inputs).await?.remove(0);
    let (_, _, want) = gradients(case, gradient, &reference).await?.remove(0);
    for (i, (found, want)) in found.iter().zip(&want).enumerate() {
        if let (Some(found), Some(want)) = (found, want) {
            let fail = |e| Error::argument("conformance", format!("gradient to input {i}: {e}"));
            close(found, want, 2.0 * allowed).await.map_err(fail)?;
        }
    }
    Ok(())
}
