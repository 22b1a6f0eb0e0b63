//! Writing GGUF version 3.

use super::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, VERSION, id};
use crate::{
    error::{Error, Result},
    format::{Metadata, TensorSpec, TensorWriter, Value},
};
use indexmap::IndexMap;
use std::io::{Seek, Write};

/// Begins a GGUF file: writes `metadata` and the table of `tensors` to `out` (an empty file, called `file` in
/// messages). The tensors' bytes are then given to the [`TensorWriter`].
///
/// The alignment is [`DEFAULT_ALIGNMENT`], or what `metadata` says under [`ALIGNMENT_KEY`].
pub fn writer<W: Write + Seek>(
    out: W,
    file: &str,
    metadata: &Metadata,
    tensors: &[TensorSpec],
) -> Result<TensorWriter<W>> {
    let alignment = match metadata.uint(ALIGNMENT_KEY) {
        None => DEFAULT_ALIGNMENT,
        Some(a) if a.is_power_of_two() => a,
        Some(a) => return Err(Error::format(file, format!("alignment {a} is no power of two"))),
    };
    let mut head = Vec::new();
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend((metadata.0.len() as u64).to_le_bytes());
    for (key, value) in &metadata.0 {
        put_string(&mut head, key);
        head.extend(type_of(value).to_le_bytes());
        put_value(&mut head, value).map_err(|m| Error::format(file, format!("key {key:?}: {m}")))?;
    }
    let mut places = IndexMap::with_capacity(tensors.len());
    let mut offset = 0u64;
    for tensor in tensors {
        let dims = tensor.shape.dims();
        let Some(kind) = tensor.dtype.gguf_id() else {
            return Err(Error::weight(&tensor.name, format!("GGUF files cannot hold dtype {}", tensor.dtype)));
        };
        if dims.len() > 4 {
            return Err(Error::weight(&tensor.name, format!("GGUF files hold at most 4 dimensions, not {dims:?}")));
        }
        put_string(&mut head, &tensor.name);
        head.extend((dims.len() as u32).to_le_bytes());
        for &dim in dims.iter().rev() {
            head.extend((dim as u64).to_le_bytes());
        }
        head.extend(kind.to_le_bytes());
        head.extend(offset.to_le_bytes());
        let bytes = tensor.bytes()?;
        if places.insert(tensor.name.clone(), (offset, bytes)).is_some() {
            return Err(Error::weight(&tensor.name, format!("appears twice in {file}")));
        }
        offset = (offset + bytes).next_multiple_of(alignment);
    }
    let data_start = (head.len() as u64).next_multiple_of(alignment);
    head.resize(data_start as usize, 0);
    for place in places.values_mut() {
        place.0 += data_start;
    }
    TensorWriter::start(out, file, &head, places, data_start + offset)
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn type_of(value: &Value) -> u32 {
    match value {
        Value::U8(_) => id::U8,
        Value::I8(_) => id::I8,
        Value::U16(_) => id::U16,
        Value::I16(_) => id::I16,
        Value::U32(_) => id::U32,
        Value::I32(_) => id::I32,
        Value::U64(_) => id::U64,
        Value::I64(_) => id::I64,
        Value::F32(_) => id::F32,
        Value::F64(_) => id::F64,
        Value::Bool(_) => id::BOOL,
        Value::String(_) => id::STRING,
        _ => id::ARRAY,
    }
}

/// The value's bytes, without its type.
fn put_value(out: &mut Vec<u8>, value: &Value) -> Result<(), String> {
    match value {
        Value::U8(v) => out.push(*v),
        Value::I8(v) => out.push(*v as u8),
        Value::U16(v) => out.extend(v.to_le_bytes()),
        Value::I16(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
        Value::Bool(v) => out.push((*v).into()),
        Value::String(v) => put_string(out, v),
        Value::Strings(v) => {
            put_head(out, id::STRING, v.len());
            v.iter().for_each(|s| put_string(out, s));
        }
        Value::Bytes(v) => {
            put_head(out, id::U8, v.len());
            out.extend(v);
        }
        Value::Ints(v) => put_ints(out, v),
        Value::F32s(v) => {
            put_head(out, id::F32, v.len());
            v.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
        Value::F64s(v) => {
            put_head(out, id::F64, v.len());
            v.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
        Value::Bools(v) => {
            put_head(out, id::BOOL, v.len());
            out.extend(v.iter().map(|&b| u8::from(b)));
        }
        Value::Array(v) => {
            put_head(out, id::ARRAY, v.len());
            for inner in v {
                if type_of(inner) != id::ARRAY {
                    return Err("an array of arrays holds a value that is none".into());
                }
                put_value(out, inner)?;
            }
        }
    }
    Ok(())
}

fn put_head(out: &mut Vec<u8>, element: u32, len: usize) {
    out.extend(element.to_le_bytes());
    out.extend((len as u64).to_le_bytes());
}

/// As i32 where all fit, as readers expect of token types and of values per layer; wider otherwise.
fn put_ints(out: &mut Vec<u8>, values: &[i64]) {
    if values.iter().all(|&v| i32::try_from(v).is_ok()) {
        put_head(out, id::I32, values.len());
        values.iter().for_each(|&v| out.extend((v as i32).to_le_bytes()));
    } else {
        put_head(out, id::I64, values.len());
        values.iter().for_each(|&v| out.extend(v.to_le_bytes()));
    }
}
