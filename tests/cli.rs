//! The command line as a user meets it: what goes to which stream, JSON, exit codes, files written.
#![cfg(feature = "cli")]

mod common;

use common::{SMOLLM2, golden, golden_json, ids, model};
use serde_json::Value;
use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

fn votive(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_votive"));
    // No hub: nothing here may go to the network.
    command.args(args).env("HF_ENDPOINT", "http://127.0.0.1:9").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    votive(args).output().unwrap()
}

/// Standard output of a run that must have gone well.
fn output(args: &[&str]) -> String {
    let result = run(args);
    assert!(result.status.success(), "{args:?}: {}", String::from_utf8_lossy(&result.stderr));
    String::from_utf8(result.stdout).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&output(args)).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Exit code and standard error of a run that must have failed, and must have printed no result.
fn failure(args: &[&str]) -> (i32, String) {
    let result = run(args);
    assert!(result.stdout.is_empty(), "{args:?} printed {}", String::from_utf8_lossy(&result.stdout));
    (result.status.code().unwrap(), String::from_utf8(result.stderr).unwrap())
}

#[test]
fn generate_streams_the_text_and_nothing_else() {
    let model = model(SMOLLM2);
    let reference = golden_json("smollm2-135m-instruct/reference_Q4_1.json");
    let prompt = reference["prompt"].as_str().unwrap();
    let args = ["generate", "--model", text(&model), "--prompt", prompt, "--max-tokens", "32"];
    assert_eq!(output(&args), "The capital of France is Paris.");
    // The same from standard input, and as one JSON object.
    let mut child = votive(&["generate", "-m", text(&model), "-p", "-", "-n", "32", "--json"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
    let answer: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(answer["text"], "The capital of France is Paris.");
    assert_eq!(ids(&answer, "promptIds"), ids(&reference, "prompt_ids"));
    let mut expected = ids(&reference, "greedy_ids");
    expected.pop();
    assert_eq!(ids(&answer, "ids"), expected);
    assert_eq!(answer["finishReason"], "eos");
    assert_eq!(answer["stats"]["generatedTokens"], 7);
    for key in ["loadMs", "firstTokenMs", "prefillTokensPerSecond", "decodeTokensPerSecond"] {
        assert!(answer[key].as_f64().unwrap() > 0.0, "{key}");
    }
}

#[test]
fn generate_answers_chat_messages() {
    let model = model(SMOLLM2);
    let args = ["generate", "-m", text(&model), "-p", "Hi", "--system", "Be brief.", "-n", "2", "--json"];
    let prompt = ids(&json(&args), "promptIds");
    // <|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user …
    assert_eq!(prompt.iter().filter(|&&id| id == 1).count(), 3);
    // … <|im_start|>assistant\n
    assert_eq!(prompt[prompt.len() - 4..], [1, 520, 9531, 198]);
}

#[test]
fn chat_answers_each_line_and_keeps_the_conversation() {
    let model = model(SMOLLM2);
    let mut child = votive(&["chat", "-m", text(&model), "-n", "16"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"What is the capital of\\\nItaly?\n/clear\nSay hello.\n/quit\nNo.\n")
        .unwrap();
    let result = child.wait_with_output().unwrap();
    assert!(result.status.success());
    let answers = String::from_utf8(result.stdout).unwrap();
    assert!(answers.contains("Rome"), "{answers}");
    assert!(answers.ends_with('\n') && answers.lines().count() >= 2, "{answers}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let model = model(SMOLLM2);
    let mut child = votive(&["generate", "-m", text(&model), "-p", "Once upon a time", "-n", "200", "--ignore-eos"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 4]).unwrap();
    drop(out);
    let result = child.wait_with_output().unwrap();
    assert_eq!((result.status.code(), String::from_utf8_lossy(&result.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let model = model(SMOLLM2);
    let (code, message) = failure(&["generate", "--prompt", "x"]);
    assert!(code == 2 && message.contains("--model"), "{code} {message}");
    let (code, message) = failure(&["generate", "-m", "./no/such/file.gguf", "-p", "x"]);
    assert!(code == 3 && message.contains("no/such/file.gguf"), "{code} {message}");
    let (code, message) = failure(&["generate", "-m", "owner/name", "-p", "x"]);
    assert!(code == 3 && message.contains("127.0.0.1"), "{code} {message}");
    let (code, message) = failure(&["generate", "-m", text(&model), "-p", "x", "--temperature=-1"]);
    assert!(code == 1 && message.contains("temperature is -1"), "{code} {message}");
    let (code, message) = failure(&["inspect", text(&golden("models/cases.json"))]);
    assert!(code == 1 && message.contains("cases.json"), "{code} {message}");
    assert!(output(&["--help"]).contains("Exit codes"));
    for command in ["generate", "chat", "transcribe", "inspect", "quantize", "bench"] {
        assert!(output(&[command, "--help"]).contains("Examples:"), "{command}");
    }
}

#[test]
fn inspect_lists_metadata_and_tensors() {
    let model = model(SMOLLM2);
    let table = output(&["inspect", text(&model)]);
    assert!(table.contains("general.architecture") && table.contains("blk.29.ffn_down.weight"));
    let file = json(&["inspect", text(&model), "--json"]);
    assert_eq!((&file["format"], &file["parameters"]), (&"gguf".into(), &134_515_008.into()));
    assert_eq!(file["bytes"].as_u64().unwrap(), std::fs::metadata(&model).unwrap().len());
    assert_eq!(file["metadata"]["llama.block_count"], 30);
    assert_eq!(file["metadata"]["tokenizer.ggml.tokens"]["length"], 49152);
    let tensors = file["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), 272);
    let embedding = tensors.iter().find(|t| t["name"] == "token_embd.weight").unwrap();
    assert_eq!((&embedding["dtype"], &embedding["shape"]), (&"q8_0".into(), &serde_json::json!([49152, 576])));
    let full = json(&["inspect", text(&model), "--json", "--full"]);
    assert_eq!(full["metadata"]["tokenizer.ggml.tokens"][1], "<|im_start|>");
    let other = json(&["inspect", text(&golden("models/llama.safetensors")), "--json"]);
    assert_eq!(other["format"], "safetensors");
}

#[test]
fn quantize_writes_a_model_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (model(SMOLLM2), folder.path().join("out.gguf"));
    let args = ["quantize", text(&input), text(&out), "--type", "q4_k"];
    assert_eq!(output(&args), "");
    let file = json(&["inspect", text(&out), "--json"]);
    assert_eq!(file["metadata"]["general.file_type"], 14);
    let dtype = |name: &str| {
        let tensors = file["tensors"].as_array().unwrap();
        tensors.iter().find(|t| t["name"] == name).unwrap()["dtype"].as_str().unwrap().to_owned()
    };
    // Rows of 1536 are whole blocks of 256; rows of 576 fall back; the tied head is stored finer; norms stay f32.
    assert_eq!(dtype("blk.0.ffn_down.weight"), "q4_k");
    assert_eq!(dtype("blk.0.attn_q.weight"), "q5_0");
    assert_eq!(dtype("token_embd.weight"), "q8_0");
    assert_eq!(dtype("blk.0.attn_norm.weight"), "f32");
    let prompt = golden_json("smollm2-135m-instruct/reference_Q4_1.json")["prompt"].as_str().unwrap().to_owned();
    let answer = output(&["generate", "-m", text(&out), "-p", &prompt, "-n", "16"]);
    assert!(answer.contains("Paris"), "{answer}");
    // What exists is not replaced unasked, and no half-written file stays behind.
    let (code, message) = failure(&args);
    assert!(code == 1 && message.contains("--force"), "{message}");
    let (code, message) = failure(&["quantize", text(&input), text(&input), "--type", "f16"]);
    assert!(code == 1 && message.contains("both read and written"), "{message}");
    let (code, message) = failure(&["quantize", text(&input), text(&out), "--type", "q9"]);
    assert!(code == 2 && message.contains("Q6_K"), "{message}");
    let (code, _) = failure(&["quantize", text(&golden("models/llama.safetensors")), "/tmp/x.gguf", "--type", "f16"]);
    assert_eq!(code, 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn bench_measures_everything() {
    let model = model(SMOLLM2);
    let result = json(&["bench", "-m", text(&model), "--json", "--runs", "1", "--tokens", "4", "--context", "256"]);
    for key in ["loadMs", "decodeTokensPerSecond"] {
        assert!(result[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(result["prefillTokensPerSecond"]["128"].as_f64().unwrap() > 0.0);
    // A prompt of 512 does not fit into this context.
    assert!(result["prefillTokensPerSecond"]["512"].is_null());
    let weights = result["weightBytes"].as_u64().unwrap();
    assert_eq!((result["architecture"].as_str(), result["dtype"].as_str()), (Some("llama"), Some("q4_1")));
    if cfg!(target_os = "linux") {
        assert!(result["peakMemoryBytes"].as_u64().unwrap() > weights / 2);
    }
}

#[test]
fn bench_takes_random_weights_of_several_types() {
    let args = ["bench", "--random", "135m", "--type", "Q4_0,q4_k", "--json"];
    let all = output(&[&args[..], &["--runs", "1", "--tokens", "2", "--context", "24"]].concat());
    let results: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let dtypes: Vec<_> = results.iter().map(|result| result["dtype"].as_str().unwrap()).collect();
    // Rows of 576 are no blocks of Q4_K.
    assert_eq!(dtypes, ["q4_0", "q5_0"]);
    for (result, name) in results.iter().zip(["random 135m q4_0", "random 135m q4_k"]) {
        assert_eq!(result["model"], name);
        assert_eq!(result["parameters"], 134_515_008);
        // All but the embedding and the norms.
        assert_eq!(result["layerParameters"], 134_515_008 - 49_152 * 576 - 61 * 576);
        assert!(result["decodeTokensPerSecond"].as_f64().unwrap() > 0.0);
        // Fractions are of a GPU.
        assert!(result["peaks"].is_null() && result["decodeOfMemoryPeak"].is_null());
    }
    let (code, message) = failure(&["bench", "--random", "135m", "--model", "x.gguf"]);
    assert!(code == 2 && message.contains("cannot be used with"), "{message}");
    let (code, message) = failure(&["bench", "--random", "2b"]);
    assert!(code == 2 && message.contains("135m, 1b, 7b"), "{message}");
    assert_eq!(failure(&["bench"]).0, 2);
}
