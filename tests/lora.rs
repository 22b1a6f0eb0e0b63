//! Low-rank adapters against PEFT: results, gradients, training, files (`tests/generators/lora.py` makes the golden files).

mod common;

use common::{golden, load_safetensors, max_difference, open};
use pollster::block_on;
use std::{collections::HashMap, ops::ControlFlow};
use votive::{
    DType, Device, Generator, Result, Tensor,
    backend::cpu::Buffer,
    format::MemorySource,
    models::{Decoder, DecoderConfig},
    nn::{
        Adaptable, Lora, LoraConfig, StateDict, Weights,
        loss::{CrossEntropyOptions, cross_entropy},
        optim::{AdamW, Optimizer},
    },
    op::RopeLayout,
};

/// Name of the case, weights of the model, and a layer whose merged weight was stored.
const CASES: [(&str, &str, &str); 3] = [
    ("llama", "llama", "model.layers.1.self_attn.q_proj"),
    ("llama_rs", "llama", "model.layers.1.self_attn.v_proj"),
    ("falcon", "falcon_40b", "transformer.h.1.mlp.dense_4h_to_h"),
];

struct Case {
    model: Decoder,
    lora: Lora,
    rows: Vec<Vec<u32>>,
    expected: StateDict,
}

fn case(name: &str, base: &str) -> Case {
    let config = golden(&format!("models/{base}.config.json"));
    let model = load_safetensors(&config, &golden(&format!("models/{base}.safetensors")));
    adapted(model, name)
}

fn adapted(mut model: Decoder, name: &str) -> Case {
    let lora = Lora::open(&mut model, golden(&format!("lora/{name}")), &Device::cpu()).unwrap();
    let expected = StateDict::load(golden(&format!("lora/{name}.expected.safetensors")), &Device::cpu()).unwrap();
    let rows = expected.tensors["ids"].to_vec_sync::<u8>().unwrap();
    let rows = rows.chunks(9).map(|row| row.iter().map(|&id| id.into()).collect()).collect();
    Case { model, lora, rows, expected }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec_sync().unwrap()
}

/// The loss of each token given those before it.
fn loss(model: &Decoder, rows: &[Vec<u32>]) -> Tensor {
    let logits = model.forward_train(rows).unwrap();
    let (batch, count, vocab) = logits.dims3().unwrap();
    let logits = logits.narrow(1, 0, count - 1).unwrap().reshape([batch * (count - 1), vocab]).unwrap();
    let targets: Vec<u32> = rows.iter().flat_map(|row| row[1..].to_vec()).collect();
    let targets = Tensor::from_slice(&targets, [targets.len()], &Device::cpu()).unwrap();
    cross_entropy(&logits, &targets, CrossEntropyOptions::default()).unwrap()
}

/// Largest difference, relative to the largest value. Both sides compute in f32, in another order.
#[track_caller]
fn close(what: &str, got: &[f32], wanted: &[f32], tolerance: f32) {
    let size = wanted.iter().fold(1e-6f32, |a, v| a.max(v.abs()));
    let error = max_difference(got, wanted) / size;
    assert!(error < tolerance, "{what}: off by {error} of {size}");
}

fn check_results_and_gradients(name: &str, case: &Case) {
    let Case { model, lora, rows, expected } = case;
    let wanted = values(&expected.tensors["logits"]);
    close(name, &values(&model.forward_train(rows).unwrap()), &wanted, 1e-4);
    // A token at a time, with the cache.
    let mut cache = model.new_cache();
    let mut steps = values(&model.forward_all(&rows[0][..4], &mut cache).unwrap());
    rows[0][4..].iter().for_each(|&id| steps.extend(values(&model.forward(&[id], &mut cache).unwrap())));
    close(name, &steps, &wanted[..steps.len()], 1e-4);

    lora.parameters().set_trainable(true, |_| true);
    let gradients = loss(model, rows).backward().unwrap();
    assert_eq!(gradients.len(), lora.parameters().len(), "of nothing but the adapters");
    for (parameter, held) in lora.parameters().entries() {
        let wanted = values(&expected.tensors[&format!("grad.{parameter}")]);
        close(&parameter, &values(gradients.get(&held.get()).unwrap()), &wanted, 1e-3);
    }
}

#[test]
fn adapters_compute_what_peft_computes() {
    for (name, base, _) in CASES {
        check_results_and_gradients(name, &case(name, base));
    }
}

#[test]
fn training_follows_peft() {
    for (name, base, layer) in CASES {
        let Case { mut model, lora, rows, expected } = case(name, base);
        lora.parameters().set_trainable(true, |_| true);
        let rule = AdamW { lr: 0.01, weight_decay: 0.01, ..AdamW::default() };
        let mut optimizer = Optimizer::new(lora.parameters().trainable(), rule).unwrap();
        for (step, wanted) in values(&expected.tensors["losses"]).into_iter().enumerate() {
            let loss = loss(&model, &rows);
            let got = values(&loss)[0];
            assert!((got - wanted).abs() < 1e-3, "{name}, step {step}: {got}, not {wanted}");
            optimizer.backward_step(&loss).unwrap();
        }
        // Merged, the adapted weight is PEFT's, and results are what they were; unmerged, every weight is as before.
        let weights = |model: &mut Decoder| {
            let mut all = HashMap::new();
            let visited = model.visit_linears(&mut |site| {
                let weight = site.linear.weight();
                all.insert(site.name.to_string(), (weight.to_buffer_sync()?.bytes().to_vec(), site.order, weight));
                Ok(())
            });
            visited.unwrap();
            all
        };
        let (before, logits) = (weights(&mut model), values(&model.forward_train(&rows).unwrap()));
        lora.merge(&mut model).unwrap();
        lora.merge(&mut model).unwrap(); // once is enough
        let merged = weights(&mut model);
        // The weights are f16, which rounds the merged ones.
        close(name, &values(&model.forward_train(&rows).unwrap()), &logits, 1e-2);
        let (_, order, weight) = &merged[layer];
        let wanted = &expected.tensors["trained_and_merged"];
        let wanted = match order {
            Some(order) => {
                wanted.index_select(0, &Tensor::from_slice(order, [order.len()], &Device::cpu()).unwrap()).unwrap()
            }
            None => wanted.clone(),
        };
        close(layer, &values(&weight.to_dtype(DType::F32).unwrap()), &values(&wanted), 2e-3);
        lora.unmerge(&mut model).unwrap();
        let after = weights(&mut model);
        assert!(before.iter().all(|(name, (bytes, _, _))| *bytes == after[name].0));
        assert!(before.iter().any(|(name, (bytes, _, _))| *bytes != merged[name].0));
        assert_eq!(values(&model.forward_train(&rows).unwrap()), logits);
        lora.remove(&mut model).unwrap();
        assert!(max_difference(&values(&model.forward_train(&rows).unwrap()), &logits) > 0.1);
    }
}

#[test]
fn saved_adapters_are_read_again() {
    let Case { mut model, lora, rows, .. } = case("llama", "llama");
    let logits = values(&model.forward_train(&rows).unwrap());
    let folder = tempfile::tempdir().unwrap();
    lora.save(folder.path()).unwrap();
    lora.remove(&mut model).unwrap();
    let again = Lora::open(&mut model, folder.path(), &Device::cpu()).unwrap();
    assert_eq!(again.config(), lora.config());
    assert_eq!(values(&model.forward_train(&rows).unwrap()), logits);
    // The same names and values as PEFT wrote.
    let read = |path| StateDict::load(path, &Device::cpu()).unwrap().tensors;
    let ours = read(folder.path().join("adapter_model.safetensors"));
    let theirs = read(golden("lora/llama/adapter_model.safetensors"));
    assert_eq!(ours.len(), theirs.len());
    assert!(theirs.iter().all(|(name, tensor)| values(&ours[name]) == values(tensor)));
    assert!(logits.iter().all(|v| v.is_finite()));
}

/// The weights of the tiny Llama, changed by `change`.
fn llama_with(rope: RopeLayout, change: impl Fn(&str, Tensor) -> Tensor) -> Decoder {
    let cpu = Device::cpu();
    let json = std::fs::read_to_string(golden("models/llama.config.json")).unwrap();
    let config = DecoderConfig { rope_layout: rope, ..DecoderConfig::from_json(&json).unwrap() };
    let checkpoint = open(&golden("models/llama.safetensors"));
    let mut tensors = HashMap::new();
    for info in checkpoint.tensors() {
        let bytes = block_on(checkpoint.read(&info.name)).unwrap();
        let tensor = Tensor::from_buffer(bytes, info.dtype, info.shape.clone(), &cpu).unwrap();
        tensors.insert(info.name.clone(), change(&info.name, tensor));
    }
    let weights = Weights::from_tensors(tensors, &cpu);
    block_on(Decoder::load(config, &weights, &mut |_| ControlFlow::Continue(()))).unwrap()
}

/// GGUF files of Llama have the rows of queries and keys in another order; adapters are files of the original order.
#[test]
fn adapters_fit_interleaved_rows_of_gguf() {
    let model = llama_with(RopeLayout::Interleaved, |name, tensor| {
        if !(name.contains("q_proj") || name.contains("k_proj")) {
            return tensor;
        }
        // As convert_hf_to_gguf.py: [heads, 2, d / 2, ..] with the two exchanged; heads have 8 elements.
        let (shape, rest) = (tensor.shape().clone(), tensor.dims().get(1).copied().unwrap_or(1));
        let split = tensor.reshape([shape.dims()[0] / 8, 2, 4, rest]).unwrap();
        split.transpose(1, 2).unwrap().reshape(shape).unwrap()
    });
    check_results_and_gradients("interleaved", &adapted(model, "llama"));
}

/// Adapters over quantized weights compute what they compute over the same weights dequantized, gradients too.
#[test]
fn adapters_train_over_quantized_weights() {
    let quantized = |name: &str, tensor: Tensor, keep: bool| {
        if !name.contains("proj.weight") || !tensor.dims()[1].is_multiple_of(32) {
            return tensor;
        }
        let floats = values(&tensor.to_dtype(DType::F32).unwrap());
        let bytes = common::derive::encode(&floats, DType::Q8_0);
        let blocks = Buffer::copy_from(&bytes).unwrap();
        let blocks = Tensor::from_buffer(blocks, DType::Q8_0, tensor.shape().clone(), &Device::cpu()).unwrap();
        if keep { blocks } else { blocks.to_dtype(DType::F32).unwrap() }
    };
    let [mut blocks, floats] = [true, false]
        .map(|keep| adapted(llama_with(RopeLayout::Half, |name, tensor| quantized(name, tensor, keep)), "llama"));
    // Products with blocks round the activations to 14 bits.
    let logits = |case: &Case| values(&case.model.forward_train(&case.rows).unwrap());
    close("logits", &logits(&blocks), &logits(&floats), 1e-3);
    let gradients = |case: &Case| -> Vec<(String, Vec<f32>)> {
        case.lora.parameters().set_trainable(true, |_| true);
        let gradients = loss(&case.model, &case.rows).backward().unwrap();
        let of = |(name, p): (String, votive::nn::Parameter)| (name, values(gradients.get(&p.get()).unwrap()));
        case.lora.parameters().entries().into_iter().map(of).collect()
    };
    for ((name, got), (_, wanted)) in gradients(&blocks).iter().zip(&gradients(&floats)) {
        close(name, got, wanted, 5e-3);
    }
    let error = blocks.lora.merge(&mut blocks.model).unwrap_err().to_string();
    assert!(error.contains("q_proj") && error.contains("q8_0") && error.contains("float weights"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut model = load_safetensors(&golden("models/llama.config.json"), &golden("models/llama.safetensors"));
    let good = std::fs::read_to_string(golden("lora/llama/adapter_config.json")).unwrap();
    let weights = std::fs::read(golden("lora/llama/adapter_model.safetensors")).unwrap();
    let other = std::fs::read(golden("lora/falcon/adapter_model.safetensors")).unwrap();
    let mut load = |config: &str, bytes: &[u8]| -> Result<Lora> {
        let source = Box::new(MemorySource::new("adapter_model.safetensors", bytes.to_vec()));
        block_on(Lora::load(&mut model, config, source, &Device::cpu()))
    };
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    for (config, bytes, expected) in [
        (changed("\"r\": 4", "\"r\": 5"), &weights, "r = 5"),
        (changed("\"r\": 4", "\"r\": 0"), &weights, "wanted a rank"),
        (changed("\"r\": 4", "\"r\": -1"), &weights, "wanted a rank"),
        (changed("LORA", "IA3"), &weights, "IA3"),
        (changed("\"bias\": \"none\"", "\"bias\": \"all\""), &weights, "biases"),
        (changed("\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": 2}"), &weights, "rank_pattern"),
        (changed("\"r\": 4", "\"use_dora\": true, \"r\": 4"), &weights, "use_dora"),
        (changed("\"lora_dropout\": 0.0", "\"lora_dropout\": 2"), &weights, "probability 2"),
        ("{".into(), &weights, "adapter_config.json"),
        (good.clone(), &other, "belongs to no layer"),
        (good.clone(), &weights[..100].to_vec(), "adapter_model.safetensors"),
    ] {
        let error = load(&config, bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(load(&good, &weights).is_ok());
    let config = LoraConfig { target_modules: vec!["q_proj".into(), "no_proj".into()], ..LoraConfig::default() };
    let error = Lora::create(&mut model, config, &Device::cpu(), &Generator::new(0)).unwrap_err().to_string();
    assert!(error.contains("no_proj"), "{error}");
}

#[test]
fn new_adapters_change_nothing_before_training() {
    let mut model = load_safetensors(&golden("models/llama.config.json"), &golden("models/llama.safetensors"));
    let rows = [vec![5, 6, 7], vec![8, 9, 10]];
    let before = values(&model.forward_train(&rows).unwrap());
    let config = LoraConfig { dropout: 0.5, target_modules: vec!["all-linear".into()], ..LoraConfig::default() };
    let lora = Lora::create(&mut model, config, &Device::cpu(), &Generator::new(0)).unwrap();
    assert_eq!(lora.parameters().len(), 2 * 7 * 2);
    assert_eq!(values(&model.forward_train(&rows).unwrap()), before);
    assert!(model.forward_train(&[vec![1, 2], vec![3]]).is_err());
    assert!(model.forward_train(&[vec![1, 200]]).is_err());
}
