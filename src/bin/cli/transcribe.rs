//! `votive transcribe`: speech in a file to text.

use super::{
    interrupt::{self, Catch},
    model::{ModelArgs, files},
    output::{byte_bar, print},
};
use clap::Args;
use std::{ops::ControlFlow, path::PathBuf};
use votive::{
    DType, Error, Result,
    audio::AudioFile,
    task::{
        Task, Timestamps, TranscribeOptions, TranscribeStep, Transcriber, TranscriberOptions, TranscriptFormat,
        TranscriptWriter, default_clock,
    },
};

/// Writes down what is said in an audio file (WAV, FLAC, MP3, OGG Vorbis, M4A …), or its English translation.
#[derive(Args)]
#[command(after_help = "\
Examples:
  votive transcribe talk.mp3 --model openai/whisper-base
  votive transcribe talk.m4a -m whisper-tiny.en --format srt > talk.srt
  votive transcribe talk.wav -m ggml-small.bin --timestamps word --format json
  votive transcribe rede.ogg -m openai/whisper-small --quantize q8_0 --language de --task translate")]
pub struct TranscribeArgs {
    /// The audio file.
    audio: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Language spoken, by code or English name; detected if not given.
    #[arg(short, long, value_name = "L")]
    language: Option<String>,
    /// transcribe, or translate to English.
    #[arg(long, default_value = "transcribe", value_parser = ["transcribe", "translate"])]
    task: String,
    /// Times to find: none, of segments, or of words too.
    #[arg(long, default_value = "segment", value_parser = ["none", "segment", "word"])]
    timestamps: String,
    /// What to print: txt, srt, vtt or json.
    #[arg(short, long, default_value = "txt", value_parser = ["txt", "srt", "vtt", "json"])]
    format: String,
    /// Names and terms to expect, as a text that might come before.
    #[arg(long, value_name = "TEXT")]
    initial_prompt: Option<String>,
    /// Follow so many texts at once (beam search); 1 is fastest.
    #[arg(long, value_name = "N", default_value_t = 1)]
    beam_size: usize,
    /// Temperatures to try, each when the text of the one before was refused.
    #[arg(long, value_name = "T,…", value_delimiter = ',', default_value = "0,0.2,0.4,0.6,0.8,1")]
    temperature: Vec<f32>,
    /// Do not give the model the text before: less flowing, but mistakes are not repeated.
    #[arg(long)]
    no_context: bool,
    /// Skip silences longer than so many seconds around what looks misheard; for `--timestamps word`.
    #[arg(long, value_name = "SECONDS")]
    hallucination_silence_threshold: Option<f64>,
    /// Quantize the weights while loading (q8_0, q5_0, q4_k …).
    #[arg(long, value_name = "TYPE", value_parser = |name: &str| DType::from_name(name).map_err(|e| e.to_string()))]
    quantize: Option<DType>,
    /// Print on standard error where the time went.
    #[arg(long)]
    stats: bool,
}

/// Runs the command.
pub fn run(args: &TranscribeArgs) -> Result<()> {
    let options = options(args);
    let mut writer = TranscriptWriter::new(args.format.parse::<TranscriptFormat>()?);
    if args.model.run.context.is_some() || args.model.run.lora.is_some() {
        return Err(Error::argument("transcribe", "--context and --lora are for language models"));
    }
    // A missing or broken file is told before a model is downloaded.
    let mut file = AudioFile::open(&args.audio)?;
    args.model.run.apply_threads();
    let files = files(&args.model.model)?;
    let start = default_clock();
    let bar = byte_bar(0, "load");
    let load = TranscriberOptions { quantize: args.quantize, ..TranscriberOptions::default() };
    let transcriber = Transcriber::open(&files, &args.model.run.device()?, &load, &mut |p| {
        bar.set_length(p.total_bytes);
        bar.set_position(p.loaded_bytes);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let transcriber = transcriber?;
    let loaded = default_clock();
    let mut transcription = transcriber.start(&options)?;
    let bar = seconds_bar(file.seconds());
    let _catch = Catch::begin();
    let mut samples = Vec::new();
    loop {
        if interrupt::asked() {
            return Err(Error::Aborted);
        }
        match pollster::block_on(transcription.step())? {
            TranscribeStep::NeedAudio => {
                samples.clear();
                match file.next(&mut samples)? {
                    true => transcription.push(&samples)?,
                    false => transcription.finish(),
                }
            }
            TranscribeStep::Working { position, .. } => bar.set_position(position as u64),
            TranscribeStep::Partial(_) => {}
            TranscribeStep::Segment(segment) => bar.suspend(|| print(&writer.segment(&segment)))?,
            TranscribeStep::Done(stats) => {
                bar.finish_and_clear();
                print(&writer.finish(transcription.language().unwrap_or_default(), stats.audio_seconds))?;
                if args.stats {
                    let (load, run) = (loaded - start, default_clock() - loaded);
                    let factor = run / 1e3 / stats.audio_seconds;
                    let all =
                        serde_json::json!({ "loadMs": load, "runMs": run, "realTimeFactor": factor, "stats": stats });
                    eprintln!("{all}");
                }
                return Ok(());
            }
        }
    }
}

fn options(args: &TranscribeArgs) -> TranscribeOptions {
    TranscribeOptions {
        language: args.language.clone(),
        task: if args.task == "translate" { Task::Translate } else { Task::Transcribe },
        timestamps: match args.timestamps.as_str() {
            "none" => Timestamps::None,
            "word" => Timestamps::Word,
            _ => Timestamps::Segment,
        },
        temperature: args.temperature.clone(),
        beam_size: args.beam_size,
        hallucination_silence_threshold: args.hallucination_silence_threshold,
        condition_on_previous_text: !args.no_context,
        initial_prompt: args.initial_prompt.clone(),
        ..TranscribeOptions::default()
    }
}

/// A progress bar over seconds of sound on standard error; silent when that is no terminal.
fn seconds_bar(total: Option<f64>) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(total.unwrap_or(0.0).ceil() as u64).with_prefix("listen");
    match indicatif::ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} s") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
