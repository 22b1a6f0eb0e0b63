//! The fine-tuning example on the real model, for a few steps.

mod common;

#[allow(dead_code)]
#[path = "../examples/finetune_lora.rs"]
mod example;

use common::{SMOLLM2, model};
use std::{ops::ControlFlow, process::Command};
use votive::task::{LoadOptions, TextGenerator};

fn load() -> TextGenerator {
    TextGenerator::open(&[model(SMOLLM2)], &LoadOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Logits of the last token of a question.
fn logits(generator: &mut TextGenerator, ids: &[u32]) -> Vec<f32> {
    let decoder = generator.decoder_mut().unwrap();
    decoder.forward(ids, &mut decoder.new_cache()).unwrap().to_vec_sync().unwrap()
}

#[test]
fn a_few_steps_lower_the_loss_and_the_adapter_is_kept() {
    let mut generator = load();
    let pairs = example::pairs();
    assert!((200..500).contains(&pairs.len()));
    let (ids, answer) = example::encode(&generator, &pairs[0].0, pairs[0].1).unwrap();
    let untrained = logits(&mut generator, &ids[..answer]);
    let lora = example::adapters(&mut generator).unwrap();
    assert_eq!(logits(&mut generator, &ids[..answer]), untrained);

    // On the same texts before and after: steps differ in their texts, and so in their losses.
    let texts: Vec<_> = pairs[..2].iter().map(|(q, a)| example::encode(&generator, q, a).unwrap()).collect();
    let loss = |generator: &mut TextGenerator| {
        example::loss(generator, &texts).unwrap().detach().to_vec_sync::<f32>().unwrap()[0]
    };
    let (before, mut steps) = (loss(&mut generator), 0);
    example::train(&mut generator, &lora, 6, 2, &mut |_, _| steps += 1).unwrap();
    let after = loss(&mut generator);
    assert!(steps == 6 && after < 0.9 * before, "{before} before, {after} after {steps} steps");
    let trained = logits(&mut generator, &ids[..answer]);
    assert!(common::max_difference(&trained, &untrained) > 0.1);

    let folder = tempfile::tempdir().unwrap();
    lora.save(folder.path()).unwrap();
    let mut other = load();
    let read = other.open_lora(folder.path()).unwrap();
    assert!(!read.parameters().entries().iter().any(|(_, p)| p.is_trainable()));
    assert_eq!(logits(&mut other, &ids[..answer]), trained);

    // The command line reads it as well: a question answered with the adapter is answered as here.
    let question = "What is the capital of Italy?";
    let expected = example::answer(&other, question).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_votive"));
    command.args(["generate", "--chat", "-n", "32", "-p", question, "-m"]).arg(model(SMOLLM2));
    let output = command.arg("--lora").arg(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim().replace('\n', " "), expected, "{}", String::from_utf8_lossy(&output.stderr));
}
