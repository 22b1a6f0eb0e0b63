//! The text generator: steps, the kept cache, stopping, aborting, files that are missing. On SmolLM2; its greedy tokens
//! are those of llama.cpp (golden/smollm2-135m-instruct).

mod common;

use common::{SMOLLM2, derive, golden_json, ids, model};
use std::{cell::Cell, ops::ControlFlow, path::PathBuf};
use votive::{
    DType, Error,
    task::{FinishReason, GenerateOptions, Generation, GenerationStats, LoadOptions, Prompt, Step, TextGenerator},
    text::{Message, SamplingOptions},
};

fn load(path: PathBuf, options: &LoadOptions) -> TextGenerator {
    TextGenerator::open(&[path], options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn smollm2() -> TextGenerator {
    load(model(SMOLLM2), &LoadOptions::default())
}

fn tokens(max_tokens: usize) -> GenerateOptions {
    GenerateOptions { max_tokens: Some(max_tokens), ..GenerateOptions::default() }
}

struct Answer {
    ids: Vec<u32>,
    text: String,
    reason: FinishReason,
    stats: GenerationStats,
}

fn run(generation: Generation) -> Answer {
    let (mut ids, mut all) = (Vec::new(), String::new());
    for step in generation {
        match step.unwrap() {
            Step::Prefill { done, total } => assert!(ids.is_empty() && done <= total),
            Step::Token { id, text } => {
                ids.push(id);
                all += &text;
            }
            Step::Done { reason, text, stats } => {
                all += &text;
                return Answer { ids, text: all, reason, stats };
            }
        }
    }
    panic!("ended without Done");
}

/// The text of an error that must have happened.
fn fails<T>(result: votive::Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn greedy_text_is_that_of_llama_cpp() {
    let reference = golden_json("smollm2-135m-instruct/reference_F16.json");
    let model =
        load(derive::smollm2_gguf(DType::F16), &LoadOptions { prefill_chunk: Some(5), ..LoadOptions::default() });
    let prompt = reference["prompt"].as_str().unwrap();
    assert_eq!(model.encode(&prompt.into()).unwrap(), ids(&reference, "prompt_ids"));
    let answer = run(model.generate(prompt, &tokens(64)).unwrap());
    // The reference ends with the end token; ours says that it came.
    let mut expected = ids(&reference, "greedy_ids");
    assert!(model.tokenizer().eos_ids().contains(&expected.pop().unwrap()));
    assert_eq!((answer.ids, answer.text.as_str()), (expected, "The capital of France is Paris."));
    assert_eq!(answer.reason, FinishReason::Eos);
    assert_eq!(answer.stats.generated_tokens, 7);
    assert!(answer.stats.prefill_ms > 0.0 && answer.stats.decode_ms > 0.0);
}

/// All until the first token is there is the prompt's time: a GPU may only begin with it when that is waited for.
#[test]
fn the_prompts_time_ends_with_the_first_token() {
    thread_local!(static MS: Cell<f64> = const { Cell::new(0.0) });
    // A millisecond passes in each step, which looks at the clock before and after.
    fn clock() -> f64 {
        MS.with(|ms| ms.replace(ms.get() + 1.0))
    }
    let model = load(model(SMOLLM2), &LoadOptions { prefill_chunk: Some(5), clock, ..LoadOptions::default() });
    let time = |max_tokens: usize| {
        let options = GenerateOptions { ignore_eos: true, ..tokens(max_tokens) };
        model.reset_cache().unwrap();
        let stats = run(model.generate(Prompt::Ids((100..112).collect()), &options).unwrap()).stats;
        assert_eq!(stats.generated_tokens, max_tokens);
        (stats.prefill_ms, stats.decode_ms)
    };
    // Three parts and the first token; each other token, and the word that it was the last.
    assert_eq!(time(4), (4.0, 4.0));
    assert_eq!(time(1), (4.0, 1.0));
    // No token at all: only that word.
    assert_eq!(time(0), (4.0, 0.0));
}

#[test]
fn safetensors_with_their_side_files_give_the_same() {
    let reference = golden_json("smollm2-135m-instruct/reference_story_F16.json");
    let folder = derive::smollm2_hf();
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let model = TextGenerator::open(&files, &LoadOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    let info = model.info();
    assert_eq!((info.dtype.as_str(), info.layers, info.has_chat_template), ("f16", 30, true));
    let answer = run(model.generate(reference["prompt"].as_str().unwrap(), &tokens(64)).unwrap());
    assert_eq!(answer.ids, ids(&reference, "greedy_ids"));
    assert_eq!(answer.text, reference["greedy_text"].as_str().unwrap());
    let chat = [Message::new("user", "What is the capital of France?")];
    let rendered = model.apply_chat_template(&chat, true).unwrap();
    assert_eq!(rendered, smollm2().apply_chat_template(&chat, true).unwrap());
    // The template writes the token that begins a text; it is not there twice.
    let prompt = model.encode(&Prompt::Messages(chat.to_vec())).unwrap();
    assert!(prompt[0] == 1 && prompt[1] != 1);
}

#[test]
fn a_model_without_a_template_says_so() {
    let gemma = load(model(common::GEMMA3), &LoadOptions::default());
    assert!(!gemma.info().has_chat_template);
    assert!(fails(gemma.generate(Prompt::Messages(vec![Message::new("user", "Hi")]), &tokens(1))).contains("template"));
    // Its tokenizer begins a text with a token of its own.
    let ids = gemma.encode(&"Hi".into()).unwrap();
    assert_eq!(Some(ids[0]), gemma.tokenizer().bos_id());
}

#[test]
fn a_chat_computes_only_what_is_new() {
    let model = smollm2();
    let mut chat = vec![Message::new("user", "Name a colour.")];
    let first = run(model.generate(Prompt::Messages(chat.clone()), &tokens(12)).unwrap());
    assert_eq!(first.stats.cached_tokens, 0);
    chat.push(Message::new("assistant", first.text.clone()));
    chat.push(Message::new("user", "And another."));
    let second = run(model.generate(Prompt::Messages(chat.clone()), &tokens(12)).unwrap());
    // Prompt and answer of the first turn, without the token that was generated last and never computed.
    let known = first.stats.prompt_tokens + first.stats.generated_tokens - 1;
    assert!(second.stats.cached_tokens >= known, "{} of {known}", second.stats.cached_tokens);
    assert!(second.stats.cached_tokens < second.stats.prompt_tokens);
    let fresh = run(smollm2().generate(Prompt::Messages(chat), &tokens(12)).unwrap());
    assert_eq!(second.text, fresh.text);
    assert_eq!(fresh.stats.cached_tokens, 0);
}

#[test]
fn the_same_prompt_again_gives_the_same_and_computes_its_last_part() {
    let model = load(model(SMOLLM2), &LoadOptions { prefill_chunk: Some(2), ..LoadOptions::default() });
    let first = run(model.generate("The sky is", &tokens(24)).unwrap());
    let again = run(model.generate("The sky is", &tokens(24)).unwrap());
    assert_eq!((again.stats.prompt_tokens, again.stats.cached_tokens), (3, 2));
    assert_eq!(first.ids, again.ids);
    model.reset_cache().unwrap();
    assert_eq!(run(model.generate("The sky is", &tokens(1)).unwrap()).stats.cached_tokens, 0);
}

#[test]
fn dropping_an_answer_anywhere_leaves_the_model_usable() {
    let model = load(model(SMOLLM2), &LoadOptions { prefill_chunk: Some(3), ..LoadOptions::default() });
    let expected = run(model.generate("One two three four five six seven", &tokens(5)).unwrap()).ids;
    for steps in 0..7 {
        model.reset_cache().unwrap();
        let mut generation = model.generate("One two three four five six seven", &tokens(5)).unwrap();
        for _ in 0..steps {
            generation.next().unwrap().unwrap();
        }
        // One at a time, said clearly; the other goes on undisturbed.
        assert!(fails(model.generate("x", &tokens(1))).contains("is generating"));
        assert!(fails(model.reset_cache()).contains("is generating"));
        drop(generation);
        let whole = run(model.generate("One two three four five six seven", &tokens(5)).unwrap());
        assert_eq!(whole.ids, expected, "after {steps} steps");
    }
    // Ended but not dropped is out of the way too, and says so when asked for more.
    let mut ended = model.generate("One", &tokens(1)).unwrap();
    while !matches!(ended.next().unwrap().unwrap(), Step::Done { .. }) {}
    assert!(ended.next().is_none());
    assert!(fails(pollster::block_on(ended.step())).contains("has ended"));
    run(model.generate("Two", &tokens(1)).unwrap());
}

#[test]
fn a_generation_outlives_its_model() {
    let generation = smollm2().generate("The sky is", &tokens(3)).unwrap();
    assert_eq!(run(generation).ids.len(), 3);
}

#[test]
fn stop_texts_and_tokens_end_the_answer() {
    let model = smollm2();
    let prompt = "Once upon a time, there was a little";
    let plain = run(model.generate(prompt, &tokens(12)).unwrap());
    assert_eq!((plain.reason, plain.ids.len()), (FinishReason::Length, 12));
    // A stop text from the middle of one token to the middle of a later one: nothing of it comes out.
    let (start, end) = (plain.text.len() / 3, plain.text.len() / 2);
    let stop = plain.text[start..end].to_owned();
    let answer = run(model.generate(prompt, &GenerateOptions { stop: vec![stop.clone()], ..tokens(12) }).unwrap());
    assert_eq!(answer.reason, FinishReason::Stop);
    assert_eq!(answer.text, plain.text[..plain.text.find(&stop).unwrap()]);
    assert!(answer.ids.len() < 12 && plain.ids.starts_with(&answer.ids));
    let stop_tokens = vec![plain.ids[4]];
    let at = plain.ids.iter().position(|&id| id == plain.ids[4]).unwrap();
    let answer = run(model.generate(prompt, &GenerateOptions { stop_tokens, ..tokens(12) }).unwrap());
    assert_eq!((answer.reason, &answer.ids[..]), (FinishReason::Stop, &plain.ids[..at]));
    // Held back for a stop text that never came: given out in the end.
    let held = format!("{}never", plain.text.chars().last().unwrap());
    let answer = run(model.generate(prompt, &GenerateOptions { stop: vec![held], ..tokens(12) }).unwrap());
    assert_eq!((answer.text, answer.reason), (plain.text, FinishReason::Length));
    let nothing = run(model.generate(prompt, &tokens(0)).unwrap());
    assert_eq!((nothing.ids.len(), nothing.text.as_str(), nothing.reason), (0, "", FinishReason::Length));
}

#[test]
fn a_seed_gives_the_same_text() {
    let model = smollm2();
    let options = |seed| {
        let sampling = SamplingOptions { temperature: 1.0, seed: Some(seed), ..SamplingOptions::default() };
        GenerateOptions { sampling, ..tokens(16) }
    };
    let text = |seed| {
        model.reset_cache().unwrap();
        run(model.generate("My favourite food is", &options(seed)).unwrap()).text
    };
    let first = text(1);
    assert_eq!(first, text(1));
    // Sixteen tokens at temperature 1 agreeing by chance is as good as impossible; a fixed seed keeps the test exact.
    assert_ne!(first, text(2));
}

#[test]
fn the_end_of_the_context_ends_the_answer() {
    let model = load(model(SMOLLM2), &LoadOptions { context_length: Some(16), ..LoadOptions::default() });
    assert_eq!(model.info().context_length, 16);
    let options = GenerateOptions { ignore_eos: true, ..GenerateOptions::default() };
    let prompt = vec![504; 10];
    let answer = run(model.generate(Prompt::Ids(prompt), &options).unwrap());
    // 16 positions are computed; the token that the last one gives still comes out.
    assert_eq!((answer.reason, answer.ids.len()), (FinishReason::Length, 7));
    let message = fails(model.generate(Prompt::Ids(vec![504; 16]), &options));
    assert!(message.contains("16 tokens"), "{message}");
}

#[test]
fn wrong_prompts_and_options_are_errors() {
    let model = smollm2();
    assert!(fails(model.generate("", &tokens(1))).contains("prompt is empty"));
    assert!(fails(model.generate(Prompt::Ids(vec![49152]), &tokens(1))).contains("token 49152"));
    let sampling = SamplingOptions { top_p: 2.0, ..SamplingOptions::default() };
    assert!(fails(model.generate("x", &GenerateOptions { sampling, ..tokens(1) })).contains("topP"));
    // None of them has kept the model busy.
    assert_eq!(run(model.generate("x", &tokens(1)).unwrap()).ids.len(), 1);
}

#[test]
fn a_model_that_cannot_fit_is_refused_before_it_is_read() {
    let options = LoadOptions { memory_limit: Some(100 << 20), ..LoadOptions::default() };
    let mut read = 0;
    let result = TextGenerator::open(&[model(SMOLLM2)], &options, &mut |_| {
        read += 1;
        ControlFlow::Continue(())
    });
    let error = result.err().unwrap();
    assert!(matches!(error, Error::OutOfMemory { bytes, .. } if bytes > 100 << 20), "{error}");
    assert_eq!(read, 0);
    assert!(
        fails(TextGenerator::open(
            &[model(SMOLLM2)],
            &LoadOptions { context_length: Some(1 << 30), ..LoadOptions::default() },
            &mut |_| ControlFlow::Continue(())
        ))
        .contains("8192")
    );
}

#[test]
fn loading_can_be_aborted() {
    let mut seen = 0;
    let result = TextGenerator::open(&[model(SMOLLM2)], &LoadOptions::default(), &mut |p| {
        assert!(p.loaded_bytes <= p.total_bytes);
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result.err(), Some(Error::Aborted)));
    assert_eq!(seen, 3);
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let open = |names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|n| path(n)).collect();
        fails(TextGenerator::open(&paths, &LoadOptions::default(), &mut |_| ControlFlow::Continue(())))
    };
    std::fs::copy(common::golden("models/llama.safetensors"), path("model.safetensors")).unwrap();
    std::fs::copy(common::golden("models/llama.config.json"), path("config.json")).unwrap();
    assert!(open(&["model.safetensors"]).contains("config.json is missing"));
    assert!(open(&["model.safetensors", "config.json"]).contains("tokenizer.json is missing"));
    assert!(open(&["config.json"]).contains("neither a GGUF, a safetensors, a PyTorch nor a NumPy file"));
}
