//! Speech to text, as JavaScript classes.

use super::{
    convert::to_js,
    device, memory_bytes,
    model::{AbortCheck, Adapter, Files, OnProgress, open},
    options::{options, to_value},
    promise::{alive, promise},
};
use crate::{
    audio::Resampler,
    dtype::DType,
    error::{Error, Result},
    task::{
        LiveOptions, Partial, Segment, TranscribeStep, Transcriber, TranscriberOptions, Transcription,
        TranscriptionStats, default_clock,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{cell::RefCell, rc::Rc};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface WasmSpeechLoadOptions { /** `q8_0`, `q5_0`, `q4_k` … */ quantize?: string; device?: "cpu" | "webgpu" }
export interface WasmSpeechInfo { /** None for models that know English only. */ languages: string[]; melBins: number;
  encoderLayers: number; decoderLayers: number; width: number; vocabSize: number; memoryBytes: number }
export interface WasmTranscribeOptions { language?: string; task?: "transcribe" | "translate";
  timestamps?: "none" | "segment" | "word"; temperature?: number[]; beamSize?: number; bestOf?: number; patience?: number;
  lengthPenalty?: number; compressionRatioThreshold?: number; logProbabilityThreshold?: number; noSpeechThreshold?: number;
  conditionOnPreviousText?: boolean; initialPrompt?: string; maxTokens?: number; seed?: number }
export interface WasmWord { text: string; start: number; end: number; probability: number }
export interface WasmSegment { id: number; start: number; end: number; text: string; tokens: number[]; words?: WasmWord[];
  temperature: number; averageLogProbability: number; compressionRatio: number; noSpeechProbability: number | null }
export interface WasmLiveOptions { interval?: number; pause?: number; speechThreshold?: number; longest?: number }
export interface WasmPartial { start: number; end: number; committed: string; text: string }
export interface WasmTranscriptionStats { audioSeconds: number; windows: number; tokens: number; fallbacks: number;
  encodeMs: number; decodeMs: number; alignMs: number }
export type WasmTranscribeStep = { kind: "needAudio" } | { kind: "working"; position: number; tokens: number } |
  { kind: "partial"; partial: WasmPartial } | { kind: "segment"; segment: WasmSegment } |
  { kind: "done"; language: string; memoryBytes: number; stats: WasmTranscriptionStats };
"#;

#[wasm_bindgen]
extern "C" {
    /// `Promise<WasmTranscriber>`
    #[wasm_bindgen(typescript_type = "Promise<WasmTranscriber>")]
    pub type TranscriberPromise;
    /// `Promise<WasmTranscribeStep>`
    #[wasm_bindgen(typescript_type = "Promise<WasmTranscribeStep>")]
    pub type TranscribeStepPromise;
    /// `WasmSpeechLoadOptions`
    #[wasm_bindgen(typescript_type = "WasmSpeechLoadOptions | undefined")]
    pub type SpeechOptions;
    /// `WasmTranscribeOptions`
    #[wasm_bindgen(typescript_type = "WasmTranscribeOptions | undefined")]
    pub type Transcribe;
    /// `WasmSpeechInfo`
    #[wasm_bindgen(typescript_type = "WasmSpeechInfo")]
    pub type SpeechInfo;
    /// `WasmLiveOptions`
    #[wasm_bindgen(typescript_type = "WasmLiveOptions | undefined")]
    pub type Live;
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JsSpeechOptions {
    quantize: Option<String>,
    device: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsInfo {
    languages: Vec<&'static str>,
    mel_bins: usize,
    encoder_layers: usize,
    decoder_layers: usize,
    width: usize,
    vocab_size: usize,
    memory_bytes: f64,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum JsStep {
    NeedAudio,
    Working { position: f64, tokens: usize },
    Partial { partial: Partial },
    Segment { segment: Segment },
    Done { language: &'static str, memory_bytes: f64, stats: TranscriptionStats },
}

/// A Whisper model with its tokenizer.
#[wasm_bindgen]
pub struct WasmTranscriber(Transcriber);

#[wasm_bindgen]
impl WasmTranscriber {
    /// Loads a model from its files. `is_aborted` is asked before each read and after each tensor.
    pub fn load(
        files: Files,
        load_options: SpeechOptions,
        on_progress: OnProgress,
        is_aborted: AbortCheck,
    ) -> TranscriberPromise {
        promise(async move {
            let given: JsSpeechOptions = options("load", &load_options, &["quantize", "device"])?;
            let quantize = given.quantize.as_deref().map(DType::from_name).transpose()?;
            let load_options = TranscriberOptions { quantize, clock: default_clock };
            let device = device::named("load", given.device.as_deref()).await?;
            let loaded = open(files, on_progress, is_aborted, async |sources, progress| {
                Transcriber::load(sources, &device, &load_options, progress).await
            });
            Ok(Self(loaded.await?).into())
        })
        .unchecked_into()
    }

    /// Languages and sizes.
    pub fn info(&self) -> std::result::Result<SpeechInfo, JsValue> {
        alive()?;
        let config = self.0.model().config();
        let info = JsInfo {
            languages: self.0.languages().collect(),
            mel_bins: config.num_mel_bins,
            encoder_layers: config.encoder_layers,
            decoder_layers: config.decoder_layers,
            width: config.d_model,
            vocab_size: config.vocab_size,
            memory_bytes: memory_bytes(),
        };
        Ok(to_value(&info).map_err(to_js)?.unchecked_into())
    }

    /// The GPU that it runs on; `undefined` on the processor.
    pub fn adapter(&self) -> std::result::Result<Adapter, JsValue> {
        alive()?;
        Ok(device::adapter(self.0.model().device()).map_err(to_js)?.unchecked_into())
    }

    /// Begins a transcription; nothing is computed before its first step.
    pub fn start(&self, transcribe: Transcribe) -> std::result::Result<WasmTranscription, JsValue> {
        alive()?;
        running(|| self.0.start(&all_options("transcribe", &transcribe)?))
    }

    /// Begins a transcription of live sound, which gives texts while somebody speaks.
    #[wasm_bindgen(js_name = startLive)]
    pub fn start_live(&self, transcribe: Transcribe, live: Live) -> std::result::Result<WasmTranscription, JsValue> {
        alive()?;
        let live = || all_options::<LiveOptions>("live", &live);
        running(|| self.0.start_live(&all_options("transcribe", &transcribe)?, &live()?, None))
    }
}

fn running(begin: impl FnOnce() -> Result<Transcription>) -> std::result::Result<WasmTranscription, JsValue> {
    let running = Running { transcription: begin().map_err(to_js)?, resampler: None };
    Ok(WasmTranscription(Rc::new(RefCell::new(Some(running)))))
}

/// Options of which all fields of `T` are known; `undefined` and `null` fields are as if not given.
fn all_options<T: Default + Serialize + DeserializeOwned>(op: &'static str, value: &JsValue) -> Result<T> {
    let known = serde_json::to_value(T::default()).unwrap_or_default();
    let known: Vec<&str> = known.as_object().into_iter().flat_map(|o| o.keys()).map(String::as_str).collect();
    options(op, value, &known)
}

struct Running {
    transcription: Transcription,
    /// From the rate that the sound comes at.
    resampler: Option<(u32, Resampler)>,
}

impl Running {
    fn push(&mut self, samples: &[f32], rate: u32) -> Result<()> {
        let (known, resampler) = match &mut self.resampler {
            Some(known) => known,
            none => none.insert((rate, Resampler::new(rate)?)),
        };
        if *known != rate {
            let message = format!("sound at {rate} samples a second after sound at {known}");
            return Err(Error::argument("transcribe", message));
        }
        let mut heard = Vec::new();
        resampler.push(samples, &mut heard)?;
        self.transcription.push(&heard)
    }

    fn finish(&mut self) -> Result<()> {
        if let Some((_, mut resampler)) = self.resampler.take() {
            let mut heard = Vec::new();
            resampler.finish(&mut heard)?;
            self.transcription.push(&heard)?;
        }
        self.transcription.finish();
        Ok(())
    }

    async fn step(&mut self) -> Result<JsStep> {
        Ok(match self.transcription.step().await? {
            TranscribeStep::NeedAudio => JsStep::NeedAudio,
            TranscribeStep::Working { position, tokens } => JsStep::Working { position, tokens },
            TranscribeStep::Partial(partial) => JsStep::Partial { partial },
            TranscribeStep::Segment(segment) => JsStep::Segment { segment },
            TranscribeStep::Done(stats) => {
                let language = self.transcription.language().unwrap_or_default();
                JsStep::Done { language, memory_bytes: memory_bytes(), stats }
            }
        })
    }
}

/// A transcription in progress.
///
/// It is taken out while a step runs, so that `free()` is safe at any time: the step ends, then it is dropped.
#[wasm_bindgen]
pub struct WasmTranscription(Rc<RefCell<Option<Running>>>);

fn busy(what: &'static str) -> Error {
    Error::argument(what, "the step before has not ended; await it first")
}

#[wasm_bindgen]
impl WasmTranscription {
    /// Takes mono samples from -1 to 1, at `rate` a second: always the same.
    pub fn push(&self, samples: &[f32], rate: u32) -> std::result::Result<(), JsValue> {
        alive()?;
        let mut slot = self.0.borrow_mut();
        slot.as_mut().ok_or_else(|| busy("push")).and_then(|running| running.push(samples, rate)).map_err(to_js)
    }

    /// The sound is over.
    pub fn finish(&self) -> std::result::Result<(), JsValue> {
        alive()?;
        let mut slot = self.0.borrow_mut();
        slot.as_mut().ok_or_else(|| busy("finish")).and_then(Running::finish).map_err(to_js)
    }

    /// Does a little of what is to be done: a layer of the encoder, or a token.
    pub fn step(&self) -> TranscribeStepPromise {
        let slot = self.0.clone();
        promise(async move {
            let taken = slot.borrow_mut().take();
            let mut running = taken.ok_or_else(|| busy("step"))?;
            let result = running.step().await;
            slot.borrow_mut().replace(running);
            to_value(&result?)
        })
        .unchecked_into()
    }
}
