//! Gradients of the cases: against PyTorch's, against f32's in half precision, and against differences of results.

use super::{Case, Gradient, Input, calls, compare, input, numbers, stored, tolerance, wider};
use crate::{
    autograd::{GradOptions, grad},
    device::Device,
    dtype::DType,
    error::{Error, Result},
    format::Checkpoint,
    tensor::Tensor,
};

/// What gradients are taken of: `sum(result * w)`; this is `w`.
fn weights(gradient: &Gradient, result: &Tensor) -> Result<Tensor> {
    let shape = result.dims().to_vec();
    let spec = Input { shape, low: -1.0, high: 1.0, dtype: "f64".into(), expand: None, seed: gradient.seed };
    input(&spec, &Device::cpu())?.to_dtype(result.dtype())?.moved_to(result.device())
}

/// The results of a case (direct, decomposed) with their gradients to its inputs.
pub(super) type Found = Vec<(&'static str, Tensor, Vec<Option<Tensor>>)>;

pub(super) async fn gradients(case: &Case, gradient: &Gradient, inputs: &[&Tensor]) -> Result<Found> {
    let leaves: Vec<_> = inputs.iter().map(|x| x.requires_grad()).collect();
    let results = calls::run(&case.op, &case.args, &leaves.iter().collect::<Vec<_>>()).await?;
    let how = [("", Some(results.direct)), ("decomposed: ", results.decomposed)];
    let found = how.into_iter().filter_map(|(how, result)| Some((how, result?)));
    found
        .map(|(how, result)| {
            let mut all = result.backward_with(&weights(gradient, &result)?)?;
            let gradients = leaves.iter().map(|x| all.remove(x)).collect();
            Ok((how, result, gradients))
        })
        .collect()
}

fn fail(what: &str, i: usize, message: impl std::fmt::Display) -> Error {
    Error::argument("conformance", format!("{what}gradient to input {i}: {message}"))
}

/// Compares relative to the largest element: sums of terms that cancel are as exact as the terms.
pub(super) async fn close(found: &Tensor, want: &Tensor, tolerance: f64) -> Result<()> {
    let size = match want.elements() {
        0 => 1.0,
        _ => numbers(want).await?.iter().fold(1.0, |size, v| v.abs().max(size)),
    };
    compare(found, want, tolerance * size).await
}

/// Compares a case's gradients with PyTorch's; those of half precision with what f32 gives.
pub(super) async fn check(case: &Case, golden: &Checkpoint, inputs: &[&Tensor]) -> Result<()> {
    let Some(gradient) = &case.gradient else { return Ok(()) };
    let dtype = DType::from_name(&case.dtype)?;
    let found = gradients(case, gradient, inputs).await?;
    let in_f32 = if matches!(dtype, DType::F16 | DType::BF16) {
        let wide = inputs.iter().map(|x| if x.dtype() == dtype { x.to_dtype(DType::F32) } else { Ok((*x).clone()) });
        let wide = wide.collect::<Result<Vec<_>>>()?;
        Some(gradients(case, gradient, &wide.iter().collect::<Vec<_>>()).await?)
    } else {
        None
    };
    for (how, result, mut gradients) in found {
        for &i in &gradient.inputs {
            let found = gradients[i].take().ok_or_else(|| fail(how, i, "none"))?;
            let want = match &in_f32 {
                Some(in_f32) => in_f32[0].2[i].clone().ok_or_else(|| fail("f32: ", i, "none"))?,
                None => stored(golden, &format!("{} gradient {i}", case.name)).await?,
            };
            // Several roundings, each as large as one of a result.
            let allowed = 3.0 * tolerance(wider(wider(dtype, result.dtype()), found.dtype()));
            close(&found, &want, allowed).await.map_err(|e| fail(how, i, e))?;
        }
    }
    Ok(())
}

/// Half the distance of two inputs. The result's curvature errs by its square times a third derivative (at most some
/// thousands among the cases), rounding by the result's last place, 1e-16, over it.
const STEP: f64 = 1e-5;
/// A hundred times both errors.
const TOLERANCE: f64 = 1e-6;

/// Compares gradients, and gradients of gradients, in f64 with central differences at the first, middle and last element
/// of each input; gradients of gradients also with PyTorch's where they are stored.
pub(super) async fn check_in_f64(case: &Case, golden: &Checkpoint, inputs: &[&Tensor]) -> Result<()> {
    let Some(gradient) = case.gradient.as_ref().filter(|_| matches!(&*case.dtype, "f32" | "f64")) else {
        return Ok(());
    };
    let wide = |x: &&Tensor| if x.dtype().is_float() { x.to_dtype(DType::F64) } else { Ok((*x).clone()) };
    let inputs = inputs.iter().map(wide).collect::<Result<Vec<_>>>()?;
    let inputs: Vec<_> = inputs.iter().collect();
    let (_, result, first) = gradients(case, gradient, &inputs).await?.remove(0);
    // Some operations have a result of less precision whatever goes in.
    if result.dtype() != DType::F64 {
        return Ok(());
    }
    let second = if gradient.once { vec![None; inputs.len()] } else { second(case, gradient, &inputs).await? };
    for &i in &gradient.second {
        let want = stored(golden, &format!("{} second {i}", case.name)).await?;
        // Where PyTorch gives zeros, the gradient may depend on nothing here.
        let found = second[i].clone().map_or_else(|| want.zeros_like(), Ok)?;
        close(&found, &want, 10.0 * tolerance(DType::F64)).await.map_err(|e| fail("second: ", i, e))?;
    }
    // Broadcast inputs may hold equal elements, where a maximum has no derivative.
    if case.inputs.iter().any(|spec| spec.expand.is_some()) {
        return Ok(());
    }
    let w = weights(gradient, &result)?;
    for &i in &gradient.inputs {
        let value = async |moved: &[&Tensor]| {
            calls::run(&case.op, &case.args, moved).await?.direct.mul(&w)?.sum(..)?.to_scalar::<f64>().await
        };
        differences(&inputs, i, first[i].as_ref(), value).await.map_err(|e| fail("f64: ", i, e))?;
        if gradient.once {
            continue;
        }
        let value = async |moved: &[&Tensor]| {
            let found = gradients(case, gradient, moved).await?.remove(0).2;
            let mut sum = 0.0;
            for (j, g) in found.iter().enumerate() {
                if let Some(g) = g {
                    sum += g.mul(&second_weights(gradient, j, g)?)?.sum(..)?.to_scalar::<f64>().await?;
                }
            }
            Ok(sum)
        };
        differences(&inputs, i, second[i].as_ref(), value).await.map_err(|e| fail("second: ", i, e))?;
    }
    Ok(())
}

fn second_weights(gradient: &Gradient, i: usize, like: &Tensor) -> Result<Tensor> {
    let seed = gradient.seed + (1 << 20) + i as u32;
    weights(&Gradient { seed, inputs: Vec::new(), second: Vec::new(), once: true }, like)
}

/// Gradients of the sum of a case's gradients, each times weights of its own.
async fn second(case: &Case, gradient: &Gradient, inputs: &[&Tensor]) -> Result<Vec<Option<Tensor>>> {
    let leaves: Vec<_> = inputs.iter().map(|x| x.requires_grad()).collect();
    let of: Vec<_> = leaves.iter().filter(|x| x.is_tracked()).collect();
    let result = calls::run(&case.op, &case.args, &leaves.iter().collect::<Vec<_>>()).await?.direct;
    let w = weights(gradient, &result)?;
    let options = GradOptions { grad_outputs: Some(&[&w]), create_graph: true };
    let mut first = grad(&[&result], &of, options)?.into_iter();
    let mut sum: Option<Tensor> = None;
    for (i, x) in leaves.iter().enumerate() {
        let Some(g) = (if x.is_tracked() { first.next().flatten() } else { None }) else { continue };
        let part = g.mul(&second_weights(gradient, i, &g)?)?.sum(..)?;
        sum = Some(sum.map_or(Ok(part.clone()), |sum| sum.add(&part))?);
    }
    // The gradient of what is linear depends on nothing.
    let Some(sum) = sum.filter(Tensor::is_tracked) else { return Ok(vec![None; inputs.len()]) };
    let mut all = sum.backward()?;
    Ok(leaves.iter().map(|x| all.remove(x)).collect())
}

/// Compares a gradient to input `i` (`None`: zero) with differences of `value`.
async fn differences(
    inputs: &[&Tensor],
    i: usize,
    gradient: Option<&Tensor>,
    value: impl AsyncFn(&[&Tensor]) -> Result<f64>,
) -> Result<()> {
    let values = inputs[i].to_vec::<f64>().await?;
    let Some(last) = values.len().checked_sub(1) else { return Ok(()) };
    let gradient = match gradient {
        Some(gradient) => gradient.to_vec::<f64>().await?,
        None => vec![0.0; values.len()],
    };
    for at in [0, last / 2, last] {
        let mut results = [0.0; 2];
        for (result, step) in results.iter_mut().zip([STEP, -STEP]) {
            let mut moved = values.clone();
            moved[at] += step;
            let moved = Tensor::from_slice(&moved, inputs[i].shape(), inputs[i].device())?;
            let all: Vec<_> = inputs.iter().enumerate().map(|(j, &x)| if j == i { &moved } else { x }).collect();
            *result = value(&all).await?;
        }
        let difference = (results[0] - results[1]) / (2.0 * STEP);
        let error = (gradient[at] - difference).abs();
        if error.is_nan() || error > TOLERANCE * difference.abs().max(1.0) {
            let message = format!("element {at} is {} where differences give {difference}", gradient[at]);
            return Err(Error::argument("conformance", message));
        }
    }
    Ok(())
}

/// Products with weights in blocks: the gradient to the activations is that of the dequantized weights.
pub(super) async fn check_blocks(weight: &Tensor, device: &Device) -> Result<()> {
    let spec = |shape: &[usize], seed| Input {
        shape: shape.to_vec(),
        low: -1.0,
        high: 1.0,
        dtype: "f32".into(),
        expand: None,
        seed,
    };
    let (n, k) = weight.dims2()?;
    let x = input(&spec(&[3, k], 5), device)?.requires_grad();
    let w = input(&spec(&[3, n], 6), device)?;
    let missing = || fail("", 0, "none");
    let of = |weight: &Tensor| x.linear(weight, None)?.backward_with(&w)?.remove(&x).ok_or_else(missing);
    // The same product of the same numbers.
    compare(&of(weight)?, &of(&weight.to_dtype(DType::F32)?)?, 1e-6).await
}
