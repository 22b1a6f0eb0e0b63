//! SmolLM2 on the machine's GPU. On a software driver that takes minutes, so it runs when asked:
//! `cargo test --features webgpu --test webgpu -- --ignored`
#![cfg(feature = "webgpu")]

mod common;

use common::{derive, golden_json, ids};
use std::ops::ControlFlow;
use votive::{
    DType, Device,
    task::{GenerateOptions, LoadOptions, Step, TextGenerator},
};

#[test]
#[ignore = "takes minutes on a software driver"]
fn greedy_tokens_are_those_of_llama_cpp() {
    let device = pollster::block_on(Device::webgpu()).unwrap();
    let reference = golden_json("smollm2-135m-instruct/reference_story_F16.json");
    let path = derive::smollm2_gguf(DType::F16);
    let options = LoadOptions::default();
    let model = TextGenerator::open_on(&device, &[path], &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let options = GenerateOptions { max_tokens: Some(64), ..GenerateOptions::default() };
    let mut found = Vec::new();
    for step in model.generate(reference["prompt"].as_str().unwrap(), &options).unwrap() {
        if let Step::Token { id, .. } = step.unwrap() {
            found.push(id);
        }
    }
    assert_eq!(found, ids(&reference, "greedy_ids")[..64]);
    println!("{}: {:?}", device.adapter().unwrap().name, device.stats().unwrap());
}
