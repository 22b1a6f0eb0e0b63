//! `votive bench`: how fast a model runs on this machine.

use super::{
    interrupt::{self, Catch},
    model::ModelArgs,
    output::{print, print_json, size},
};
use clap::Args;
use serde_json::{Value, json};
use votive::{
    Error, Result,
    backend::cpu::pool,
    task::{GenerateOptions, GenerationStats, Prompt, Step, TextGenerator, default_clock},
};

/// Lengths of the prompts measured.
const PREFILL: [usize; 2] = [128, 512];
/// Length of the prompt before decoding is measured.
const DECODE_PROMPT: usize = 16;

/// Measures loading, prefill at 128 and 512 tokens, and decoding: medians of several runs, after one that is not counted.
#[derive(Args)]
#[command(after_help = "\
Examples:
  votive bench --model smollm2.gguf
  votive bench --model smollm2.gguf --threads 1 --json

Prompts are arbitrary token ids, the same in each run. Decoding goes on after a prompt of 16 tokens, greedily; its first
token counts to the prompt. Peak memory is that of the process, mapped weights included (Linux; null elsewhere).")]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Runs of each measurement.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Tokens to generate when decoding is measured.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..))]
    tokens: u16,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    let _catch = Catch::begin();
    let start = default_clock();
    let model = args.model.load()?;
    let load_ms = default_clock() - start;
    let context = model.info().context_length;
    let median = |length: usize, tokens: usize, value: fn(&GenerationStats) -> f64| -> Result<Option<f64>> {
        if length + tokens > context {
            return Ok(None);
        }
        let mut values = Vec::new();
        for _ in 0..=args.runs {
            values.push(value(&measure(&model, length, tokens)?));
        }
        let mut values = values.split_off(1);
        values.sort_by(f64::total_cmp);
        Ok(values.get(values.len() / 2).copied())
    };
    let mut prefill = serde_json::Map::new();
    for length in PREFILL {
        let speed = median(length, 1, GenerationStats::prefill_tokens_per_second)?;
        prefill.insert(length.to_string(), json!(speed));
    }
    let decode = median(DECODE_PROMPT, args.tokens.into(), GenerationStats::decode_tokens_per_second)?;
    let costs = costs(&model, args.tokens.into())?;
    let peak = peak_memory();
    let info = model.info();
    if args.json {
        return print_json(&json!({
            "model": args.model.model, "version": env!("CARGO_PKG_VERSION"), "architecture": info.architecture,
            "dtype": info.dtype, "parameters": info.parameters, "weightBytes": info.weight_bytes,
            "threads": pool::threads(), "runs": args.runs, "loadMs": load_ms,
            "prefillTokensPerSecond": prefill, "decodeTokensPerSecond": decode, "decodeTokens": args.tokens,
            "peakMemoryBytes": peak, "device": model.device().to_string(), "perToken": costs,
        }));
    }
    let speed = |v: &Value| v.as_f64().map_or("context too short".to_owned(), |v| format!("{v:.1} tokens/s"));
    let mut text = format!("{} {}, {} of weights\n", info.architecture, info.dtype, size(info.weight_bytes));
    text += &format!("load          {load_ms:.0} ms\n");
    for (length, value) in &prefill {
        text += &format!("prefill {length:5} {}\n", speed(value));
    }
    text += &format!("decode        {}\n", speed(&json!(decode)));
    for (what, count) in costs.as_object().into_iter().flatten() {
        match count.as_object() {
            Some(kernels) => {
                for (kernel, time) in kernels {
                    text += &format!("a token       {:.1} {what} {kernel}\n", time.as_f64().unwrap_or_default());
                }
            }
            None => text += &format!("a token       {count} {what}\n"),
        }
    }
    if let Some(peak) = peak {
        text += &format!("peak memory   {}\n", size(peak));
    }
    print(&text)
}

/// What a GPU does for each decoded token: the difference of a long answer and a short one. Null on other devices.
#[cfg(feature = "webgpu")]
fn costs(model: &TextGenerator, tokens: usize) -> Result<Value> {
    let Some(adapter) = model.device().adapter() else { return Ok(Value::Null) };
    let counted = |tokens: usize| -> Result<_> {
        let before = model.device().stats().unwrap_or_default();
        measure(model, DECODE_PROMPT, tokens)?;
        Ok(model.device().stats().unwrap_or_default() - before)
    };
    counted(tokens)?;
    let (short, long) = (counted(1)?, counted(tokens)?);
    let timed = |tokens: usize| -> Result<_> {
        if !model.device().begin_timing()? {
            return Ok(Vec::new());
        }
        measure(model, DECODE_PROMPT, tokens)?;
        pollster::block_on(model.device().end_timing())
    };
    let (brief, lengthy) = (timed(1)?, timed(tokens)?);
    let mut kernels = serde_json::Map::new();
    for all in lengthy {
        let prompt = brief.iter().find(|time| time.kernel == all.kernel);
        let (dispatches, microseconds) = prompt.map_or((0, 0.0), |time| (time.dispatches, time.microseconds));
        // What ran no more often is the prompt's alone.
        if all.dispatches > dispatches {
            let time = (all.microseconds - microseconds).max(0.0) / (tokens - 1) as f64;
            kernels.insert(all.kernel.into(), time.into());
        }
    }
    let each = |long: u64, short: u64| (long as f64 - short as f64) / (tokens - 1) as f64;
    Ok(json!({
        "adapter": adapter.name, "driver": adapter.driver,
        "dispatches": each(long.dispatches, short.dispatches), "submits": each(long.submits, short.submits),
        "buffers": each(long.buffers, short.buffers), "bind groups": each(long.bind_groups, short.bind_groups),
        "pipelines": each(long.pipelines, short.pipelines), "uploads": each(long.uploads, short.uploads),
        "reads": each(long.reads, short.reads),
        "µs of encoding": each(long.encode_microseconds, short.encode_microseconds),
        "µs in": kernels,
        "bytes of weights": each(long.weight_bytes, short.weight_bytes),
    }))
}

#[cfg(not(feature = "webgpu"))]
fn costs(_: &TextGenerator, _: usize) -> Result<Value> {
    Ok(Value::Null)
}

/// One answer of `tokens` tokens to a prompt of `length` tokens, nothing known before.
fn measure(model: &TextGenerator, length: usize, tokens: usize) -> Result<GenerationStats> {
    model.reset_cache()?;
    let vocabulary = model.info().vocab_size as u64;
    // A fixed walk through the vocabulary (Knuth's multiplicative hash): ordinary and rare tokens alike.
    let ids = (1..=length as u64).map(|i| ((i * 2_654_435_761) % vocabulary) as u32).collect();
    let options = GenerateOptions { max_tokens: Some(tokens), ignore_eos: true, ..GenerateOptions::default() };
    let mut stats = None;
    for step in model.generate(Prompt::Ids(ids), &options)? {
        if interrupt::asked() {
            return Err(Error::Aborted);
        }
        if let Step::Done { stats: all, .. } = step? {
            stats = Some(all);
        }
    }
    stats.ok_or_else(|| Error::argument("bench", "the generation ended without a result"))
}

/// The most memory that this process has had resident, in bytes; known on Linux only.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
