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
    let ids = Tensor::new([0i64, -3], &cpu())?;
    assert_eq!(message(a.i(&ids)), "i: index -3 is outside a dimension of 2");
    assert_eq!(message(a.i((.., 0, 0))), "i: 3 places for the 2 dimensions of [2, 3]");
    assert_eq!(
        message(Tensor::einsum("ij,jk->ik", &[&a, &b])),
        "einsum: \"ij,jk->ik\": 'j' names dimensions of 3 and 4"
    );
    assert_eq!(message(Tensor::einsum("ij->k", &[&a])), "einsum: \"ij->k\": the result names 'k', but no tensor does");
    assert_eq!(message(a.bmm(&b)), "bmm: [2, 3] x [4, 5]: takes two lists of matrices; matmul takes all combinations");
    assert_eq!(message(a.split([1, 1], 1).map(|mut t| t.remove(0))), "split: [1, 1] do not add up to a dimension of 3");
    assert_eq!(message(a.masked_fill(&a, 1.0)), "where_cond: takes a u8 condition, got f32; cast with to_dtype");
    assert_eq!(message(a.unsqueeze(0)?.diag(0)), "diag: [1, 2, 3] is neither vector nor matrix");
    assert_eq!(message(b.searchsorted(&a, false)), "searchsorted: [4, 5] x [2, 3]: dimensions before the last differ");
    Ok(())
}

#[test]
fn operators_take_tensors_and_numbers() -> Result<()> {
    let a = Tensor::new([1.0f32, 2.0], &cpu())?;
    let b = ((&a + &a)? * 3.0)?;
    assert_eq!((-&(b - 1.0)?)?.to_vec_sync::<f32>()?, [-5.0, -11.0]);
    let bytes = Tensor::new([5u8, 7], &cpu())?;
    assert_eq!((&bytes - 1.0)?.to_vec_sync::<u8>()?, [4, 6]);
    assert_eq!((10 - &bytes)?.to_vec_sync::<u8>()?, [5, 3]);
    assert_eq!((6.0 / a.clone())?.to_vec_sync::<f32>()?, [6.0, 3.0]);
    assert_eq!((-a)?.to_vec_sync::<f32>()?, [-1.0, -2.0]);
    // Nothing is rounded in silence.
    let message = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert_eq!(message(&bytes * 2.5), "affine: 2.5 is no whole number, for a tensor of u8; cast it with to_dtype");
    assert_eq!(message(bytes.lt_scalar(6.5)), "lt: 6.5 is no u8; cast the tensor with to_dtype");
    assert_eq!(message(bytes.lt_scalar(300.0)), "lt: 300 is no u8; cast the tensor with to_dtype");
    Ok(())
}

#[test]
fn sizes_beyond_memory_are_errors() -> Result<()> {
    let one = Tensor::zeros([1, 1], DType::F32, &cpu())?;
    let huge = 1usize << (usize::BITS / 2);
    assert!(one.broadcast_to([huge, huge]).is_err());
    assert!(Tensor::zeros([huge, huge], DType::U8, &cpu()).is_err());
    let wide = one.broadcast_to([huge - 1, huge - 1])?;
    assert!(wide.add(&one).is_err(), "nothing is allocated before the size is known to be possible");
    assert_eq!(Tensor::zeros([0, huge, huge], DType::F32, &cpu())?.sum(..)?.to_vec_sync::<f32>()?, [0.0]);
    Ok(())
}

#[test]
fn block_formats_are_weights() -> Result<()> {
    // Q8_0 stores 127 exactly: the scale is 1.
    let w = Tensor::full(127.0, [3, 64], DType::F32, &cpu())?.to_dtype(DType::Q8_0)?;
    let message = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert_eq!(message(w.exp()), "exp: q8_0 is a block format; dequantize it with to_dtype first");
    assert_eq!(message(w.t()), "t: q8_0 is a block format; its rows stay the last dimension");
    assert_eq!(message(w.narrow(1, 5, 32)), "narrow: 5..5+32 cuts blocks of q8_0");
    assert_eq!(
        message(w.reshape([6, 32])?.reshape([12, 16])),
        "reshape: [6, 32] as [12, 16]: rows are not whole blocks of q8_0"
    );
    assert_eq!(
        w.narrow(0, 1, 2)?.narrow(1, 32, 32)?.to_dtype(DType::F32)?.sum(..)?.to_vec_sync::<f32>()?,
        [64.0 * 127.0]
    );
    assert_eq!(Tensor::cat(&[&w, &w], 0)?.dims(), [6, 64]);
    Ok(())
}

#[test]
fn shapes_that_attention_refuses() -> Result<()> {
    let make = |shape: [usize; 4]| Tensor::zeros(shape, DType::F32, &cpu());
    let options = AttentionOptions { scale: 1.0, causal: true, window: None, softcap: None };
    let attend = |q, k, v| -> Result<String> {
        Ok(make(q)?.attention(&make(k)?, &make(v)?, None, options).unwrap_err().to_string())
    };
    let heads = attend([1, 3, 2, 8], [1, 2, 4, 8], [1, 2, 4, 8])?;
    assert_eq!(
        heads,
        "attention: q [1, 3, 2, 8], k [1, 2, 4, 8], v [1, 2, 4, 8]: 3 query heads are no multiple of 2 key heads"
    );
    assert!(attend([1, 2, 2, 8], [1, 2, 4, 6], [1, 2, 4, 8])?.contains("head sizes 8 and 6"));
    assert!(attend([1, 2, 2, 8], [1, 2, 4, 8], [1, 2, 5, 8])?.contains("heads or length"));
    // Queries before the first key see nothing, and give zeros on every path.
    let (q, k) = (make([1, 1, 3, 8])?, Tensor::ones([1, 1, 2, 8], DType::F32, &cpu())?);
    let out = q.attention(&k, &k, None, options)?;
    assert_eq!(out.narrow(2, 0, 1)?.to_vec_sync::<f32>()?, [0.0; 8]);
    assert_eq!(out.narrow(2, 2, 1)?.to_vec_sync::<f32>()?, [1.0; 8]);
    let op = Op::Attention { scale: 1.0, causal: true, window: None, softcap: None };
    let decomposed = op.decompose(&[&q, &k, &k]).unwrap()?;
    assert_eq!(decomposed.to_vec_sync::<f32>()?, out.to_vec_sync::<f32>()?);
    Ok(())
}

/// The message of an expected error.
fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn convolution_and_pooling_say_what_does_not_fit() {
    use super::{ConvOptions, ConvTransposeOptions, MaxPoolOptions, PadMode, Padding};
    let of = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::cpu()).unwrap();
    let (x, w) = (of(&[1, 3, 9, 9]), of(&[8, 4, 3, 3]));
    let plain = ConvOptions::default();
    assert_eq!(
        message(x.conv2d(&w, None, &plain)),
        "conv2d: weight [8, 4, 3, 3] takes 4 channels, the input [1, 3, 9, 9] has 3"
    );
    let w = of(&[8, 3, 11, 3]);
    let found = message(x.conv2d(&w, None, &plain));
    assert_eq!(found, "conv2d: [1, 3, 9, 9] x [8, 3, 11, 3]: the kernel [11, 3] is larger than the padded input");
    let w = of(&[8, 3, 3, 3]);
    assert_eq!(
        message(x.conv2d(&w, Some(&of(&[3])), &plain)),
        "conv2d: the bias [3] should be [8], one for each channel of the result"
    );
    let same = ConvOptions { stride: [2, 2], padding: Padding::Same, ..plain };
    assert!(message(x.conv2d(&w, None, &same)).contains("strides of 1, not [2, 2]"));
    let huge = ConvOptions { padding: Padding::Zeros([usize::MAX / 2, 0]), ..plain };
    assert!(x.conv2d(&w, None, &huge).is_err());
    let huge = ConvOptions { padding: Padding::Zeros([1 << 40, 1 << 40]), ..plain };
    assert!(x.conv2d(&w, None, &huge).is_err());
    let found = message(x.conv1d(&of(&[1, 3, 3]), None, &ConvOptions::default()));
    assert_eq!(found, "conv1d: the input [1, 3, 9, 9] should be [batch, channels, length]");
    let found = message(x.conv_transpose2d(&w, None, &ConvTransposeOptions::default()));
    assert_eq!(found, "conv_transpose2d: weight [8, 3, 3, 3] takes 8 channels, the input [1, 3, 9, 9] has 3");
    let cut = ConvTransposeOptions { padding: [9, 9], ..Default::default() };
    assert!(message(x.conv_transpose2d(&of(&[3, 1, 3, 3]), None, &cut)).contains("leaves nothing"));
    let pool = MaxPoolOptions { padding: [2, 2], ..Default::default() };
    assert!(message(x.max_pool2d([3, 3], &pool)).contains("padding 2 at most half a window"));
    assert!(message(x.pad(&[9, 0], PadMode::Reflect)).contains("larger than the mode allows"));
    assert!(message(x.pad(&[-5, -5], PadMode::Replicate)).contains("nothing is left"));
    assert!(message(x.unfold(2, 10, 1)).contains("no windows of 10 every 1 along dimension 2"));
    assert!(message(x.group_norm(2, None, None, 1e-5)).contains("3 channels are not 2 equal groups"));
    let signal = of(&[20]);
    assert!(
        message(signal.stft(Some(&of(&[3])), &super::StftOptions { n_fft: 8, ..Default::default() })).contains("[8]")
    );
}

#[test]
fn tensors_are_made_of_numbers_of_every_kind() -> Result<()> {
    let nested = Tensor::new([[[[1i64], [2]], [[3], [4]]]], &cpu())?;
    assert_eq!((nested.dims(), nested.dtype()), (&[1, 2, 2, 1][..], DType::I64));
    assert_eq!(Tensor::new([1, 2], &cpu())?.dtype(), DType::I32);
    assert_eq!(Tensor::new(vec![vec![0u8; 3]; 2], &cpu())?.dims(), [2, 3]);
    assert_eq!(Tensor::new(&[&[1u32, 2][..], &[3, 4]][..], &cpu())?.to_vec2_sync::<u32>()?, [[1, 2], [3, 4]]);
    assert!(Tensor::new(vec![vec![1.0f32], vec![]], &cpu()).is_err());
    for dtype in DType::ALL.into_iter().filter(|d| !d.is_quantized()) {
        let steps = Tensor::arange(0.0, 3.0, dtype, &cpu())?;
        assert_eq!(steps.to_dtype(DType::F64)?.to_vec_sync::<f64>()?, [0.0, 1.0, 2.0], "{dtype}");
        assert_eq!(Tensor::full(7.0, [2, 1], dtype, &cpu())?.sum(..)?.item_sync()?, 14.0, "{dtype}");
        assert_eq!(Tensor::eye(2, dtype, &cpu())?.trace()?.item_sync()?, 2.0, "{dtype}");
        assert_eq!(steps.full_like(1.0)?.dtype(), dtype);
    }
    Ok(())
}

#[test]
fn arguments_beyond_reason_are_errors_or_nothing() -> Result<()> {
    let x = Tensor::arange(0.0, 6.0, DType::F32, &cpu())?.reshape([2, 3])?;
    let values = |t: Result<Tensor>| t?.to_vec_sync::<f32>();
    assert_eq!(values(x.roll(isize::MIN, 1))?.len(), 6);
    assert_eq!(values(x.roll(-4, 1))?, [1.0, 2.0, 0.0, 4.0, 5.0, 3.0]);
    assert_eq!(values(x.triu(isize::MAX))?, [0.0; 6]);
    assert_eq!(values(x.tril(isize::MAX))?, values(Ok(x.clone()))?);
    assert_eq!(values(x.triu(isize::MIN))?, values(Ok(x.clone()))?);
    assert_eq!(x.diagonal(isize::MIN, 0, 1)?.dims(), [0]);
    assert!(x.diag_embed(isize::MIN).is_err());
    assert_eq!(x.step(1, usize::MAX)?.dims(), [2, 1]);
    assert!(x.step(1, 0).is_err() && x.split(0, 1).is_err() && x.chunk(0, 1).is_err());
    assert!(x.repeat([usize::MAX, 2]).is_err() && x.tile([usize::MAX / 2]).is_err());
    let (start, end) = (5, 2);
    assert!(x.i((start..end, ..))?.dims() == [0, 3] && x.i((i64::MIN.., ..))?.dims() == [2, 3]);
    assert!(x.i(usize::MAX).is_err() && x.i(isize::MIN).is_err() && x.i(step(.., 0)).is_err());
    assert!(x.i((Ellipsis, Ellipsis)).is_err() && x.i(&Tensor::ones((), DType::U8, &cpu())?).is_err());
    assert!(x.one_hot(3).is_err() && Tensor::new([3u8], &cpu())?.one_hot(3).is_err());
    assert!(Tensor::new([0u8], &cpu())?.one_hot(usize::MAX).is_err());
    assert!(x.quantile(f64::NAN, 0).is_err() && x.narrow(0, 0, 0)?.median(0).is_err());
    assert!(Tensor::linspace(f64::NAN, 1.0, 3, DType::F32, &cpu()).is_err());
    assert!(Tensor::rand([usize::MAX, 2], DType::F32, &cpu(), &Generator::new(0)).is_err());
    for equation in ["", "->", "ij->", "i...j...", "ij,", "ii", "i1", "é", "ij->ii", "ijk"] {
        let found = Tensor::einsum(equation, &[&x]);
        assert_eq!(found.is_ok(), equation == "ij->", "{equation}");
    }
    assert!(Tensor::einsum("", &[]).is_err());
    Ok(())
}
