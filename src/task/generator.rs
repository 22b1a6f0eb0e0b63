//! A language model with its tokenizer, ready to answer.

#[cfg(feature = "webgpu")]
use super::rehearse::{self, Stage};
use super::{
    generation::{Generation, Session},
    memory,
};
use crate::{
    clock::{Clock, default_clock},
    device::Device,
    dtype::DType,
    error::{Error, Result},
    format::{ByteSource, Checkpoint},
    models::{Decoder, DecoderConfig, LoadProgress},
    nn::{Lora, Weights},
    text::{ChatTemplate, Message, RenderOptions, SamplingOptions, Tokenizer},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    ops::ControlFlow,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
};

/// Prompt tokens computed in one step, unless told otherwise. On the processor: enough rows for the matrix kernels to be efficient,
/// few enough that a step on one WebAssembly thread stays around half a second. On GPUs, which are told of the next step while
/// they compute one: several tiles of results, which have 64 rows each.
const fn prefill_chunk(on_cpu: bool) -> usize {
    match (on_cpu, cfg!(target_arch = "wasm32")) {
        (true, true) => 32,
        (true, false) => 128,
        (false, _) => 256,
    }
}

/// How to load a model.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Most tokens of prompt and answer together; the model's own context length if `None`.
    pub context_length: Option<usize>,
    /// Bytes that weights, cache and working memory may take together. If `None`: what is left of WebAssembly's 4 GiB in
    /// a browser for a model on the processor; no limit natively, where weights are mapped files, and on a GPU.
    pub memory_limit: Option<u64>,
    /// Most prompt tokens to compute in one [`Generation::step`], at least 1; as suits the device if `None`.
    pub prefill_chunk: Option<usize>,
    /// Measures the times in [`GenerationStats`](super::GenerationStats).
    pub clock: Clock,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { context_length: None, memory_limit: None, prefill_chunk: None, clock: default_clock }
    }
}

/// What to answer to.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Text to go on with, as it is.
    Text(String),
    /// A conversation; the model's chat template makes the prompt of it.
    Messages(Vec<Message>),
    /// Token ids, as they are.
    Ids(Vec<u32>),
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How to generate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerateOptions {
    /// Most tokens to generate; until the context is full if `None`.
    pub max_tokens: Option<usize>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// Tokens that end the answer beside the model's own; they are not part of it.
    pub stop_tokens: Vec<u32>,
    /// Go on when the model says that it is done (for measuring).
    pub ignore_eos: bool,
    /// How tokens are chosen; its fields are part of this object in JSON.
    #[serde(flatten)]
    pub sampling: SamplingOptions,
}

/// What kind of model was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// Its family, as the file names it (`llama`, `gemma3` …).
    pub architecture: String,
    /// Elements of all weights.
    pub parameters: u64,
    /// The dtype that most of the weights' bytes are in.
    pub dtype: String,
    /// Most tokens of prompt and answer together.
    pub context_length: usize,
    /// Rows of the embedding; the tokenizer may know fewer tokens.
    pub vocab_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Can it be given messages?
    pub has_chat_template: bool,
    /// Bytes of all weights.
    pub weight_bytes: u64,
    /// Bytes that the cache takes for each token of context.
    pub cache_bytes_per_token: u64,
}

/// Everything that does not change after loading; shared with the running generation, which so outlives the generator.
pub(super) struct Model {
    pub decoder: Decoder,
    pub tokenizer: Tokenizer,
    pub template: Option<ChatTemplate>,
    pub info: ModelInfo,
    pub prefill_chunk: usize,
    pub clock: Clock,
    /// Programs that may still be compiled.
    #[cfg(feature = "webgpu")]
    pub preparing: crate::device::Preparing,
    /// Last, so that the weights are gone when it is dropped.
    _held: memory::Held,
}

/// The place of the one session: empty while a generation has it.
pub(super) type Slot = Arc<Mutex<Option<Session>>>;

/// A decoder language model with its tokenizer.
///
/// It keeps the keys and values of the last conversation: a prompt that begins with the same tokens computes only the
/// rest. The same prompt again gives the same logits, to the bit; one that goes on with a conversation may differ in the
/// last bits from a model that sees all of it for the first time. [`TextGenerator::reset_cache`] forgets.
pub struct TextGenerator {
    model: Arc<Model>,
    slot: Slot,
}

impl TextGenerator {
    /// Loads a model onto `device` from all its files, in any order: one GGUF (or its parts); or safetensors with
    /// `config.json` and `tokenizer.json`, and as far as there are any `tokenizer_config.json`,
    /// `generation_config.json` and `chat_template.jinja`. Other files are ignored. A `tokenizer.json` given with a
    /// GGUF replaces the tokenizer inside.
    ///
    /// `progress` hears of each weight loaded; `Break` ends loading with [`Error::Aborted`].
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] before anything large is read when the model cannot fit; [`Error::Format`],
    /// [`Error::Weight`] and [`Error::Unsupported`] for files that are wrong, incomplete, or of an unknown kind.
    pub async fn load(
        sources: Vec<Box<dyn ByteSource>>,
        device: &Device,
        options: &LoadOptions,
        progress: &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        let prefill_chunk = options.prefill_chunk.unwrap_or(prefill_chunk(device.is_cpu()));
        if prefill_chunk == 0 {
            return Err(Error::argument("load", "prefill_chunk is 0, must be at least 1"));
        }
        let checkpoint = Checkpoint::open(sources).await?;
        let (config, config_json) = read_config(&checkpoint).await?;
        let context_length = context_length(options.context_length, &config)?;
        // A GPU has memory of its own.
        let here = device.is_cpu();
        if let Some(available) = options.memory_limit.or_else(|| memory::available().filter(|_| here)) {
            let file = checkpoint.files().next().unwrap_or("the model").to_owned();
            memory::check(&file, &checkpoint, &config, options.context_length, available)?;
        }
        let (tokenizer, template) = read_text_files(&checkpoint, config_json.as_deref()).await?;
        let info = ModelInfo {
            architecture: config.architecture.clone(),
            parameters: checkpoint.tensors().map(|t| t.shape.elements() as u64).sum(),
            dtype: main_dtype(&checkpoint),
            context_length,
            vocab_size: config.vocab_size,
            layers: config.layers(),
            has_chat_template: template.is_some(),
            weight_bytes: checkpoint.total_bytes(),
            cache_bytes_per_token: memory::cache_bytes_per_token(&config),
        };
        #[cfg(feature = "webgpu")]
        let preparing = rehearse::text(&checkpoint, &config, device, prefill_chunk, Stage::Draw);
        let weights = Weights::from_checkpoint(Rc::new(checkpoint), device);
        let decoder = Decoder::load(config, &weights, progress).await?;
        #[cfg(feature = "webgpu")]
        preparing.ready(Stage::Answer as usize).await?;
        let session = Session::new(decoder.new_cache());
        let clock = options.clock;
        let _held = memory::Held::new(if here { info.weight_bytes } else { 0 });
        let model = Model {
            decoder,
            tokenizer,
            template,
            info,
            prefill_chunk,
            clock,
            #[cfg(feature = "webgpu")]
            preparing,
            _held,
        };
        #[cfg_attr(
            all(target_arch = "wasm32", feature = "webgpu"),
            expect(
                clippy::arc_with_non_send_sync,
                reason = "what a browser compiles stays in its thread, as does the model"
            )
        )]
        let model = Arc::new(model);
        Ok(Self { model, slot: Arc::new(Mutex::new(Some(session))) })
    }

    /// Loads the model in these files of this machine onto the processor, without copying the weights. The paths of a
    /// folder, file or hub id come from [`hub::resolve_model`](crate::hub::resolve_model).
    ///
    /// # Errors
    /// As [`TextGenerator::load`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(
        paths: &[impl AsRef<std::path::Path>],
        options: &LoadOptions,
        progress: &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        Self::open_on(&Device::cpu(), paths, options, progress)
    }

    /// As [`TextGenerator::open`], onto a device; a GPU gets a copy of the weights.
    ///
    /// # Errors
    /// As [`TextGenerator::load`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_on(
        device: &Device,
        paths: &[impl AsRef<std::path::Path>],
        options: &LoadOptions,
        progress: &mut dyn FnMut(LoadProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Self> {
        let open = |path| Ok(Box::new(crate::format::FileSource::open(path)?) as Box<dyn ByteSource>);
        let sources = paths.iter().map(open).collect::<Result<_>>()?;
        pollster::block_on(Self::load(sources, device, options, progress))
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        self.model.decoder.device()
    }

    /// Adds low-rank adapters to the model, from PEFT's `adapter_config.json` and `adapter_model.safetensors`; those it has
    /// already are replaced in the layers that both adapt. The last conversation is forgotten.
    ///
    /// # Errors
    /// [`Error::Argument`] while a generation lives; as [`Lora::load`].
    pub async fn load_lora(&mut self, config: &str, weights: Box<dyn ByteSource>) -> Result<Lora> {
        let model = Arc::get_mut(&mut self.model).ok_or_else(|| busy("load_lora"))?;
        let device = model.decoder.device().clone();
        let lora = Lora::load(&mut model.decoder, config, weights, &device).await?;
        self.reset_cache()?;
        Ok(lora)
    }

    /// [`TextGenerator::load_lora`] from a folder as PEFT's `save_pretrained` writes it.
    ///
    /// # Errors
    /// As [`TextGenerator::load_lora`]; when the folder lacks a file.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open_lora(&mut self, folder: impl AsRef<std::path::Path>) -> Result<Lora> {
        let model = Arc::get_mut(&mut self.model).ok_or_else(|| busy("open_lora"))?;
        let device = model.decoder.device().clone();
        let lora = Lora::open(&mut model.decoder, folder, &device)?;
        self.reset_cache()?;
        Ok(lora)
    }

    /// The model itself, to be trained; `None` while a generation lives. The last conversation is forgotten.
    pub fn decoder_mut(&mut self) -> Option<&mut Decoder> {
        self.reset_cache().ok()?;
        Arc::get_mut(&mut self.model).map(|model| &mut model.decoder)
    }

    /// Kind and sizes.
    pub fn info(&self) -> &ModelInfo {
        &self.model.info
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.model.tokenizer
    }

    /// The text that the model's chat template makes of a conversation, with the beginning of the assistant's answer if
    /// `add_generation_prompt`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the model has no template; [`Error::Text`] when the template refuses the messages.
    pub fn apply_chat_template(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let Some(template) = &self.model.template else {
            return Err(Error::Unsupported(
                "chat messages: this model has no chat template (is it a base model?); \
                 give it a plain text prompt, or load it with a tokenizer_config.json that has a template"
                    .into(),
            ));
        };
        template.render(messages, &RenderOptions { add_generation_prompt, ..RenderOptions::default() })
    }

    /// The token ids that [`TextGenerator::generate`] makes of a prompt.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`] and [`TextGenerator::apply_chat_template`].
    pub fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let tokenizer = &self.model.tokenizer;
        match prompt {
            Prompt::Ids(ids) => Ok(ids.clone()),
            Prompt::Text(text) => tokenizer.encode(text, true),
            Prompt::Messages(messages) => {
                let mut ids = tokenizer.encode(&self.apply_chat_template(messages, true)?, false)?;
                // Most templates write the token that begins a text; a few leave it to the tokenizer.
                if let Some(bos) = tokenizer.bos_id()
                    && ids.first() != Some(&bos)
                    && tokenizer.encode("", true)?.first() == Some(&bos)
                {
                    ids.insert(0, bos);
                }
                Ok(ids)
            }
        }
    }

    /// Begins an answer. Nothing is computed before the first [`Generation::step`].
    ///
    /// # Errors
    /// [`Error::Argument`] while another generation of this model lives, for options out of range, and for a prompt
    /// that is empty or does not fit into the context; as [`TextGenerator::encode`].
    pub fn generate(&self, prompt: impl Into<Prompt>, options: &GenerateOptions) -> Result<Generation> {
        let ids = self.encode(&prompt.into())?;
        Generation::start(self.model.clone(), self.slot.clone(), ids, options)
    }

    /// Forgets the last conversation and frees its memory.
    ///
    /// # Errors
    /// [`Error::Argument`] while a generation lives.
    pub fn reset_cache(&self) -> Result<()> {
        match &mut *self.slot.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(session) => {
                session.clear();
                Ok(())
            }
            None => Err(busy("reset_cache")),
        }
    }
}

/// The error of a second use at a time.
pub(super) fn busy(op: &'static str) -> Error {
    Error::argument(op, "this model is generating; finish that generation or free it first")
}

fn context_length(wanted: Option<usize>, config: &DecoderConfig) -> Result<usize> {
    match wanted {
        None => Ok(config.context_length),
        Some(n) if (1..=config.context_length).contains(&n) => Ok(n),
        Some(n) => {
            let message = format!("context length {n}; this model takes 1 to {}", config.context_length);
            Err(Error::argument("load", message))
        }
    }
}

fn missing(checkpoint: &Checkpoint, file: &str) -> Error {
    let given: Vec<_> = checkpoint.files().collect();
    Error::argument("load", format!("{file} is missing; safetensors need it. Given: {}", given.join(", ")))
}

/// The model's configuration, and the text of `config.json` if there is one.
pub(super) async fn read_config(checkpoint: &Checkpoint) -> Result<(DecoderConfig, Option<String>)> {
    let json = text_file(checkpoint, "config.json").await?;
    let config = match (checkpoint.metadata(), &json) {
        (Some(metadata), _) => DecoderConfig::from_gguf(metadata, checkpoint)?,
        (None, Some(json)) => DecoderConfig::from_json(json)?,
        (None, None) => return Err(missing(checkpoint, "config.json")),
    };
    Ok((config, json))
}

async fn text_file(checkpoint: &Checkpoint, name: &str) -> Result<Option<String>> {
    let Some(bytes) = checkpoint.side_file(name).await? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|e| Error::format(name, e.to_string()))
}

/// Tokenizer and chat template, from the GGUF or from the files beside the weights.
async fn read_text_files(
    checkpoint: &Checkpoint,
    config_json: Option<&str>,
) -> Result<(Tokenizer, Option<ChatTemplate>)> {
    let mut tokenizer = match (checkpoint.side_file("tokenizer.json").await?, checkpoint.metadata()) {
        (Some(json), _) => Tokenizer::from_json(&json)?,
        (None, Some(metadata)) => Tokenizer::from_gguf(metadata)?,
        (None, None) => return Err(missing(checkpoint, "tokenizer.json")),
    };
    let tokenizer_config = text_file(checkpoint, "tokenizer_config.json").await?;
    if let Some(json) = &tokenizer_config {
        tokenizer.apply_config(json)?;
    }
    let generation_config = text_file(checkpoint, "generation_config.json").await?;
    for (file, json) in [("generation_config.json", generation_config.as_deref()), ("config.json", config_json)] {
        if let Some(json) = json {
            tokenizer.add_eos_ids(&eos_ids(file, json)?);
        }
    }
    let mut source = text_file(checkpoint, "chat_template.jinja").await?;
    if source.is_none() {
        source = text_file(checkpoint, "chat_template.json").await?;
    }
    let mut template = ChatTemplate::from_files(tokenizer_config.as_deref(), source.as_deref(), &tokenizer)?;
    if let (None, Some(metadata)) = (&template, checkpoint.metadata()) {
        template = ChatTemplate::from_gguf(metadata, &tokenizer)?;
    }
    Ok((tokenizer, template))
}

/// `eos_token_id`: a number, or a list of them.
fn eos_ids(file: &str, json: &str) -> Result<Vec<u32>> {
    let value: serde_json::Value = serde_json::from_str(json).map_err(|e| Error::format(file, e.to_string()))?;
    let id = |v: &serde_json::Value| v.as_u64().and_then(|id| u32::try_from(id).ok());
    Ok(match &value["eos_token_id"] {
        serde_json::Value::Array(ids) => ids.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    })
}

fn main_dtype(checkpoint: &Checkpoint) -> String {
    let mut bytes: HashMap<DType, usize> = HashMap::new();
    for tensor in checkpoint.tensors() {
        *bytes.entry(tensor.dtype).or_default() += tensor.bytes;
    }
    // Equal sizes: the first in the enum, so that the answer is the same each time.
    let most = DType::ALL.into_iter().rev().max_by_key(|d| bytes.get(d).copied().unwrap_or(0));
    most.map(|d| d.name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_tokens_are_a_number_or_a_list() {
        assert_eq!(eos_ids("f", r#"{"eos_token_id": 2}"#).unwrap(), [2]);
        assert_eq!(eos_ids("f", r#"{"eos_token_id": [1, 106]}"#).unwrap(), [1, 106]);
        assert_eq!(eos_ids("f", r#"{"eos_token_id": null}"#).unwrap(), [0; 0]);
        assert_eq!(eos_ids("f", "{}").unwrap(), [0; 0]);
        assert!(eos_ids("f", "{").is_err());
    }
}
