use super::{GradOptions, checkpoint, clip_grad_norm, clip_grad_value, grad, no_grad};
use crate::{DType, Device, Result, Tensor, backend::DeviceBuffer};
use std::sync::{Arc, Mutex, Weak};

fn leaf(values: &[f32]) -> Result<Tensor> {
    Ok(Tensor::from_slice(values, values.len(), &Device::cpu())?.requires_grad())
}

fn values(x: Option<&Tensor>) -> Result<Vec<f32>> {
    x.expect("a gradient").to_vec_sync::<f32>()
}

#[test]
fn a_tensor_used_twice_gets_both_gradients() -> Result<()> {
    let x = leaf(&[2.0, 3.0])?;
    let y = (x.mul(&x)? + &x)?;
    assert_eq!(values(y.backward_with(&y.ones_like()?)?.get(&x))?, [5.0, 7.0]);
    Ok(())
}

#[test]
fn views_and_broadcasts_lead_back() -> Result<()> {
    let x = leaf(&[1.0, 2.0, 3.0, 4.0])?;
    let m = x.reshape([2, 2])?.t()?.narrow(0, 1, 1)?.broadcast_to([3, 2])?;
    let grads = m.backward_with(&m.ones_like()?)?;
    assert_eq!(values(grads.get(&x))?, [0.0, 3.0, 0.0, 3.0]);
    Ok(())
}

#[test]
fn written_slices_get_their_part() -> Result<()> {
    let (x, part) = (leaf(&[1.0, 2.0, 3.0])?, leaf(&[9.0])?);
    let y = x.clone().write_slice(0, 1, &part)?;
    assert_eq!(y.to_vec_sync::<f32>()?, [1.0, 9.0, 3.0]);
    assert_eq!(x.to_vec_sync::<f32>()?, [1.0, 2.0, 3.0]);
    let grads = y.mul(&y)?.backward_with(&y.ones_like()?)?;
    assert_eq!(values(grads.get(&x))?, [2.0, 0.0, 6.0]);
    assert_eq!(values(grads.get(&part))?, [18.0]);
    Ok(())
}

#[test]
fn nothing_is_recorded_where_nothing_is_asked() -> Result<()> {
    let x = leaf(&[1.0])?;
    assert!(!no_grad(|| x.mul(&x))?.is_tracked());
    assert!(!x.detach().mul(&x.detach())?.is_tracked());
    assert!(x.mul(&x)?.is_tracked());
    assert!(x.detach().backward().is_err());
    Ok(())
}

#[test]
fn a_result_on_the_way_can_be_asked_for() -> Result<()> {
    let (x, unused) = (leaf(&[3.0])?, leaf(&[1.0])?);
    let y = x.mul(&x)?;
    let z = y.mul(&x)?;
    let found = grad(&[&z], &[&y, &x, &unused], GradOptions::default())?;
    assert_eq!(values(found[0].as_ref())?, [3.0]);
    assert_eq!(values(found[1].as_ref())?, [27.0]);
    assert!(found[2].is_none());
    Ok(())
}

#[test]
fn checkpoints_reach_what_they_capture() -> Result<()> {
    let (x, w) = (leaf(&[2.0])?, leaf(&[5.0])?);
    let captured = w.clone();
    let y = checkpoint(&[&x], move |inputs| inputs[0].mul(&captured)?.mul(&inputs[0]))?;
    let grads = y.backward()?;
    assert_eq!(values(grads.get(&x))?, [20.0]);
    assert_eq!(values(grads.get(&w))?, [4.0]);
    Ok(())
}

#[test]
fn long_chains_neither_recurse_nor_overflow() -> Result<()> {
    let x = leaf(&[1.0])?;
    let mut y = x.clone();
    for _ in 0..100_000 {
        y = y.add(&x)?;
    }
    assert_eq!(values(y.backward()?.get(&x))?, [100_001.0]);
    Ok(())
}

#[test]
fn gradients_stop_where_they_are_told_to() -> Result<()> {
    let x = leaf(&[2.0, 3.0])?;
    let y = x.detach().mul(&x)?;
    assert_eq!(values(y.backward_with(&y.ones_like()?)?.get(&x))?, [2.0, 3.0]);
    let y = no_grad(|| x.sqr())?.mul(&x)?;
    assert_eq!(values(y.backward_with(&y.ones_like()?)?.get(&x))?, [4.0, 9.0]);
    // Integers have no gradient: what is computed from them is not tracked.
    let chosen = x.argmax(0)?;
    assert!(!chosen.is_tracked() && !x.gt_scalar(1.0)?.is_tracked() && !x.to_dtype(DType::I64)?.is_tracked());
    Ok(())
}

#[test]
fn checkpoints_hold_less_and_give_the_same() -> Result<()> {
    type Held = Arc<Mutex<Vec<Weak<dyn DeviceBuffer>>>>;
    let (x, w) = (leaf(&[0.1, 0.2, 0.3])?, leaf(&[1.5, -0.5, 0.7])?);
    let layer = |held: &Held, captured: &Tensor| {
        let (held, w) = (held.clone(), captured.clone());
        move |inputs: &[Tensor]| {
            let mut h = inputs[0].clone();
            for _ in 0..5 {
                h = h.mul(&w)?.tanh()?;
                held.lock().unwrap().push(Arc::downgrade(h.view().storage));
            }
            h.sin()
        }
    };
    let alive = |held: &Held| held.lock().unwrap().iter().filter(|weak| weak.strong_count() > 0).count();
    let (plain, checkpointed) = (Held::default(), Held::default());
    let all = layer(&plain, &w)(std::slice::from_ref(&x))?.sum(..)?;
    let few = checkpoint(&[&x], layer(&checkpointed, &w))?.sum(..)?;
    assert_eq!((alive(&plain), alive(&checkpointed)), (5, 0));
    let (all, few) = (all.backward()?, few.backward()?);
    assert_eq!(checkpointed.lock().unwrap().len(), 10, "ran twice");
    for leaf in [&x, &w] {
        assert_eq!(values(all.get(leaf))?, values(few.get(leaf))?);
    }
    Ok(())
}

/// Norms and clipped gradients as `torch.nn.utils.clip_grad_norm_` gives them.
#[test]
fn clipping_is_over_all_gradients() -> Result<()> {
    for (norm_type, norm, scale) in [(2.0, 7.0, 0.5), (1.0, 11.0, 3.5 / 11.0), (f64::INFINITY, 6.0, 3.5 / 6.0)] {
        let (a, b) = (leaf(&[1.0, -1.0])?, leaf(&[1.0])?);
        let loss = a.mul(&Tensor::new([2.0f32, 3.0], a.device())?)?.sum(..)?.add(&b.mul_scalar(-6.0)?.sum(..)?)?;
        let mut grads = loss.backward()?;
        assert_eq!(clip_grad_norm(&mut grads, 100.0, norm_type)?.to_vec_sync::<f32>()?, [norm as f32]);
        assert_eq!(values(grads.get(&a))?, [2.0, 3.0], "not above the limit");
        clip_grad_norm(&mut grads, 3.5, norm_type)?;
        let found = [values(grads.get(&a))?, values(grads.get(&b))?].concat();
        for (found, before) in found.iter().zip([2.0, 3.0, -6.0]) {
            // The guard of 1e-6 on the norm, and rounding.
            assert!((f64::from(*found) - before * scale).abs() < 2e-6, "{norm_type}: {found}");
        }
    }
    let x = leaf(&[1.0])?;
    let mut grads = x.mul_scalar(-3.0)?.backward()?;
    clip_grad_value(&mut grads, 0.5)?;
    assert_eq!(values(grads.get(&x))?, [-0.5]);
    assert!(clip_grad_value(&mut grads, -1.0).is_err() && clip_grad_norm(&mut grads, -1.0, 2.0).is_err());
    Ok(())
}

#[test]
fn deep_graphs_of_many_kinds_of_steps() -> Result<()> {
    let x = leaf(&[0.5, 0.25])?;
    let mut y = x.clone();
    for _ in 0..12_500 {
        // Eight steps: views, broadcasts, written slices, operations.
        let pair = y.unsqueeze(0)?.broadcast_to([2, 2])?.t()?.mean(-1)?.reshape([2])?;
        y = pair.clone().write_slice(0, 0, &pair.narrow(0, 0, 1)?)?.add(&x)?.sub(&x)?;
    }
    assert_eq!(values(y.backward_with(&y.ones_like()?)?.get(&x))?, [1.0, 1.0]);
    Ok(())
}

#[test]
fn derivatives_of_any_order() -> Result<()> {
    let x = leaf(&[0.7])?;
    let mut y = x.sin()?;
    // cos, -sin, -cos, sin
    for want in [0.7f32.cos(), -(0.7f32.sin()), -(0.7f32.cos()), 0.7f32.sin()] {
        let options = GradOptions { create_graph: true, ..GradOptions::default() };
        y = grad(&[&y], &[&x], options)?.remove(0).expect("a gradient");
        assert!((y.to_vec_sync::<f32>()?[0] - want).abs() < 1e-6);
    }
    Ok(())
}
