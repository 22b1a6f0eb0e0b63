//! Real models on the machine's GPU. On a software driver each takes minutes, so they run when asked:
//! `cargo test --features webgpu --test webgpu -- --ignored`. (Tiny models of every family are among the library's tests.)
#![cfg(feature = "webgpu")]

mod common;

use common::{GEMMA3, SMOLLM2, derive, golden, golden_json, ids, model};
use std::{ops::ControlFlow, path::PathBuf};
use votive::{
    DType, Device,
    audio::AudioFile,
    backend::webgpu::{Tiles, WebGpuOptions},
    task::{
        GenerateOptions, LoadOptions, Prompt, Step, TextGenerator, Timestamps, TranscribeOptions, Transcriber,
        TranscriberOptions,
    },
};

fn load(device: &Device, path: PathBuf) -> TextGenerator {
    TextGenerator::open_on(device, &[path], &LoadOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// 64 greedy tokens.
fn greedy(model: &TextGenerator, prompt: impl Into<Prompt>) -> Vec<u32> {
    let options = GenerateOptions { max_tokens: Some(64), ignore_eos: true, ..GenerateOptions::default() };
    let mut found = Vec::new();
    for step in model.generate(prompt, &options).unwrap() {
        if let Step::Token { id, .. } = step.unwrap() {
            found.push(id);
        }
    }
    found
}

#[test]
#[ignore = "takes minutes on a software driver"]
fn smollm2_gives_the_greedy_tokens_of_llama_cpp() {
    let device = pollster::block_on(Device::webgpu()).unwrap();
    let reference = golden_json("smollm2-135m-instruct/reference_story_F16.json");
    let model = load(&device, derive::smollm2_gguf(DType::F16));
    let found = greedy(&model, reference["prompt"].as_str().unwrap());
    println!("{}: {:?}", device.adapter().unwrap().name, device.stats().unwrap());
    assert_eq!(found, ids(&reference, "greedy_ids")[..64]);
}

/// A prompt in parts is computed while it is recorded, not all of it at its end.
#[test]
fn prompts_are_computed_part_by_part() {
    const PART: usize = 16;
    let device = match pollster::block_on(Device::webgpu_with(WebGpuOptions::default())) {
        Ok(device) => device,
        Err(error) if std::env::var("VOTIVE_WEBGPU_TESTS").as_deref() == Ok("require") => panic!("{error}"),
        Err(_) => return,
    };
    let options = LoadOptions { prefill_chunk: Some(PART), ..LoadOptions::default() };
    let model = [model(SMOLLM2)];
    let model = TextGenerator::open_on(&device, &model, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let options = GenerateOptions { max_tokens: Some(1), ..GenerateOptions::default() };
    let (mut parts, mut submits) = (0, device.stats().unwrap().submits);
    for step in model.generate(Prompt::Ids((1..=3 * PART as u32).collect()), &options).unwrap() {
        if let Step::Prefill { done, total } = step.unwrap() {
            parts += 1;
            assert_eq!((done, total), (parts * PART, 3 * PART));
            let now = device.stats().unwrap().submits;
            assert!(now > submits, "part {parts}");
            submits = now;
        }
    }
    assert_eq!(parts, 3);
}

/// The published file, of Q4_1 and Q8_0: prompts by each kernel, and the processor's tokens.
#[test]
#[ignore = "takes minutes on a software driver"]
fn smollm2_gives_the_same_tokens_with_every_kernel_of_prompts() {
    let reference = golden_json("smollm2-135m-instruct/reference_story_Q8_0.json");
    let prompt = reference["prompt"].as_str().unwrap();
    let wanted = greedy(&load(&Device::cpu(), model(SMOLLM2)), prompt);
    for tiles in [Tiles::Float, Tiles::Packed, Tiles::Matrices] {
        let options = WebGpuOptions { tiles: Some(tiles) };
        let device = pollster::block_on(Device::webgpu_with(options)).unwrap();
        assert_eq!(greedy(&load(&device, model(SMOLLM2)), prompt), wanted, "{tiles:?}");
    }
}

/// Of blocks of Q5_0, Q4_K, Q8_0 and Q6_K, with norms behind the halves of a layer and of the heads.
#[test]
#[ignore = "takes minutes on a software driver"]
fn gemma3_gives_the_greedy_tokens_of_the_processor() {
    let device = pollster::block_on(Device::webgpu()).unwrap();
    let prompt = Prompt::Ids(ids(&golden_json("gemma3-270m/reference_gguf.json"), "prompt_ids"));
    let wanted = greedy(&load(&Device::cpu(), model(GEMMA3)), prompt.clone());
    let found = greedy(&load(&device, model(GEMMA3)), prompt);
    println!("{}: {:?}", device.adapter().unwrap().name, device.stats().unwrap());
    assert_eq!(found, wanted);
}

/// Whisper tiny.en on jfk.wav, without and with times: the tokens of transformers and of OpenAI's implementation, as on the CPU.
#[test]
#[ignore = "takes a minute on a software driver"]
fn whisper_gives_the_tokens_of_the_reference() {
    let device = pollster::block_on(Device::webgpu()).unwrap();
    let files = ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"];
    let paths: Vec<PathBuf> = files.iter().map(|file| model(&format!("whisper-tiny.en/{file}"))).collect();
    let options = TranscriberOptions::default();
    let whisper = Transcriber::open(&paths, &device, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    let (mut file, mut samples) = (AudioFile::open(golden("audio/jfk.wav")).unwrap(), Vec::new());
    while file.next(&mut samples).unwrap() {}
    let reference = golden_json("whisper/tiny.en_reference_jfk.json");
    let prompt = ids(&reference, "prompt").len();
    let plain =
        TranscribeOptions { timestamps: Timestamps::None, temperature: vec![0.0], ..TranscribeOptions::default() };
    let found = pollster::block_on(whisper.transcribe(&samples, &plain)).unwrap();
    assert_eq!(found.segments[0].tokens, ids(&reference, "tokens")[prompt..]);
    let timed = TranscribeOptions { timestamps: Timestamps::Word, ..plain };
    let found = pollster::block_on(whisper.transcribe(&samples, &timed)).unwrap();
    let wanted = &golden_json("whisper/openai.json")["whisper-tiny.en"]["jfk_words"]["segments"];
    for (segment, wanted) in found.segments.iter().zip(wanted.as_array().unwrap()) {
        assert_eq!(segment.tokens, ids(wanted, "tokens"));
        for (word, wanted) in segment.words.as_ref().unwrap().iter().zip(wanted["words"].as_array().unwrap()) {
            for (time, name) in [(word.start, "start"), (word.end, "end")] {
                assert!((time - wanted[name].as_f64().unwrap()).abs() <= 0.1, "{}: {time}", word.text);
            }
        }
    }
}
