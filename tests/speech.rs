//! Whisper against OpenAI's implementation and transformers; see `generators/speech.py`.
#![cfg(feature = "whisper")]

mod common;

use common::{golden, golden_json, max_difference, model};
use pollster::block_on;
use serde_json::Value;
use std::{ops::ControlFlow, path::PathBuf, sync::OnceLock};
use votive::{
    DType, Device, Tensor,
    audio::{AudioFile, LogMel},
    task::{Task, Timestamps, TranscribeOptions, Transcriber, TranscriberOptions, Transcript},
};

const TINY: &str = "whisper-tiny.en";

fn open(folder: &str, options: &TranscriberOptions) -> Transcriber {
    let files = ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"];
    let paths: Vec<PathBuf> = files.iter().map(|f| model(&format!("{folder}/{f}"))).collect();
    Transcriber::open(&paths, &Device::cpu(), options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn samples(path: PathBuf) -> Vec<f32> {
    let (mut file, mut samples) = (AudioFile::open(path).unwrap(), Vec::new());
    while file.next(&mut samples).unwrap() {}
    samples
}

fn jfk() -> Vec<f32> {
    static JFK: OnceLock<Vec<f32>> = OnceLock::new();
    JFK.get_or_init(|| samples(golden("audio/jfk.wav"))).clone()
}

/// The options of the generator's runs.
fn plain() -> TranscribeOptions {
    TranscribeOptions { language: Some("en".into()), temperature: vec![0.0], ..TranscribeOptions::default() }
}

fn transcribe(transcriber: &Transcriber, samples: &[f32], options: &TranscribeOptions) -> Transcript {
    block_on(transcriber.transcribe(samples, options)).unwrap()
}

fn numbers(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

/// Segments with the same tokens and times; words within `seconds`. Probabilities within what f32 sums differ by.
fn same(got: &Transcript, expected: &Value, seconds: f64) {
    let wanted = expected["segments"].as_array().unwrap();
    let texts = |g: &Transcript| g.segments.iter().map(|s| s.text.clone()).collect::<Vec<_>>();
    assert_eq!(got.segments.len(), wanted.len(), "{:?}", texts(got));
    for (got, wanted) in got.segments.iter().zip(wanted) {
        assert_eq!(got.tokens, numbers(&wanted["tokens"]), "{:?}", got.text);
        assert_eq!(got.text, wanted["text"].as_str().unwrap());
        let near = |what: &str, got: f64, wanted: &Value, within: f64| {
            let wanted = wanted.as_f64().unwrap();
            assert!((got - wanted).abs() <= within, "{what}: {got}, expected {wanted}");
        };
        near("start", got.start, &wanted["start"], seconds);
        near("end", got.end, &wanted["end"], seconds);
        near("log-probability", got.average_log_probability, &wanted["avg_logprob"], 2e-3);
        near("no speech", got.no_speech_probability, &wanted["no_speech_prob"], 2e-3);
        // Another compressor than zlib.
        near("compression", got.compression_ratio, &wanted["compression_ratio"], 0.05);
        let Some(words) = wanted.get("words").and_then(Value::as_array) else { continue };
        let own = got.words.as_ref().unwrap();
        assert_eq!(own.len(), words.len(), "{own:?}");
        for (own, word) in own.iter().zip(words) {
            assert_eq!(own.text, word["word"].as_str().unwrap());
            near(&own.text, own.start, &word["start"], seconds);
            near(&own.text, own.end, &word["end"], seconds);
            near(&own.text, own.probability, &word["probability"], 0.02);
        }
    }
}

fn tensor(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(golden("whisper/tensors.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    bytemuck::pod_collect_to_vec(file.tensor(name).unwrap().data())
}

/// Frames as models hear them, of the 30 seconds that `samples` begin.
fn window(samples: &[f32], bins: usize) -> Vec<f32> {
    let (mut mel, mut frames) = (LogMel::new(bins).unwrap(), Vec::new());
    mel.push(samples, &mut frames);
    mel.finish(&mut frames);
    frames.resize(3000 * bins, -10.0);
    let floor = frames.iter().copied().fold(f32::MIN, f32::max) - 8.0;
    frames.iter().map(|v| (v.max(floor) + 4.0) / 4.0).collect()
}

#[test]
fn mel_is_the_references() {
    for (name, bins) in [("mel80", 80), ("mel128", 128), ("mel80_transformers", 80)] {
        let frames = window(&jfk(), bins);
        let some: Vec<f32> = frames.chunks_exact(bins).step_by(37).flatten().copied().collect();
        let worst = max_difference(&some, &tensor(name));
        println!("{name}: within {worst:e}");
        assert!(worst < 1e-4, "{name}: {worst}");
    }
}

fn encoder_is_the_references(folder: &str) {
    let transcriber = open(folder, &TranscriberOptions::default());
    let mel = Tensor::from_slice(&window(&jfk(), 80), [3000, 80], &Device::cpu()).unwrap();
    let encoded = transcriber.model().encode(&mel).unwrap().to_vec_sync::<f32>().unwrap();
    let width = transcriber.model().config().d_model;
    let some: Vec<f32> = encoded.chunks_exact(width).step_by(53).flatten().copied().collect();
    let worst = max_difference(&some, &tensor(&format!("{folder}.encoder")));
    println!("{folder}: encoder within {worst:e}");
    assert!(worst < 1e-3, "{folder}: {worst}");
}

#[test]
fn tiny_encodes_as_the_reference() {
    encoder_is_the_references(TINY);
}

/// The greedy tokens of transformers, without timestamps.
#[test]
fn tiny_is_token_exact() {
    let reference = golden_json("whisper/tiny.en_reference_jfk.json");
    let options = TranscribeOptions { timestamps: Timestamps::None, ..plain() };
    let got = transcribe(&open(TINY, &TranscriberOptions::default()), &jfk(), &options);
    let prompt = numbers(&reference["prompt"]).len();
    assert_eq!(got.segments[0].tokens, numbers(&reference["tokens"])[prompt..]);
    assert_eq!(
        (got.text.as_str(), got.language.as_str(), got.duration),
        (reference["text"].as_str().unwrap(), "en", 11.0)
    );
}

#[test]
fn tiny_decodes_as_the_reference() {
    let golden = &golden_json("whisper/openai.json")[TINY];
    let tiny = open(TINY, &TranscriberOptions::default());
    same(&transcribe(&tiny, &jfk(), &plain()), &golden["jfk"], 0.0);
    let words = TranscribeOptions { timestamps: Timestamps::Word, ..plain() };
    same(&transcribe(&tiny, &jfk(), &words), &golden["jfk_words"], 0.021);
    let beams = TranscribeOptions { beam_size: 5, ..plain() };
    same(&transcribe(&tiny, &jfk(), &beams), &golden["jfk_beam5"], 0.0);
    let prompt = TranscribeOptions { initial_prompt: Some("President Kennedy, speech.".into()), ..plain() };
    same(&transcribe(&tiny, &jfk(), &prompt), &golden["jfk_prompt"], 0.0);
}

/// 47 seconds: two windows and more, text before as context, word times.
#[test]
fn long_sound_is_transcribed_as_by_the_reference() {
    let golden = &golden_json("whisper/openai.json")[TINY];
    let tiny = open(TINY, &TranscriberOptions::default());
    let mut repeated = Vec::new();
    for _ in 0..4 {
        repeated.extend(jfk());
        repeated.extend([0.0; 12_000]);
    }
    let words = TranscribeOptions { timestamps: Timestamps::Word, ..plain() };
    same(&transcribe(&tiny, &repeated, &words), &golden["repeated_words"], 0.021);
}

#[test]
fn quantized_weights_hear_the_same() {
    let expected = golden_json("whisper/tiny.en_reference_jfk.json")["text"].as_str().unwrap().to_owned();
    let words = |text: &str| {
        let plain = |c: char| if c.is_alphanumeric() { c } else { ' ' };
        text.to_lowercase()
            .chars()
            .map(plain)
            .collect::<String>()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for dtype in [DType::Q8_0, DType::Q4_K] {
        let options = TranscriberOptions { quantize: Some(dtype), ..TranscriberOptions::default() };
        let text = transcribe(&open(TINY, &options), &jfk(), &plain()).text;
        assert_eq!(words(&text), words(&expected), "{dtype}: {text}");
    }
}

/// Silence, a tenth of a second, nothing at all, noise: an empty transcript or a short one, never an error or a loop.
#[test]
fn sounds_without_speech_end() {
    let tiny = open(TINY, &TranscriberOptions::default());
    let options = TranscribeOptions { temperature: vec![0.0, 1.0], best_of: 1, ..TranscribeOptions::default() };
    for samples in [&[][..], &[0.1; 100], &[0.0; 1600], &[0.0; 32_000]] {
        let got = transcribe(&tiny, samples, &options);
        assert!(got.text.len() < 40, "{} samples: {:?}", samples.len(), got.text);
    }
    let mut state = 1u32;
    let noise: Vec<f32> = (0..48_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 * 0.2 - 0.1
        })
        .collect();
    let got = transcribe(&tiny, &noise, &options);
    assert!(got.text.len() < 200, "{:?}", got.text);
}

#[test]
fn options_are_checked() {
    let tiny = open(TINY, &TranscriberOptions::default());
    let error = |options: TranscribeOptions| tiny.start(&options).err().unwrap().to_string();
    let language = |l: &str| TranscribeOptions { language: Some(l.into()), ..TranscribeOptions::default() };
    assert!(error(language("klingon")).contains("klingon"));
    assert!(error(language("de")).contains("English only"));
    assert!(tiny.start(&language("English")).is_ok());
    assert!(error(TranscribeOptions { task: Task::Translate, ..plain() }).contains("English only"));
    assert!(error(TranscribeOptions { temperature: vec![], ..plain() }).contains("temperature"));
    assert!(error(TranscribeOptions { temperature: vec![f32::NAN], ..plain() }).contains("temperature"));
    assert!(error(TranscribeOptions { beam_size: 0, ..plain() }).contains("beam_size"));
    let mut transcription = tiny.start(&plain()).unwrap();
    transcription.finish();
    assert!(transcription.push(&[0.0]).is_err());
}
