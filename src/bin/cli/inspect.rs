//! `votive inspect`: what is in a model file.

use super::output::{print, print_json, size};
use clap::Args;
use serde_json::{Map, Value as Json, json};
use std::{fmt::Write, path::PathBuf};
use votive::{
    Error, Result,
    format::{ByteSource, FileSource, Header, Value, read_header},
};

/// Longer metadata arrays (vocabularies) are shown by their length, unless asked for.
const SHORT_ARRAY: usize = 16;

/// Metadata and tensors of a file of weights: GGUF, safetensors, PyTorch (.bin, .pt, .pth), NumPy (.npy, .npz).
#[derive(Args)]
#[command(after_help = "\
Examples:
  votive inspect model.gguf
  votive inspect model.safetensors --json | jq '.tensors[].name'
  votive inspect model.gguf --json --full     # vocabularies too")]
pub struct InspectArgs {
    /// The file; one part of a split model is shown by itself.
    file: PathBuf,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Print long metadata arrays (vocabularies) as a whole.
    #[arg(long)]
    full: bool,
}

/// Runs the command.
pub fn run(args: &InspectArgs) -> Result<()> {
    let source = FileSource::open(&args.file)?;
    let not_weights = || Error::format(source.name(), "neither GGUF, safetensors, PyTorch nor NumPy");
    let (kind, header) = pollster::block_on(read_header(&source))?.ok_or_else(not_weights)?;
    let format = kind.name();
    let name = args.file.display().to_string();
    if args.json {
        return print_json(&to_json(&name, format, source.len(), &header, args.full));
    }
    print(&table(&name, format, source.len(), &header, args.full))
}

fn to_json(name: &str, format: &str, bytes: u64, header: &Header, full: bool) -> Json {
    let metadata: Map<_, _> = header.metadata.0.iter().map(|(k, v)| (k.clone(), value_json(v, full))).collect();
    let tensors: Vec<_> = header
        .tensors
        .iter()
        .map(|t| {
            json!({"name": t.name, "dtype": t.dtype.name(), "shape": t.shape.dims(), "offset": t.offset, "bytes": t.bytes})
        })
        .collect();
    let unsupported: Vec<_> = header
        .unsupported
        .iter()
        .map(|t| json!({"name": t.name, "dtype": t.dtype, "shape": t.shape.dims(), "bytes": t.bytes}))
        .collect();
    json!({
        "file": name, "format": format, "bytes": bytes, "parameters": parameters(header),
        "tensorBytes": tensor_bytes(header), "metadata": metadata, "tensors": tensors, "unsupported": unsupported,
    })
}

fn parameters(header: &Header) -> u64 {
    header.tensors.iter().map(|t| t.shape.elements() as u64).sum()
}

fn tensor_bytes(header: &Header) -> u64 {
    header.tensors.iter().map(|t| t.bytes as u64).sum()
}

fn value_json(value: &Value, full: bool) -> Json {
    if let Some(length) = array_len(value).filter(|&n| n > SHORT_ARRAY && !full) {
        return json!({"length": length});
    }
    match value {
        Value::U8(v) => json!(v),
        Value::I8(v) => json!(v),
        Value::U16(v) => json!(v),
        Value::I16(v) => json!(v),
        Value::U32(v) => json!(v),
        Value::I32(v) => json!(v),
        Value::U64(v) => json!(v),
        Value::I64(v) => json!(v),
        Value::F32(v) => json!(v),
        Value::F64(v) => json!(v),
        Value::Bool(v) => json!(v),
        Value::String(v) => json!(v),
        Value::Strings(v) => json!(v),
        Value::Bytes(v) => json!(v),
        Value::Ints(v) => json!(v),
        Value::F32s(v) => json!(v),
        Value::F64s(v) => json!(v),
        Value::Bools(v) => json!(v),
        Value::Array(v) => v.iter().map(|v| value_json(v, full)).collect(),
    }
}

fn array_len(value: &Value) -> Option<usize> {
    match value {
        Value::Strings(v) => Some(v.len()),
        Value::Bytes(v) => Some(v.len()),
        Value::Ints(v) => Some(v.len()),
        Value::F32s(v) => Some(v.len()),
        Value::F64s(v) => Some(v.len()),
        Value::Bools(v) => Some(v.len()),
        Value::Array(v) => Some(v.len()),
        _ => None,
    }
}

fn table(name: &str, format: &str, bytes: u64, header: &Header, full: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = out.write_fmt(text);
        out.push('\n');
    };
    line(format_args!("{name}: {format}, {}", size(bytes)));
    line(format_args!(
        "{} tensors, {:.1} M parameters, {} of weights\n",
        header.tensors.len() + header.unsupported.len(),
        parameters(header) as f64 / 1e6,
        size(tensor_bytes(header))
    ));
    let width = header.metadata.0.keys().map(String::len).max().unwrap_or(0);
    for (key, value) in &header.metadata.0 {
        let shown = match array_len(value).filter(|&n| n > SHORT_ARRAY && !full) {
            Some(n) => format!("[{n} entries]"),
            None => value_json(value, full).to_string(),
        };
        line(format_args!("{key:width$}  {}", shorten(&shown, if full { usize::MAX } else { 100 })));
    }
    let width = header.tensors.iter().map(|t| t.name.len()).max().unwrap_or(0);
    line(format_args!(""));
    for t in &header.tensors {
        line(format_args!(
            "{:width$}  {:6}  {:16}  {}",
            t.name,
            t.dtype.name(),
            t.shape.to_string(),
            size(t.bytes as u64)
        ));
    }
    for t in &header.unsupported {
        line(format_args!(
            "{:width$}  {:6}  {:16}  {}  (cannot be read)",
            t.name,
            t.dtype,
            t.shape.to_string(),
            size(t.bytes)
        ));
    }
    out
}

/// At most `limit` characters, with an ellipsis where something is left out.
fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
