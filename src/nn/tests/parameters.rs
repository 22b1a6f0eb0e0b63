//! Parameters, weights made from them, saved state.

use super::{cpu, fails, floats};
use crate::{
    DType, Generator, Result, Tensor, block_on,
    nn::{Embedding, Fan, Init, LayerNorm, Linear, Parameter, Parameters, RmsNorm, StateDict, Weights, gain},
};
use std::collections::HashMap;

#[test]
fn a_parameter_keeps_its_identity() -> Result<()> {
    let p = Parameter::new(Tensor::new([1.0f32, 2.0], &cpu())?);
    let loss = p.get().sqr()?.sum(..)?;
    p.set(&p.get().mul_scalar(2.0)?)?;
    assert!(p.get().is_leaf(), "what is set is detached from how it was computed");
    let grads = loss.backward()?;
    assert_eq!(floats(grads.get(&p.get()).unwrap()), [2.0, 4.0], "of the value that the loss was computed from");
    p.set_trainable(false);
    assert!(!p.get().sqr()?.is_tracked());
    p.set_trainable(true);
    assert!(loss.backward()?.get(&p.get()).is_some());
    let message = fails(p.set(&Tensor::zeros(3, DType::F32, &cpu())?));
    assert!(message.contains("keeps its shape"), "{message}");
    assert!(fails(p.set(&Tensor::zeros(2, DType::F64, &cpu())?)).contains("f64"));
    assert!(!Parameter::new(Tensor::new([1u32], &cpu())?).is_trainable(), "integers have no gradient");
    Ok(())
}

#[test]
fn missing_parameters_are_created_once() -> Result<()> {
    let parameters = Parameters::seeded(3);
    let weights = Weights::from_parameters(&parameters, &cpu());
    let first = block_on(Linear::load(&weights.pp("a"), 3, 2, true))?;
    let again = block_on(Linear::load(&weights.pp("a"), 3, 2, true))?;
    assert!(first.weight_parameter().same(again.weight_parameter()));
    assert_eq!(parameters.names(), ["a.weight", "a.bias"]);
    let bound = 1.0 / 3f32.sqrt();
    assert!(floats(&first.weight()).iter().all(|v| v.abs() <= bound && *v != 0.0));
    let other = Parameters::seeded(3);
    block_on(Linear::load(&Weights::from_parameters(&other, &cpu()).pp("a"), 3, 2, true))?;
    assert_eq!(floats(&other.get("a.weight").unwrap().get()), floats(&first.weight()), "the same seed");
    let message = fails(block_on(Linear::load(&weights.pp("a"), 4, 2, true)));
    assert!(message.contains("a.weight") && message.contains("[2, 4]"), "{message}");
    assert!(fails(block_on(weights.get("b", 1))).contains("not among the parameters"));

    block_on(LayerNorm::load(&weights.pp("n"), 3, 1e-5, true))?;
    let buffer = block_on(weights.buffer("n.mean", 3, Init::ZEROS))?;
    assert!(!buffer.is_trainable());
    assert_eq!(parameters.trainable().len(), 4);
    assert_eq!(parameters.trainable_if(|name| name.ends_with("bias")).len(), 2);
    parameters.insert("tied", parameters.get("a.weight").unwrap());
    assert_eq!(parameters.trainable().len(), 4, "tied weights count once");
    parameters.set_trainable(false, |name| name.starts_with("a."));
    assert_eq!(parameters.trainable().len(), 2);
    Ok(())
}

#[test]
fn pretrained_weights_are_trained_further() -> Result<()> {
    let table = Tensor::from_slice(&[0.5f32; 64], [2, 32], &cpu())?;
    let held = [
        ("m.a.weight", table.to_dtype(DType::BF16)?),
        ("m.q.weight", table.to_dtype(DType::Q8_0)?),
        ("m.n.weight", Tensor::full(0.25, 2, DType::F32, &cpu())?),
    ];
    let held: HashMap<_, _> = held.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    let base = Weights::from_tensors(held, &cpu()).pp("m");
    let parameters = Parameters::seeded(0);
    let weights = Weights::from_parameters_over(&parameters, &base);
    assert!(weights.contains("a.weight") && !weights.contains("b.weight"));
    assert_eq!(weights.dtype("q.weight"), Some(DType::Q8_0));
    let a = block_on(Linear::load(&weights.pp("a"), 32, 2, false))?;
    let q = block_on(Linear::load(&weights.pp("q"), 32, 2, false))?;
    let b = block_on(Linear::load(&weights.pp("b"), 2, 1, false))?;
    assert_eq!((a.weight().dtype(), a.weight().is_tracked()), (DType::F32, true));
    assert_eq!((q.weight().dtype(), q.weight().is_tracked()), (DType::Q8_0, false));
    assert!(b.weight().is_tracked());
    assert_eq!(parameters.names(), ["a.weight", "q.weight", "b.weight"]);
    // A norm whose checkpoint holds w - 1 is folded when used and stays as it is when trained; both compute the same.
    let x = Tensor::new([3.0f32, -4.0], &cpu())?;
    let used = block_on(RmsNorm::load(&base.pp("n"), 2, 0.0, 1.0))?;
    let trained = block_on(RmsNorm::load(&weights.pp("n"), 2, 0.0, 1.0))?;
    assert_eq!(floats(&used.forward(&x)?), floats(&trained.forward(&x)?));
    assert_eq!(floats(&parameters.get("n.weight").unwrap().get()), [0.25; 2]);
    Ok(())
}

#[test]
fn padding_is_zero_and_not_trained() -> Result<()> {
    let parameters = Parameters::seeded(0);
    let weights = Weights::from_parameters(&parameters, &cpu());
    let embedding = block_on(Embedding::load_with_padding(&weights, 4, 2, 1))?;
    let ids = Tensor::new([[0u32, 1], [1, 3]], &cpu())?;
    let rows = embedding.forward(&ids)?;
    assert_eq!(rows.dims(), [2, 2, 2]);
    assert_eq!(floats(&rows)[2..6], [0.0; 4]);
    let grads = rows.sum(..)?.backward()?;
    assert_eq!(floats(grads.get(&embedding.weight()).unwrap()), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    assert!(fails(block_on(Embedding::load_with_padding(&weights, 4, 2, 4))).contains("padding id 4"));
    let head = embedding.tied_head();
    parameters.get("weight").unwrap().set(&Tensor::ones([4, 2], DType::F32, &cpu())?)?;
    assert_eq!(floats(&head.weight()), [1.0; 8], "tied");
    Ok(())
}

#[test]
fn state_is_saved_and_loaded() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let parameters = Parameters::seeded(0);
    let layer = block_on(Linear::load(&Weights::from_parameters(&parameters, &cpu()), 3, 2, true))?;
    let before = floats(&layer.weight());
    let mut state = StateDict::default();
    state.put("model", parameters.state());
    state.values.insert("lr".into(), 0.1f64.to_string());
    state.save(&path)?;
    layer.weight_parameter().set(&Tensor::zeros([2, 3], DType::F32, &cpu())?)?;
    let loaded = StateDict::load(&path, &cpu())?;
    assert_eq!(loaded.value::<f64>("lr")?, 0.1);
    parameters.load_state(&loaded.take("model"))?;
    assert_eq!(floats(&layer.weight()), before);
    assert!(layer.weight().is_tracked());

    let mut wrong = loaded.take("model");
    wrong.tensors.insert("more".into(), Tensor::zeros(1, DType::F32, &cpu())?);
    assert!(fails(parameters.load_state(&wrong)).contains("\"more\""));
    wrong.tensors.shift_remove("more");
    let bias = wrong.tensors.insert("bias".into(), Tensor::zeros(1, DType::F32, &cpu())?);
    assert!(bias.is_some() && fails(parameters.load_state(&wrong)).contains("\"bias\": has shape [1]"));
    wrong.tensors.shift_remove("bias");
    assert!(fails(parameters.load_state(&wrong)).contains("\"bias\": is not in the state"));
    assert!(fails(loaded.value::<u64>("lr")).contains("\"0.1\""));
    Ok(())
}

#[test]
fn initial_values_have_their_distributions() -> Result<()> {
    let (shape, generator) = ([40, 30, 3, 3], Generator::new(0));
    let moments = |init: Init| -> Result<(f64, f64, f64)> {
        let x = init.tensor(shape, DType::F64, &cpu(), &generator)?;
        let get = |t: Tensor| t.to_vec_sync::<f64>().map(|v| v[0]);
        let mean = get(x.mean(..)?)?;
        Ok((mean, get(x.sub_scalar(mean)?.sqr()?.mean(..)?)?.sqrt(), get(x.abs()?.max(..)?)?))
    };
    let (fan_in, fan_out) = (270f64, 360f64);
    let relu = gain::RELU;
    // PyTorch's formulas for the standard deviation; uniform ones end at sqrt(3) of it.
    for (init, std) in [
        (Init::Normal { mean: 0.0, std: 0.02 }, 0.02),
        (Init::XavierNormal { gain: 1.0 }, (2.0 / (fan_in + fan_out)).sqrt()),
        (Init::XavierUniform { gain: relu }, relu * (2.0 / (fan_in + fan_out)).sqrt()),
        (Init::KaimingNormal { gain: relu, fan: Fan::Out }, (2.0 / fan_out).sqrt()),
        (Init::KaimingUniform { gain: gain::leaky_relu(5f64.sqrt()), fan: Fan::In }, (1.0 / 3.0 / fan_in).sqrt()),
        (Init::fan_in_uniform(270), (1.0 / 3.0 / fan_in).sqrt()),
    ] {
        let (mean, found, largest) = moments(init)?;
        // 10 800 numbers: the standard error of the mean is 0.01 std, that of the std 0.007 or less.
        assert!(mean.abs() < 0.05 * std && (found / std - 1.0).abs() < 0.035, "{init:?}: {mean} {found} {std}");
        let uniform = !matches!(init, Init::Normal { .. } | Init::XavierNormal { .. } | Init::KaimingNormal { .. });
        assert_eq!(largest <= std * 3f64.sqrt(), uniform, "{init:?}");
    }
    for shape in [[3usize, 5], [5, 3]] {
        let w = Init::Orthogonal { gain: 2.0 }.tensor(shape, DType::F64, &cpu(), &generator)?;
        let product = if shape[0] < shape[1] { w.matmul(&w.t()?)? } else { w.t()?.matmul(&w)? };
        for (i, v) in product.to_vec_sync::<f64>()?.iter().enumerate() {
            let wanted = if i % 4 == 0 { 4.0 } else { 0.0 };
            assert!((v - wanted).abs() < 1e-12, "{product:?}");
        }
    }
    assert!(fails(Init::XavierNormal { gain: 1.0 }.tensor(3, DType::F32, &cpu(), &generator)).contains("no fans"));
    Ok(())
}
