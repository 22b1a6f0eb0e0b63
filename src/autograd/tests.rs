use super::{GradOptions, checkpoint, grad, no_grad};
use crate::{Device, Result, Tensor};

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
