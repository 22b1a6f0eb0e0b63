//! `votive quantize`: the weights of a GGUF file in another format.

use super::{
    interrupt::{self, Catch},
    output::byte_bar,
};
use clap::Args;
use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use votive::{
    DType, Error, Result,
    format::{Checkpoint, FileSource, Metadata, TensorInfo, TensorSpec, Value, checkpoint, gguf},
    quant,
};

/// Writes a GGUF file with its weights quantized to another type.
#[derive(Args)]
#[command(after_help = "\
Matrices take the type asked for; vectors (norms, biases) stay f32. The output head, and the embedding where it is the
head, take Q6_K for the K types and Q8_0 for the 32-element types below Q8_0. A matrix whose rows are no multiple of 256
takes a 32-element type instead of a K type: Q2_K, Q3_K -> Q4_0, Q4_K -> Q5_0, Q5_K -> Q5_1, Q6_K -> Q8_0.
Start from F16 or F32 files: quantizing what is quantized already loses quality twice.

Examples:
  votive quantize model.F16.gguf model.Q4_K.gguf --type Q4_K
  votive quantize model.Q8_0.gguf model.F16.gguf --type F16")]
pub struct QuantizeArgs {
    /// GGUF file to read; give every part of a split model, and then OUT.
    #[arg(required = true)]
    input: Vec<PathBuf>,
    /// GGUF file to write.
    output: PathBuf,
    /// F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K.
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    dtype: DType,
    /// Replace OUT if it exists.
    #[arg(long)]
    force: bool,
    /// Threads; as many as the machine has processors if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

pub fn parse_type(name: &str) -> std::result::Result<DType, String> {
    DType::from_name(name)
        .ok()
        .filter(|&d| file_type(d).is_some())
        .ok_or_else(|| "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K".to_owned())
}

/// `general.file_type` of files mostly of this type (for the K types, of the kind without mixtures), as ggml numbers
/// them; `None` for types that weights are not stored in.
fn file_type(dtype: DType) -> Option<u32> {
    Some(match dtype {
        DType::F32 => 0,
        DType::F16 => 1,
        DType::BF16 => 32,
        DType::Q4_0 => 2,
        DType::Q4_1 => 3,
        DType::Q8_0 => 7,
        DType::Q5_0 => 8,
        DType::Q5_1 => 9,
        DType::Q2_K => 10,
        DType::Q3_K => 11,
        DType::Q4_K => 14,
        DType::Q5_K => 16,
        DType::Q6_K => 18,
        _ => return None,
    })
}

/// Runs the command.
pub fn run(args: &QuantizeArgs) -> Result<()> {
    let mut sources: Vec<Box<dyn votive::format::ByteSource>> = Vec::new();
    for path in &args.input {
        sources.push(Box::new(FileSource::open(path)?));
        if same_file(path, &args.output) {
            return Err(Error::argument("quantize", format!("{} is both read and written", path.display())));
        }
    }
    if args.output.exists() && !args.force {
        let message = format!("{} exists; replace it with --force", args.output.display());
        return Err(Error::argument("quantize", message));
    }
    let checkpoint = pollster::block_on(Checkpoint::open(sources))?;
    let Some(metadata) = checkpoint.metadata() else {
        return Err(Error::Unsupported(format!(
            "quantize reads GGUF files, and {} holds {:?}; convert it to GGUF first",
            args.input[0].display(),
            checkpoint::Kind::Safetensors
        )));
    };
    if let Some(t) = checkpoint.unsupported().first() {
        return Err(Error::weight(&t.name, format!("is stored as {}, which cannot be read", t.dtype)));
    }
    let tied = checkpoint.info("output.weight").is_none();
    let specs: Vec<TensorSpec> = checkpoint
        .tensors()
        .map(|t| TensorSpec { name: t.name.clone(), dtype: target(t, args.dtype, tied), shape: t.shape.clone() })
        .collect();

    let mut metadata = metadata.clone();
    set_type(&mut metadata, args.dtype);
    let threads = args.threads.map(usize::from).or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let _catch = Catch::begin();
    write_whole(&args.output, |file, path| {
        let mut out = gguf::writer(BufWriter::new(file), path, &metadata, &specs)?;
        let bar = byte_bar(checkpoint.total_bytes(), "quantize");
        for (info, spec) in checkpoint.tensors().zip(&specs) {
            if interrupt::asked() {
                return Err(Error::Aborted);
            }
            bar.set_message(info.name.clone());
            let bytes = pollster::block_on(checkpoint.read(&info.name))?;
            if spec.dtype == info.dtype {
                out.write(&info.name, bytes.bytes())?;
            } else {
                out.write(&info.name, &convert(bytes.bytes(), info, spec.dtype, threads.unwrap_or(1))?)?;
            }
            bar.inc(info.bytes as u64);
        }
        bar.finish_and_clear();
        out.finish()?.into_inner().map_err(|e| Error::Io { path: path.to_owned(), source: e.into_error() })
    })?;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
    let before: u64 = args.input.iter().map(|p| size(p)).sum();
    eprintln!(
        "{}: {}, was {}",
        args.output.display(),
        super::output::size(size(&args.output)),
        super::output::size(before)
    );
    Ok(())
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn set_type(metadata: &mut Metadata, dtype: DType) {
    // The parts of a split file become one.
    metadata.0.retain(|key, _| !key.starts_with("split."));
    if let Some(id) = file_type(dtype) {
        metadata.0.insert("general.file_type".into(), Value::U32(id));
    }
    metadata.0.insert("general.quantization_version".into(), Value::U32(2));
}

/// The type a tensor is stored in when `wanted` is asked for; see the help text above.
pub fn target(info: &TensorInfo, wanted: DType, tied: bool) -> DType {
    let is_weight = info.dtype.is_float() || info.dtype.is_quantized();
    if !is_weight {
        return info.dtype;
    }
    // Norms and biases cost next to nothing and hurt most.
    if info.shape.rank() < 2 || info.name.contains("_norm") || info.name.contains("ffn_gate_inp") {
        return DType::F32;
    }
    let is_head = info.name == "output.weight" || (tied && info.name == "token_embd.weight");
    let wanted = match wanted {
        DType::Q2_K | DType::Q3_K | DType::Q4_K | DType::Q5_K if is_head => DType::Q6_K,
        DType::Q4_0 | DType::Q4_1 | DType::Q5_0 | DType::Q5_1 if is_head => DType::Q8_0,
        other => other,
    };
    let row = info.shape.dims().last().copied().unwrap_or(1);
    let fits = |d: DType| row.is_multiple_of(d.block_len());
    let fallback = match wanted {
        DType::Q2_K | DType::Q3_K => DType::Q4_0,
        DType::Q4_K => DType::Q5_0,
        DType::Q5_K => DType::Q5_1,
        DType::Q6_K => DType::Q8_0,
        other => other,
    };
    [wanted, fallback].into_iter().find(|&d| fits(d)).unwrap_or(DType::F16)
}

/// Converts whole rows, a batch at a time on each thread, so that only the result is held as a whole.
fn convert(bytes: &[u8], info: &TensorInfo, to: DType, threads: usize) -> Result<Vec<u8>> {
    let row = info.shape.dims().last().copied().unwrap_or(1).max(1);
    let rows = info.shape.elements() / row;
    let too_big = || Error::weight(&info.name, format!("shape {} does not fit {to}", info.shape));
    let (from_row, to_row) = (info.dtype.bytes_for(row).ok_or_else(too_big)?, to.bytes_for(row).ok_or_else(too_big)?);
    if rows == 0 {
        return Ok(Vec::new());
    }
    let mut out = vec![0u8; rows * to_row];
    let batch = (1usize << 20).div_ceil(row);
    let jobs: Vec<_> = bytes.chunks(batch * from_row).zip(out.chunks_mut(batch * to_row)).collect();
    let next = AtomicUsize::new(0);
    let jobs: Vec<_> = jobs.into_iter().map(|job| std::sync::Mutex::new(Some(job))).collect();
    let work = || -> Result<()> {
        let mut values = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Each job is taken once, by index, so that the lock is never contended nor poisoned.
            let Some((from, into)) = job.lock().ok().and_then(|mut job| job.take()) else { continue };
            values.resize(from.len() / from_row * row, 0.0);
            quant::dequantize(info.dtype, from, &mut values)?;
            quant::quantize(to, &values, into)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.min(jobs.len())).map(|_| scope.spawn(work)).collect();
        let mut result = work();
        for worker in workers {
            result = result.and(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        result
    })?;
    drop(jobs);
    Ok(out)
}

/// Writes a file under a temporary name and gives it its own when it is whole; a failure leaves nothing behind.
fn write_whole(path: &Path, write: impl FnOnce(File, &str) -> Result<File>) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let io = |source| Error::Io { path: path.display().to_string(), source };
    let result = File::create(&part)
        .map_err(io)
        .and_then(|file| write(file, &path.display().to_string()))
        .and_then(|file| file.sync_all().map_err(io))
        .and_then(|()| std::fs::rename(&part, path).map_err(io));
    if result.is_err() {
        // The error that matters is the first one; the part may not even exist.
        let _ = std::fs::remove_file(&part);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, dims: &[usize]) -> TensorInfo {
        TensorInfo {
            name: name.into(),
            dtype: DType::F16,
            shape: dims.into(),
            offset: 0,
            bytes: 0,
            source: 0,
            encoding: None,
        }
    }

    #[test]
    fn types_follow_the_rules() {
        let to = |name: &str, dims: &[usize], wanted| target(&info(name, dims), wanted, true);
        assert_eq!(to("blk.0.attn_q.weight", &[512, 512], DType::Q4_K), DType::Q4_K);
        assert_eq!(to("blk.0.attn_q.weight", &[512, 576], DType::Q4_K), DType::Q5_0);
        assert_eq!(to("blk.0.attn_q.weight", &[512, 576], DType::Q2_K), DType::Q4_0);
        assert_eq!(to("blk.0.attn_q.weight", &[512, 33], DType::Q4_0), DType::F16);
        assert_eq!(to("blk.0.attn_norm.weight", &[512], DType::Q4_K), DType::F32);
        assert_eq!(to("token_embd.weight", &[1000, 512], DType::Q4_K), DType::Q6_K);
        assert_eq!(to("token_embd.weight", &[1000, 576], DType::Q4_K), DType::Q8_0);
        assert_eq!(to("token_embd.weight", &[1000, 576], DType::Q4_1), DType::Q8_0);
        assert_eq!(target(&info("token_embd.weight", &[1000, 512]), DType::Q4_K, false), DType::Q4_K);
        assert_eq!(to("token_embd.weight", &[1000, 576], DType::F16), DType::F16);
    }

    #[test]
    fn conversion_on_several_threads_is_that_on_one() {
        let values: Vec<f32> = (0..3_000_000 / 32 * 32).map(|i| ((i * 37) % 1001) as f32 / 500.0 - 1.0).collect();
        let mut info = info("w", &[values.len() / 32, 32]);
        info.dtype = DType::F32;
        let mut whole = vec![0; DType::Q4_0.bytes_for(values.len()).unwrap_or(0)];
        quant::quantize(DType::Q4_0, &values, &mut whole).unwrap();
        for threads in [1, 3] {
            let parts = convert(bytemuck::cast_slice(&values), &info, DType::Q4_0, threads).unwrap();
            assert!(parts == whole, "{threads} threads");
        }
    }
}
