//! Arguments that the generating commands share: the model, and how tokens are chosen.

use super::output::byte_bar;
use clap::{Args, ValueEnum};
use std::{ops::ControlFlow, path::PathBuf};
use votive::{
    Device, Error, Result,
    backend::cpu::pool,
    format::{ByteSource, FileSource},
    hub,
    models::LoadProgress,
    task::{GenerateOptions, LoadOptions, TextGenerator},
    text::SamplingOptions,
};

/// Which model, and how it is run.
#[derive(Args)]
pub struct ModelArgs {
    /// A .gguf, .safetensors or PyTorch .bin file, a folder, or a model of the hub: owner/name[@revision][:file or pattern].
    #[arg(short, long, value_name = "PATH_OR_HUB_ID")]
    pub model: String,
    #[command(flatten)]
    pub run: RunArgs,
}

/// What a model is run with, whichever it is.
#[derive(Args)]
pub struct RunArgs {
    /// Low-rank adapters for the model: a folder with adapter_config.json and adapter_model.safetensors, as PEFT saves it.
    #[arg(long, value_name = "FOLDER")]
    pub lora: Option<PathBuf>,
    /// Most tokens of prompt and answer together; the model's own context length if not given.
    #[arg(long, value_name = "N")]
    pub context: Option<usize>,
    /// Threads; as many as the machine has processors if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What computes: the processor, or a GPU in a build with that feature.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
}

/// A device by name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    Cpu,
    Webgpu,
}

impl ModelArgs {
    /// Downloads the model if it must, and loads it, with progress bars on standard error.
    pub fn load(&self) -> Result<TextGenerator> {
        self.run.load(sources(&files(&self.model)?)?, &self.run.device()?)
    }
}

impl RunArgs {
    /// Loads a model from all its files, with a progress bar on standard error.
    pub fn load(&self, sources: Vec<Box<dyn ByteSource>>, device: &Device) -> Result<TextGenerator> {
        self.apply_threads();
        let bar = byte_bar(0, "load");
        let options = LoadOptions { context_length: self.context, ..LoadOptions::default() };
        let mut progress = |p: LoadProgress<'_>| {
            bar.set_length(p.total_bytes);
            bar.set_position(p.loaded_bytes);
            ControlFlow::Continue(())
        };
        let model = pollster::block_on(TextGenerator::load(sources, device, &options, &mut progress));
        bar.finish_and_clear();
        let mut model = model?;
        if let Some(folder) = &self.lora {
            model.open_lora(folder)?;
        }
        Ok(model)
    }

    /// Where the model is to run.
    pub fn device(&self) -> Result<Device> {
        match self.device {
            DeviceName::Cpu => Ok(Device::cpu()),
            DeviceName::Webgpu => pollster::block_on(Device::webgpu()),
        }
    }

    /// Sets the number of threads that were asked for.
    pub fn apply_threads(&self) {
        if let Some(threads) = self.threads {
            pool::set_threads(threads.into());
        }
    }
}

/// A model's files, downloaded if they must be.
pub fn files(model: &str) -> Result<Vec<PathBuf>> {
    let bar = byte_bar(0, "download");
    let mut shown = String::new();
    let paths = hub::resolve_model(model, &mut |p| {
        bar.set_length(p.size_total);
        bar.set_position(p.done_total);
        if shown != p.file {
            shown.clone_from(&p.file);
            bar.set_message(p.file.clone());
        }
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    paths
}

/// The files, opened.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<Box<dyn ByteSource>>> {
    paths.iter().map(|path| Ok(Box::new(FileSource::open(path)?) as Box<dyn ByteSource>)).collect()
}

/// How tokens are chosen and when to stop.
#[derive(Args)]
pub struct SamplingArgs {
    /// Most tokens to generate; until the model ends or the context is full if not given.
    #[arg(short = 'n', long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// 0 takes the likeliest token each time; higher is more varied.
    #[arg(short, long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Choose among the K likeliest tokens only; 0 for all.
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: u32,
    /// Choose among the likeliest tokens that together have this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// Choose among tokens at least this times as likely as the likeliest.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    min_p: f32,
    /// Choose among tokens of typical surprise that together have this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    typical_p: f32,
    /// Over 1: makes tokens that occurred already less likely.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// Taken from a token's logit for each time the answer has it.
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    frequency_penalty: f32,
    /// Taken from a token's logit once the answer has it.
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    presence_penalty: f32,
    /// The same seed gives the same text.
    #[arg(short, long, value_name = "S")]
    seed: Option<u64>,
    /// Text that ends the answer; may be given several times.
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Go on when the model says that it is done.
    #[arg(long)]
    ignore_eos: bool,
}

impl SamplingArgs {
    /// As the library takes them.
    pub fn options(&self) -> Result<GenerateOptions> {
        let sampling = SamplingOptions {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical_p,
            repetition_penalty: self.repetition_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            seed: self.seed,
            ..SamplingOptions::default()
        };
        sampling.check()?;
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::argument("--stop", "the text is empty"));
        }
        Ok(GenerateOptions {
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            stop_tokens: Vec::new(),
            ignore_eos: self.ignore_eos,
            sampling,
        })
    }
}
