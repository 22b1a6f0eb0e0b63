//! The API as a user meets it; values of operations are the conformance suite's business.

use super::*;
use crate::shape::HOLE;

fn cpu() -> Device {
    Device::cpu()
}

#[test]
fn a_views_memory_is_shared_and_copied_on_write() -> Result<()> {
    let cache = Tensor::zeros([1, 2, 4, 3], DType::F32, &cpu())?;
    let before = cache.storage_address();
    let step = Tensor::arange(0.0, 6.0, DType::F32, &cpu())?.reshape([1, 2, 1, 3])?;
    let cache = cache.write_slice(2, 1, &step)?;
    assert_eq!(cache.storage_address(), before, "the only handle is written in place");
    let view = cache.narrow(2, 0, 2)?;
    let copy = cache.write_slice(2, 0, &step)?;
    assert_ne!(copy.storage_address(), before, "a shared one is copied");
    assert_eq!(view.to_vec_sync::<f32>()?, [0., 0., 0., 0., 1., 2., 0., 0., 0., 3., 4., 5.]);
    assert_eq!(copy.narrow(2, 0, 2)?.to_vec_sync::<f32>()?, [0., 1., 2., 0., 1., 2., 3., 4., 5., 3., 4., 5.]);
    Ok(())
}

#[test]
fn errors_name_operation_shapes_and_dtypes() -> Result<()> {
    let a = Tensor::zeros([2, 3], DType::F32, &cpu())?;
    let b = Tensor::zeros([4, 5], DType::F32, &cpu())?;
    let i = Tensor::zeros([2, 3], DType::I64, &cpu())?;
    let message = |r: Result<Tensor>| r.map(|t| t.to_string()).unwrap_err().to_string();
    assert_eq!(message(a.matmul(&b)), "matmul: [2, 3] x [4, 5]: inner dimensions 3 and 4 differ");
    assert_eq!(message(a.add(&b)), "add: [2, 3] x [4, 5]: sizes 2 and 4 do not broadcast");
    assert_eq!(message(a.add(&i)), "add: dtypes f32 and i64 differ; cast one with to_dtype");
    assert_eq!(message(i.exp()), "exp: takes floats, got i64; cast with to_dtype");
    assert_eq!(message(a.sum(2)), "sum: dimension 2 is out of range for shape [2, 3]");
    assert_eq!(message(a.reshape([HOLE, 4])), "reshape: [2, 3] as [_, 4]: no size fills the hole");
    assert_eq!(message(a.index_select(0, &Tensor::new([0i64, 2], &cpu())?)), "index_select: index 2 is outside 0..2");
    Ok(())
}

#[test]
fn prints_like_pytorch() -> Result<()> {
    // Texts are what torch 1.13 prints for the same values.
    let cases = [
        (
            Tensor::new([[1.0f32, 2.5], [-3.0, 4.0]], &cpu())?,
            "tensor([[ 1.0000,  2.5000],\n        [-3.0000,  4.0000]])",
        ),
        (Tensor::new([1i64, 20], &cpu())?, "tensor([ 1, 20], dtype=i64)"),
        (Tensor::new([1.0f32, 2.0], &cpu())?, "tensor([1., 2.])"),
        (Tensor::new(3.5f32, &cpu())?, "tensor(3.5000)"),
        (Tensor::arange(0.0, 2000.0, DType::F32, &cpu())?, "tensor([0., 1., 2., ..., 1997., 1998., 1999.])"),
    ];
    for (tensor, text) in cases {
        let squeezed = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
        if tensor.elements() > 1000 {
            assert_eq!(squeezed(&tensor.to_string()).replace("[ ", "["), text);
        } else {
            assert_eq!(tensor.to_string(), text);
        }
    }
    Ok(())
}

#[test]
fn operators_take_tensors_and_numbers() -> Result<()> {
    let a = Tensor::new([1.0f32, 2.0], &cpu())?;
    let b = ((&a + &a)? * 3.0)?;
    assert_eq!((-&(b - 1.0)?)?.to_vec_sync::<f32>()?, [-5.0, -11.0]);
    let bytes = Tensor::new([5u8, 7], &cpu())?;
    assert_eq!((bytes - 1.0)?.to_vec_sync::<u8>()?, [4, 6]);
    Ok(())
}
