//! A text model and its generation, as JavaScript classes.

use super::{
    convert::to_js,
    device, memory_bytes,
    options::{from_js, generate_options, messages, options, prompt, to_value},
    promise::{alive, promise},
    source::{IsAborted, JsSource},
};
use crate::{
    error::{Error, Result},
    format::ByteSource,
    models::LoadProgress,
    task::{GenerateOptions, Generation, LoadOptions, Prompt, Step, TextGenerator, default_clock, measure_decode},
};
use js_sys::{Array, Function, Uint32Array};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, ops::ControlFlow, rc::Rc};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface WasmFile { name: string; size: number; read(offset: number, length: number): Promise<Uint8Array>; }
export interface WasmLoadOptions { contextLength?: number; device?: "cpu" | "webgpu" }
export interface WasmAdapter { name: string; api: string; driver: string; software: boolean; shaderF16: boolean; subgroups: boolean;
  packedDot: boolean; timestamps: boolean; matrices: boolean; maxBuffer: number; maxBinding: number }
export interface WasmProfile { tokens: number; ms: number; /** Of a GPU: what it did for all of the tokens. */ counts?: Record<string, number>;
  /** Kernels of one token, the longest first. */ kernels?: { kernel: string; dispatches: number; microseconds: number }[] }
export interface WasmLoadProgress { loadedBytes: number; totalBytes: number; tensor: string }
export interface WasmMessage { role: string; content: unknown }
export interface WasmModelInfo { architecture: string; parameters: number; dtype: string; contextLength: number;
  vocabSize: number; layers: number; hasChatTemplate: boolean; weightBytes: number; cacheBytesPerToken: number }
export interface WasmGenerateOptions { maxTokens?: number; temperature?: number; topK?: number; topP?: number; minP?: number;
  typicalP?: number; repetitionPenalty?: number; repetitionWindow?: number; frequencyPenalty?: number; presencePenalty?: number;
  logitBias?: Record<number, number>; seed?: number | bigint; stop?: string[]; stopTokens?: number[]; ignoreEos?: boolean }
export interface WasmStats { promptTokens: number; cachedTokens: number; generatedTokens: number; prefillMs: number;
  /** For all tokens after the first, which comes out of the prompt's computation. */ decodeMs: number; memoryBytes: number }
export type WasmStep = { kind: "prefill"; done: number; total: number } | { kind: "token"; id: number; text: string } |
  { kind: "done"; reason: "stop" | "length" | "eos"; /** Text held back until now. */ text: string; stats: WasmStats };
"#;

#[wasm_bindgen]
extern "C" {
    /// `Promise<WasmTextModel>`
    #[wasm_bindgen(typescript_type = "Promise<WasmTextModel>")]
    pub type ModelPromise;
    /// `Promise<WasmStep>`
    #[wasm_bindgen(typescript_type = "Promise<WasmStep>")]
    pub type StepPromise;
    /// `WasmFile[]`
    #[wasm_bindgen(typescript_type = "WasmFile[]")]
    pub type Files;
    /// `WasmLoadOptions`
    #[wasm_bindgen(typescript_type = "WasmLoadOptions | undefined")]
    pub type Options;
    /// `WasmGenerateOptions`
    #[wasm_bindgen(typescript_type = "WasmGenerateOptions | undefined")]
    pub type Generate;
    /// A prompt.
    #[wasm_bindgen(typescript_type = "string | WasmMessage[] | Uint32Array")]
    pub type PromptValue;
    /// `WasmMessage[]`
    #[wasm_bindgen(typescript_type = "WasmMessage[]")]
    pub type Messages;
    /// `WasmModelInfo`
    #[wasm_bindgen(typescript_type = "WasmModelInfo")]
    pub type Info;
    /// `Promise<number>`
    #[wasm_bindgen(typescript_type = "Promise<number>")]
    pub type NumberPromise;
    /// `Promise<WasmProfile>`
    #[wasm_bindgen(typescript_type = "Promise<WasmProfile>")]
    pub type ProfilePromise;
    /// `WasmAdapter | undefined`
    #[wasm_bindgen(typescript_type = "WasmAdapter | undefined")]
    pub type Adapter;
    /// The progress callback.
    #[wasm_bindgen(typescript_type = "(progress: WasmLoadProgress) => void")]
    pub type OnProgress;
    /// The abort callback.
    #[wasm_bindgen(typescript_type = "() => boolean")]
    pub type AbortCheck;
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsLoadOptions {
    context_length: Option<usize>,
    device: Option<String>,
}

/// What generating tokens cost, as [`WasmTextModel::profile`] tells it.
#[derive(Serialize)]
struct Profile {
    tokens: usize,
    ms: f64,
    #[cfg(feature = "webgpu")]
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<crate::backend::webgpu::DeviceStats>,
    /// Of one token.
    #[cfg(feature = "webgpu")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kernels: Vec<crate::backend::webgpu::KernelTime>,
}

/// Tokens generated before [`WasmTextModel::profile`] begins to count: by then programs are compiled and memory is had.
const WARM_UP: usize = 4;

/// Tokens of which kernels are timed, and tokens behind all that count: the last ones of an answer are computed ahead.
const TIMED: usize = 2;
const BEHIND: usize = 4;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsProgress<'a> {
    loaded_bytes: u64,
    total_bytes: u64,
    tensor: &'a str,
}

/// Generates so many tokens.
async fn pass(generation: &mut Generation, tokens: usize) -> Result<()> {
    let mut done = 0;
    while done < tokens {
        match generation.step().await? {
            Step::Prefill { .. } => {}
            Step::Token { .. } => done += 1,
            Step::Done { .. } => {
                return Err(Error::argument("profile", format!("ended after {done} tokens: the context is full")));
            }
        }
    }
    Ok(())
}

/// Lets `load` read the files, with JavaScript's callbacks around it: `on_progress` hears of each weight, and what it throws
/// ends the loading, as does `is_aborted`.
pub async fn open<T>(
    files: Files,
    on_progress: OnProgress,
    is_aborted: AbortCheck,
    load: impl AsyncFnOnce(Vec<Box<dyn ByteSource>>, &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>) -> Result<T>,
) -> Result<T> {
    let function = |value: JsValue, name: &str| {
        value.dyn_into::<Function>().map_err(|_| Error::argument("load", format!("{name} is not a function")))
    };
    let on_progress = function(on_progress.into(), "onProgress")?;
    let is_aborted = function(is_aborted.into(), "isAborted")?;
    let aborted: IsAborted =
        Rc::new(move || is_aborted.call0(&JsValue::UNDEFINED).is_ok_and(|answer| answer.is_truthy()));
    let files: Array = JsValue::from(files).dyn_into().map_err(|_| Error::argument("load", "files is not an array"))?;
    let sources = JsSource::all(&files, &aborted)?;
    let mut thrown = None;
    let mut progress = |p: LoadProgress<'_>| {
        let event = JsProgress { loaded_bytes: p.loaded_bytes, total_bytes: p.total_bytes, tensor: p.tensor };
        let call = |event| on_progress.call1(&JsValue::UNDEFINED, &event).map_err(|e| from_js("onProgress", &e));
        match to_value(&event).and_then(call) {
            Ok(_) if !aborted() => ControlFlow::Continue(()),
            result => {
                thrown = result.err();
                ControlFlow::Break(())
            }
        }
    };
    match (load(sources, &mut progress).await, thrown) {
        (Err(Error::Aborted), Some(error)) => Err(error),
        (result, _) => result,
    }
}

/// A language model with its tokenizer.
#[wasm_bindgen]
pub struct WasmTextModel(TextGenerator);

#[wasm_bindgen]
impl WasmTextModel {
    /// Loads a model from its files. `is_aborted` is asked before each read and after each tensor.
    pub fn load(files: Files, load_options: Options, on_progress: OnProgress, is_aborted: AbortCheck) -> ModelPromise {
        promise(async move {
            let given: JsLoadOptions = options("load", &load_options, &["contextLength", "device"])?;
            let load_options = LoadOptions { context_length: given.context_length, ..LoadOptions::default() };
            let device = device::named("load", given.device.as_deref()).await?;
            let loaded = open(files, on_progress, is_aborted, async |sources, progress| {
                TextGenerator::load(sources, &device, &load_options, progress).await
            });
            Ok(Self(loaded.await?).into())
        })
        .unchecked_into()
    }

    /// Milliseconds for a token of the model in these files on `cpu` or `webgpu`, estimated from their headers.
    pub fn measure(files: Files, device: String) -> NumberPromise {
        promise(async move {
            let device = device::named("measure", Some(&device)).await?;
            let aborted: IsAborted = Rc::new(|| false);
            let files: Array =
                JsValue::from(files).dyn_into().map_err(|_| Error::argument("measure", "files is not an array"))?;
            Ok(measure_decode(JsSource::all(&files, &aborted)?, &device, default_clock).await?.into())
        })
        .unchecked_into()
    }

    /// What the GPU's adapter is and can do; `undefined` on the processor.
    pub fn adapter(&self) -> Result<Adapter, JsValue> {
        alive()?;
        Ok(device::adapter(self.0.device()).map_err(to_js)?.unchecked_into())
    }

    /// Generates tokens, whatever they are, and tells what that cost. The last conversation is forgotten.
    pub fn profile(&self, tokens: usize) -> Result<ProfilePromise, JsValue> {
        alive()?;
        let most = WARM_UP + tokens + TIMED + BEHIND;
        let options = GenerateOptions { max_tokens: Some(most), ignore_eos: true, ..GenerateOptions::default() };
        let mut generation = self.0.generate(Prompt::Ids(vec![0; 8]), &options).map_err(to_js)?;
        #[cfg(feature = "webgpu")]
        let device = self.0.device().clone();
        Ok(promise(async move {
            pass(&mut generation, WARM_UP).await?;
            #[cfg(feature = "webgpu")]
            let before = device.stats();
            let start = default_clock();
            pass(&mut generation, tokens).await?;
            let ms = default_clock() - start;
            #[cfg(feature = "webgpu")]
            let (counts, kernels) = (device.stats().zip(before).map(|(after, before)| after - before), {
                let mut kernels = Vec::new();
                if device.begin_timing()? {
                    let timed = pass(&mut generation, TIMED).await;
                    kernels = device.end_timing().await?;
                    timed?;
                }
                for kernel in &mut kernels {
                    kernel.dispatches /= TIMED as u64;
                    kernel.microseconds /= TIMED as f64;
                }
                kernels
            });
            to_value(&Profile {
                tokens,
                ms,
                #[cfg(feature = "webgpu")]
                counts,
                #[cfg(feature = "webgpu")]
                kernels,
            })
        })
        .unchecked_into())
    }

    /// Kind and sizes.
    pub fn info(&self) -> Result<Info, JsValue> {
        alive()?;
        Ok(to_value(self.0.info()).map_err(to_js)?.unchecked_into())
    }

    /// Begins an answer; one at a time. It keeps the model's memory until it has ended or is freed.
    pub fn start(&self, input: PromptValue, generate: Generate) -> Result<WasmGeneration, JsValue> {
        alive()?;
        let begin = || self.0.generate(prompt(input.into())?, &generate_options(&generate)?);
        Ok(WasmGeneration(Rc::new(RefCell::new(Some(begin().map_err(to_js)?)))))
    }

    /// Token ids of a text; `add_special` adds what the model wants around it.
    pub fn tokenize(&self, text: &str, add_special: bool) -> Result<Uint32Array, JsValue> {
        alive()?;
        let ids = self.0.tokenizer().encode(text, add_special).map_err(to_js)?;
        Ok(Uint32Array::from(&ids[..]))
    }

    /// The text of token ids, special tokens left out.
    pub fn detokenize(&self, ids: &Uint32Array) -> Result<String, JsValue> {
        alive()?;
        self.0.tokenizer().decode(&ids.to_vec(), true).map_err(to_js)
    }

    /// The text that the chat template makes of a conversation.
    #[wasm_bindgen(js_name = applyChatTemplate)]
    pub fn apply_chat_template(&self, chat: Messages, add_generation_prompt: bool) -> Result<String, JsValue> {
        alive()?;
        let render = || self.0.apply_chat_template(&messages(chat.into())?, add_generation_prompt);
        render().map_err(to_js)
    }

    /// Forgets the last conversation and frees its memory.
    #[wasm_bindgen(js_name = resetCache)]
    pub fn reset_cache(&self) -> Result<(), JsValue> {
        alive()?;
        self.0.reset_cache().map_err(to_js)
    }
}

/// An answer being generated.
///
/// The generation is taken out while a step runs, so that `free()` is safe at any time: the step ends, then it is dropped.
#[wasm_bindgen]
pub struct WasmGeneration(Rc<RefCell<Option<Generation>>>);

#[wasm_bindgen]
impl WasmGeneration {
    /// Computes a part of the prompt, or the next token.
    pub fn step(&self) -> StepPromise {
        let slot = self.0.clone();
        promise(async move {
            let taken = slot.borrow_mut().take();
            let Some(mut generation) = taken else {
                return Err(Error::argument("step", "the step before has not ended; await it first"));
            };
            let result = generation.step().await;
            slot.borrow_mut().replace(generation);
            let mut step = result?;
            if let Step::Done { stats, .. } = &mut step {
                stats.memory_bytes = memory_bytes() as u64;
            }
            to_value(&step)
        })
        .unchecked_into()
    }
}
