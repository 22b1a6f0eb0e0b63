//! Layers against PyTorch: results, gradients of parameters and inputs, running statistics.

use super::{cpu, fails, golden};
use crate::{
    DType, Generator, Result, Tensor,
    autograd::Gradients,
    block_on,
    nn::{
        Activation, AttentionMask, BatchNorm1d, BatchNorm2d, BatchNormOptions, Conv1d, Conv2d, ConvTranspose1d,
        ConvTranspose2d, Dropout, Embedding, GroupNorm, Gru, InstanceNorm, LayerNorm, Linear, Lstm, Module,
        MultiHeadAttention, MultiHeadAttentionOptions, Nonlinearity, PRelu, Parameter, Parameters, RecurrentOptions,
        Rnn, Sequential, StateDict, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder,
        TransformerEncoderLayer, TransformerOptions, Weights,
    },
    tensor::{ConvOptions, ConvTransposeOptions, Padding},
};

/// Rounding of f32 over sums of some dozen products in another order than PyTorch's.
const TOLERANCE: f64 = 2e-5;

fn close(what: &str, found: &Tensor, wanted: &Tensor) {
    assert_eq!(found.shape(), wanted.shape(), "{what}");
    let read = |t: &Tensor| t.to_dtype(DType::F64).unwrap().to_vec_sync::<f64>().unwrap();
    for (i, (a, b)) in read(found).into_iter().zip(read(wanted)).enumerate() {
        assert!((a - b).abs() <= TOLERANCE * b.abs().max(1.0), "{what}: element {i} is {a} instead of {b}");
    }
}

/// The numbered entries of a case.
fn numbered(case: &StateDict, kind: &str) -> Vec<Tensor> {
    (0..).map_while(|i| case.tensors.get(&format!("{kind}/{i}")).cloned()).collect()
}

/// Loads a layer from the golden state, runs it and compares everything stored.
fn check<L>(
    name: &str,
    load: impl AsyncFnOnce(&Weights) -> Result<L>,
    run: impl FnOnce(&L, &[Tensor]) -> Result<Vec<Tensor>>,
) {
    let all = golden("layers");
    let prefix = format!("{name}/");
    let own = all.tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix(&prefix)?.to_string(), t.clone())));
    let case = StateDict { tensors: own.collect(), values: Default::default() };
    let part = |kind: &str| -> Vec<(String, Tensor)> {
        let named = case.tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix(kind)?.to_string(), t.clone())));
        named.collect()
    };
    let state = part("state/");
    assert!(!case.tensors.is_empty(), "no case {name}");
    let parameters = Parameters::new();
    for (key, value) in &state {
        let frozen = key.starts_with("running") || key.starts_with("num");
        let value = if value.dtype().is_int() { value.to_dtype(DType::F32).unwrap() } else { value.clone() };
        parameters.insert(key, if frozen { Parameter::frozen(value) } else { Parameter::new(value) });
    }
    let layer = block_on(load(&Weights::from_parameters(&parameters, &cpu()))).unwrap();
    assert_eq!(parameters.len(), state.len(), "{name} has other names: {:?}", parameters.names());
    let inputs: Vec<_> = numbered(&case, "in").iter().map(Tensor::requires_grad).collect();
    let outputs = run(&layer, &inputs).unwrap_or_else(|e| panic!("{name}: {e}"));
    let wanted = numbered(&case, "out");
    assert_eq!(outputs.len(), wanted.len(), "{name}");
    let mut grads = Gradients::default();
    for (i, (found, wanted)) in outputs.iter().zip(&wanted).enumerate() {
        close(&format!("{name}, result {i}"), found, wanted);
        let steps = Tensor::arange(0.0, found.elements() as f64, DType::F32, &cpu()).unwrap();
        let w = steps.cos().unwrap().reshape(found.shape()).unwrap();
        grads.merge(found.backward_with(&w).unwrap()).unwrap();
    }
    for (key, wanted) in part("grad/") {
        let held = parameters.get(&key).unwrap().get();
        let found = grads.get(&held).unwrap_or_else(|| panic!("{name}: no gradient of {key}"));
        close(&format!("{name}, gradient of {key}"), found, &wanted);
    }
    for (i, input) in inputs.iter().enumerate().filter(|(_, t)| t.is_tracked()) {
        let wanted = &case.tensors[&format!("grad_in/{i}")];
        close(&format!("{name}, gradient of input {i}"), grads.get(input).unwrap(), wanted);
    }
    for (key, wanted) in part("after/") {
        close(&format!("{name}, {key}"), &parameters.get(&key).unwrap().get(), &wanted);
    }
}

/// A layer from one tensor to another, in training.
fn module<L: Module>(name: &str, load: impl AsyncFnOnce(&Weights) -> Result<L>) {
    check(name, load, |layer, inputs| Ok(vec![layer.forward_t(&inputs[0], true)?]));
}

#[test]
fn simple_layers() {
    module("linear", async |w| Linear::load(w, 5, 3, true).await);
    module("linear_plain", async |w| Linear::load(w, 5, 3, false).await);
    module("embedding", async |w| Embedding::load(w, 7, 3).await);
    module("embedding_padding", async |w| Embedding::load_with_padding(w, 7, 3, 3).await);
    module("layer_norm", async |w| LayerNorm::load(w, 6, 1e-5, true).await);
    module("prelu", async |w| PRelu::load(w, 3).await);
}

#[test]
fn convolutions() {
    let options = ConvOptions { stride: [2], padding: Padding::Zeros([1]), groups: 2, ..ConvOptions::default() };
    module("conv1d", async |w| Conv1d::load(w, 4, 6, [3], options, true).await);
    let padding = Padding::Zeros([1, 0]);
    let options = ConvOptions { stride: [1, 2], padding, dilation: [2, 1], groups: 1 };
    module("conv2d", async |w| Conv2d::load(w, 3, 5, [3, 2], options, true).await);
    let stretch = ConvTransposeOptions { stride: [2], padding: [1], output_padding: [1], dilation: [1], groups: 2 };
    module("conv_transpose1d", async |w| ConvTranspose1d::load(w, 4, 6, [3], stretch, true).await);
    let stretch = ConvTransposeOptions { stride: [2, 2], ..ConvTransposeOptions::default() };
    module("conv_transpose2d", async |w| ConvTranspose2d::load(w, 3, 5, [3, 2], stretch, false).await);
}

#[test]
fn norms_of_channels() {
    module("group_norm", async |w| GroupNorm::load(w, 2, 6, 1e-5, true).await);
    module("instance_norm", async |w| InstanceNorm::load(w, 3, 1e-5, true).await);
    module("instance_norm_plain", async |w| InstanceNorm::load(w, 3, 1e-5, false).await);
    let plain = BatchNormOptions::default();
    module("batch_norm1d", async |w| BatchNorm1d::load(w, 3, plain).await);
    let other = BatchNormOptions { momentum: Some(0.3), eps: 1e-3, ..plain };
    module("batch_norm2d", async |w| BatchNorm2d::load(w, 3, other).await);
    let cumulative = BatchNormOptions { momentum: None, ..plain };
    let load = async |w: &Weights| BatchNorm1d::load(w, 3, cumulative).await;
    check("batch_norm_cumulative", load, |l, x| Ok(vec![l.forward_t(&x[0], true)?, l.forward_t(&x[1], true)?]));
    let load = async |w: &Weights| BatchNorm2d::load(w, 3, plain).await;
    check("batch_norm_eval", load, |l, x| Ok(vec![l.forward(&x[0])?]));
    let untracked = BatchNormOptions { affine: false, track_running_stats: false, ..plain };
    module("batch_norm_untracked", async |w| BatchNorm1d::load(w, 3, untracked).await);
    let norm = block_on(BatchNorm2d::load(&Weights::from_parameters(&Parameters::new(), &cpu()), 3, plain)).unwrap();
    assert!(fails(norm.forward(&Tensor::zeros([2, 3], DType::F32, &cpu()).unwrap())).contains("[n, c, height, width]"));
}

#[test]
fn recurrent_layers() {
    let plain = RecurrentOptions::default;
    let load = async |w: &Weights| Rnn::load(w, 3, 4, Nonlinearity::Tanh, plain()).await;
    let two = |(a, b)| vec![a, b];
    check("rnn", load, |l, x| Ok(two(l.forward_t(&x[0], None, true)?)));
    let options = RecurrentOptions { layers: 2, bias: false, batch_first: true, ..plain() };
    let load = async |w: &Weights| Rnn::load(w, 3, 4, Nonlinearity::Relu, options.clone()).await;
    check("rnn_relu", load, |l, x| Ok(two(l.forward(&x[0], Some(&x[1]))?)));
    let three = |(a, (b, c))| vec![a, b, c];
    check("lstm", async |w| Lstm::load(w, 3, 4, plain()).await, |l, x| Ok(three(l.forward(&x[0], None)?)));
    let options = RecurrentOptions { layers: 2, bidirectional: true, batch_first: true, ..plain() };
    let load = async |w: &Weights| Lstm::load(w, 3, 4, options.clone()).await;
    check("lstm_deep", load, |l, x| Ok(three(l.forward(&x[0], Some((&x[1], &x[2])))?)));
    check("gru", async |w| Gru::load(w, 3, 4, plain()).await, |l, x| Ok(two(l.forward(&x[0], Some(&x[1]))?)));
    let options = RecurrentOptions { layers: 2, bidirectional: true, ..plain() };
    let load = async |w: &Weights| Gru::load(w, 3, 4, options.clone()).await;
    check("gru_deep", load, |l, x| Ok(two(l.forward(&x[0], None)?)));
    let options = RecurrentOptions { bidirectional: true, ..plain() };
    let load = async |w: &Weights| Gru::load(w, 3, 4, options.clone()).await;
    check("gru_single", load, |l, x| Ok(two(l.forward(&x[0], Some(&x[1]))?)));

    let gru = block_on(Gru::load(&Weights::from_parameters(&Parameters::new(), &cpu()), 3, 4, plain())).unwrap();
    let x = Tensor::zeros([5, 2, 3], DType::F32, &cpu()).unwrap();
    assert!(fails(gru.forward(&x, Some(&x))).contains("[1, 2, 4]"));
    assert!(fails(gru.forward(&x.narrow(0, 0, 0).unwrap(), None)).contains("no steps"));
}

fn padding() -> Tensor {
    Tensor::new([[0u8, 0, 0, 0, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]], &cpu()).unwrap()
}

#[test]
fn attention() {
    let plain = MultiHeadAttentionOptions::default;
    let two_heads = async |w: &Weights| MultiHeadAttention::load(w, 8, 2, plain()).await;
    type Run<'a> = &'a dyn Fn(&MultiHeadAttention, &[Tensor]) -> Result<Vec<Tensor>>;
    let both = |mask: AttentionMask<'_>, l: &MultiHeadAttention, x: &[Tensor]| {
        let (y, weights) = l.forward_with_weights(&x[0], &x[0], &x[0], mask, true)?;
        close("without weights", &l.forward(&x[0], &x[0], &x[0], mask)?, &y);
        Ok(vec![y, weights])
    };
    let itself: Run<'_> = &|l, x| both(AttentionMask::default(), l, x);
    check("attention", two_heads, itself);
    check("attention_single", two_heads, itself);
    check("attention_causal", two_heads, |l, x| both(AttentionMask::CAUSAL, l, x));
    let later = Tensor::triu_mask(5, 5, 1, &cpu()).unwrap();
    let mask = AttentionMask { mask: Some(&later), ..AttentionMask::default() };
    check("attention_causal", two_heads, |l, x| both(mask, l, x));
    let options = MultiHeadAttentionOptions { bias: false, batch_first: true, ..plain() };
    let load = async |w: &Weights| MultiHeadAttention::load(w, 8, 4, options.clone()).await;
    check("attention_batch_first", load, |l, x| Ok(vec![l.forward(&x[0], &x[0], &x[0], AttentionMask::default())?]));
    let options = MultiHeadAttentionOptions { key_size: Some(6), value_size: Some(4), ..plain() };
    let load = async |w: &Weights| MultiHeadAttention::load(w, 8, 2, options.clone()).await;
    check("attention_cross", load, |l, x| {
        let (y, weights) = l.forward_with_weights(&x[0], &x[1], &x[2], AttentionMask::default(), false)?;
        Ok(vec![y, weights])
    });
    let read: Run<'_> = &|l, x| Ok(vec![l.forward(&x[0], &x[1], &x[1], AttentionMask::default())?]);
    check("attention_read", two_heads, read);
    let padding = padding();
    let mask = AttentionMask { key_padding: Some(&padding), ..AttentionMask::default() };
    check("attention_padding", two_heads, |l, x| Ok(vec![l.forward(&x[0], &x[0], &x[0], mask)?]));
    check("attention_bias", two_heads, |l, x| {
        let padding = padding.to_dtype(DType::F32)?.mul_scalar(-1e4)?;
        let mask = AttentionMask { key_padding: Some(&padding), mask: Some(&x[1]), causal: false };
        Ok(vec![l.forward(&x[0], &x[0], &x[0], mask)?])
    });

    let layer = block_on(two_heads(&Weights::from_parameters(&Parameters::new(), &cpu()))).unwrap();
    let x = Tensor::zeros([5, 3, 8], DType::F32, &cpu()).unwrap();
    let wrong = AttentionMask { mask: Some(&padding), ..AttentionMask::default() };
    assert!(fails(layer.forward(&x, &x, &x, wrong)).contains("[5, 5] or [6, 5, 5]"));
    let weights = Weights::from_parameters(&Parameters::new(), &cpu());
    assert!(fails(block_on(MultiHeadAttention::load(&weights, 8, 3, plain()))).contains("3 heads"));
}

#[test]
fn transformers() {
    let post = TransformerOptions { heads: 2, feedforward: 12, dropout: 0.0, ..TransformerOptions::default() };
    let pre = TransformerOptions { norm_first: true, ..post.clone() };
    let (later, padding) = (Tensor::triu_mask(5, 5, 1, &cpu()).unwrap(), padding());
    let none = AttentionMask::default();
    let load = async |w: &Weights| TransformerEncoderLayer::load(w, 8, &post).await;
    check("encoder_norm", load, |l, x| Ok(vec![l.forward_t(&x[0], none, true)?]));
    let options = TransformerOptions { activation: Activation::Gelu, batch_first: true, ..pre.clone() };
    let load = async |w: &Weights| TransformerEncoderLayer::load(w, 8, &options).await;
    let mask = AttentionMask { mask: Some(&later), key_padding: Some(&padding), causal: false };
    check("encoder_norm_first", load, |l, x| Ok(vec![l.forward_t(&x[0], mask, true)?]));
    let load = async |w: &Weights| TransformerEncoder::load(w, 8, 2, &post, true).await;
    check("encoder_stack_norm", load, |l, x| Ok(vec![l.forward(&x[0], none)?]));
    let load = async |w: &Weights| TransformerDecoderLayer::load(w, 8, &pre).await;
    check("decoder_norm_first", load, |l, x| Ok(vec![l.forward_t(&x[0], &x[1], AttentionMask::CAUSAL, none, true)?]));
    let load = async |w: &Weights| TransformerDecoder::load(w, 8, 2, &post, false).await;
    check("decoder_stack_norm", load, |l, x| {
        let memory = AttentionMask { key_padding: Some(&padding), ..none };
        Ok(vec![l.forward(&x[0], &x[1], AttentionMask::CAUSAL, memory)?])
    });
}

#[test]
fn dropout_drops_its_share() -> Result<()> {
    let x = Tensor::ones([100, 100], DType::F32, &cpu())?.requires_grad();
    let dropout = Dropout::new(0.3)?.with_generator(Generator::new(1).into());
    let y = dropout.forward_t(&x, true)?;
    let zeros = y.to_vec_sync::<f32>()?.iter().filter(|v| **v == 0.0).count();
    // Of 10 000 the standard deviation is 46.
    assert!(zeros.abs_diff(3000) < 230, "{zeros}");
    let grads = y.sum(..)?.backward()?;
    close("the gradient is the mask", grads.get(&x).unwrap(), &y);
    assert_eq!(dropout.forward(&x)?.to_vec_sync::<f32>()?, x.to_vec_sync::<f32>()?);
    assert_ne!(dropout.forward_t(&x, true)?.to_vec_sync::<f32>()?, y.to_vec_sync::<f32>()?, "another mask each time");
    let again = Dropout::new(0.3)?.with_generator(Generator::new(1).into());
    assert_eq!(
        again.forward_t(&x, true)?.to_vec_sync::<f32>()?,
        y.to_vec_sync::<f32>()?,
        "the same from the same seed"
    );
    assert_eq!(Dropout::new(1.0)?.forward_t(&x, true)?.sum(..)?.to_vec_sync::<f32>()?, [0.0]);
    assert!(fails(Dropout::new(1.5)).contains("1.5"));
    // Attention in training drops weights: with all of them dropped only the bias is left.
    let options = MultiHeadAttentionOptions { dropout: 1.0, ..MultiHeadAttentionOptions::default() };
    let weights = Weights::from_parameters(&Parameters::new(), &cpu());
    let layer = block_on(MultiHeadAttention::load(&weights, 4, 1, options))?;
    let x = Tensor::ones([3, 1, 4], DType::F32, &cpu())?;
    assert_eq!(layer.forward_t(&x, &x, &x, AttentionMask::CAUSAL, true)?.to_vec_sync::<f32>()?, [0.0; 12]);
    Ok(())
}

#[test]
fn layers_in_sequence() -> Result<()> {
    let parameters = Parameters::seeded(0);
    let weights = Weights::from_parameters(&parameters, &cpu());
    let mut net = Sequential::new()
        .then(block_on(Linear::load(&weights.pp("0"), 4, 8, true))?)
        .then(Activation::Relu)
        .then(Dropout::new(0.5)?)
        .then(|x: &Tensor| x.mul_scalar(2.0));
    net.push(block_on(Linear::load(&weights.pp("4"), 8, 2, true))?);
    assert_eq!((net.len(), parameters.len()), (5, 4));
    let x = Tensor::ones([3, 4], DType::F32, &cpu())?;
    let y = net.forward(&x)?;
    assert_eq!(y.dims(), [3, 2]);
    assert_eq!(y.to_vec_sync::<f32>()?, net.forward(&x)?.to_vec_sync::<f32>()?);
    assert_eq!(y.sum(..)?.backward()?.len(), 4);
    Ok(())
}
