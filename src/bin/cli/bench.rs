//! `votive bench`: how fast a model runs on this machine.

use super::{
    interrupt::{self, Catch},
    model::{RunArgs, files, sources},
    output::{print, print_json, size},
    quantize::parse_type,
    random::{RandomModel, Shape},
};
use clap::Args;
use serde_json::{Value, json};
#[cfg(feature = "webgpu")]
use votive::backend::webgpu::{Tiles, WebGpuOptions};
use votive::{
    DType, Device, Error, Result,
    backend::cpu::pool,
    format::{ByteSource, Checkpoint},
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
  votive bench --random 1b --device webgpu

Prompts are arbitrary token ids, the same in each run. Decoding goes on after a prompt of 16 tokens, greedily; its first
token counts to the prompt. Peak memory is that of the process, mapped weights included (Linux; null elsewhere).

On a GPU, what it does at most is measured first: bytes read from memory, and operations of f32 and of packed products of
8-bit integers in registers. Decoding is then given as a fraction of the first (weights read), prefill of the others (two
operations for each weight of the layers and token).")]
pub struct BenchArgs {
    /// A .gguf, .safetensors or PyTorch .bin file, a folder, or a model of the hub: owner/name[@revision][:file or pattern].
    #[arg(short, long, value_name = "PATH_OR_HUB_ID", required_unless_present = "random", conflicts_with = "random")]
    model: Option<String>,
    /// Instead of a model, random weights in the shape of SmolLM2-135M, Llama 3.2 1B or Llama 2 7B, made as they are loaded.
    #[arg(long, value_name = "SHAPE", value_enum)]
    random: Option<Shape>,
    /// Types of random weights, measured one after the other; as `votive quantize` has them.
    #[arg(
        long = "type",
        value_name = "TYPES",
        value_delimiter = ',',
        value_parser = parse_type,
        conflicts_with = "model",
        default_values = ["Q4_0", "Q4_K", "Q8_0", "F16"]
    )]
    types: Vec<DType>,
    #[command(flatten)]
    run: RunArgs,
    /// Runs of each measurement.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Tokens to generate when decoding is measured.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..))]
    tokens: u16,
    /// How a GPU multiplies many rows: float, packed or matrices; what the adapter is best at if not given.
    #[cfg(feature = "webgpu")]
    #[arg(long, value_name = "KERNEL", value_parser = parse_tiles)]
    tiles: Option<Tiles>,
    /// Print a JSON object for each model, on a line of its own.
    #[arg(long)]
    json: bool,
}

#[cfg(feature = "webgpu")]
fn parse_tiles(name: &str) -> std::result::Result<Tiles, String> {
    match name {
        "float" => Ok(Tiles::Float),
        "packed" => Ok(Tiles::Packed),
        "matrices" => Ok(Tiles::Matrices),
        _ => Err("there are float, packed and matrices".into()),
    }
}

impl BenchArgs {
    fn device(&self) -> Result<Device> {
        let device = self.run.device()?;
        #[cfg(feature = "webgpu")]
        if self.tiles.is_some() && !device.is_cpu() {
            return pollster::block_on(Device::webgpu_with(WebGpuOptions { tiles: self.tiles }));
        }
        Ok(device)
    }
}

type Sources = Vec<Box<dyn ByteSource>>;

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<()> {
    let _catch = Catch::begin();
    let device = args.device()?;
    let peaks = peaks(&device)?;
    if !args.json && !peaks.is_null() {
        print(&peaks_text(&peaks))?;
    }
    if let Some(shape) = args.random {
        for &dtype in &args.types {
            let name = RandomModel::new(shape, dtype)?.name().to_owned();
            bench(args, &device, &name, &|| Ok(vec![Box::new(RandomModel::new(shape, dtype)?)]), &peaks)?;
        }
    }
    if let Some(model) = &args.model {
        let files = files(model)?;
        bench(args, &device, model, &|| sources(&files), &peaks)?;
    }
    Ok(())
}

/// Measures a model, and prints what was found.
fn bench(
    args: &BenchArgs,
    device: &Device,
    name: &str,
    open: &dyn Fn() -> Result<Sources>,
    peaks: &Value,
) -> Result<()> {
    let parameters = layer_parameters(&pollster::block_on(Checkpoint::open(open()?))?);
    let start = default_clock();
    let model = args.run.load(open()?, device)?;
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
    // Of what the GPU does at most: null where one of the two is not known.
    let of = |peak: &str, done: Option<f64>| json!(peaks[peak].as_f64().zip(done).map(|(peak, done)| done / peak));
    let read = decode.zip(costs["bytes of weights"].as_f64()).map(|(speed, bytes)| speed * bytes);
    let of_memory = of("memoryBytesPerSecond", read);
    let computed = |peak: &str| -> serde_json::Map<_, _> {
        let done = |speed: &Value| speed.as_f64().map(|speed| 2.0 * parameters as f64 * speed);
        prefill.iter().map(|(length, speed)| (length.clone(), of(peak, done(speed)))).collect()
    };
    let (of_float, of_packed) = (computed("floatOperationsPerSecond"), computed("packedOperationsPerSecond"));
    let memory = peak_memory();
    let info = model.info();
    if args.json {
        return print_json(&json!({
            "model": name, "version": env!("CARGO_PKG_VERSION"), "architecture": info.architecture,
            "dtype": info.dtype, "parameters": info.parameters, "layerParameters": parameters,
            "weightBytes": info.weight_bytes,
            "threads": pool::threads(), "runs": args.runs, "loadMs": load_ms,
            "prefillTokensPerSecond": prefill, "decodeTokensPerSecond": decode, "decodeTokens": args.tokens,
            "peaks": peaks, "prefillOfFloatPeak": of_float, "prefillOfPackedPeak": of_packed,
            "decodeOfMemoryPeak": of_memory,
            "peakMemoryBytes": memory, "device": model.device().to_string(), "perToken": costs,
        }));
    }
    let speed = |v: &Value| v.as_f64().map_or("context too short".to_owned(), |v| format!("{v:.1} tokens/s"));
    let share = |v: &Value, of: &str| v.as_f64().map_or(String::new(), |v| format!(", {:.1} % of {of}", 100.0 * v));
    let mut text = format!("{name}: {} {}, {} of weights\n", info.architecture, info.dtype, size(info.weight_bytes));
    text += &format!("load          {load_ms:.0} ms\n");
    for (length, value) in &prefill {
        let (float, packed) = (share(&of_float[length], "f32"), share(&of_packed[length], "packed products"));
        text += &format!("prefill {length:5} {}{float}{packed}\n", speed(value));
    }
    text += &format!("decode        {}{}\n", speed(&json!(decode)), share(&of_memory, "memory"));
    // Which GPU it is was said before.
    let named = |what: &str| ["adapter", "driver"].contains(&what);
    for (what, count) in costs.as_object().into_iter().flatten().filter(|(what, _)| !named(what)) {
        match count.as_object() {
            Some(kernels) => {
                for (kernel, time) in kernels {
                    text += &format!("a token       {:.1} {what} {kernel}\n", time.as_f64().unwrap_or_default());
                }
            }
            None => text += &format!("a token       {count} {what}\n"),
        }
    }
    if let Some(memory) = memory {
        text += &format!("peak memory   {}\n", size(memory));
    }
    print(&text)
}

/// Elements of the matrices that every token of a prompt is multiplied with: those of the layers. (The head is needed for the
/// last one only.)
fn layer_parameters(checkpoint: &Checkpoint) -> u64 {
    let of_layer = |name: &str| name.split('.').any(|part| part.parse::<usize>().is_ok());
    let matrices = checkpoint.tensors().filter(|info| info.shape.rank() == 2 && of_layer(&info.name));
    matrices.map(|info| info.shape.elements() as u64).sum()
}

/// What a GPU does at most in a second. Null on other devices.
#[cfg(feature = "webgpu")]
fn peaks(device: &Device) -> Result<Value> {
    let Some(adapter) = device.adapter() else { return Ok(Value::Null) };
    let peaks = pollster::block_on(device.measure_peaks())?;
    let mut all = json!({ "adapter": adapter.name, "driver": adapter.driver });
    if let (Some(all), Value::Object(peaks)) = (all.as_object_mut(), json!(peaks)) {
        all.extend(peaks);
    }
    Ok(all)
}

#[cfg(not(feature = "webgpu"))]
fn peaks(_: &Device) -> Result<Value> {
    Ok(Value::Null)
}

fn peaks_text(peaks: &Value) -> String {
    let word = |name: &str| peaks[name].as_str().unwrap_or_default().to_owned();
    let mut text = format!("{} ({}), at most:\n", word("adapter"), word("driver"));
    for (name, what, unit) in [
        ("memoryBytesPerSecond", "memory", "GB/s"),
        ("floatOperationsPerSecond", "f32", "GFLOP/s"),
        ("packedOperationsPerSecond", "packed", "Gop/s, products of 8-bit integers"),
    ] {
        if let Some(peak) = peaks[name].as_f64() {
            text += &format!("{what:13} {:.1} {unit}\n", peak / 1e9);
        }
    }
    text
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
