//! Writing safetensors files.

use super::{DTYPES, METADATA_KEY};
use crate::{
    error::{Error, Result},
    format::{TensorSpec, TensorWriter},
};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use std::io::{Seek, Write};

/// Where the data begins is a multiple of this, so that a mapped file's tensors can be used in place.
const ALIGNMENT: usize = 64;

/// Begins a safetensors file: writes its header to `out` (an empty file, called `file` in messages). The tensors'
/// bytes are then given to the [`TensorWriter`].
///
/// The same tensors and `metadata` give the same bytes, whatever their order: widest elements come first, so that
/// each tensor is aligned for its type, and names are sorted within.
pub fn writer<W: Write + Seek>(
    out: W,
    file: &str,
    metadata: &[(String, String)],
    tensors: &[TensorSpec],
) -> Result<TensorWriter<W>> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        let mut pairs: Vec<_> = metadata.to_vec();
        pairs.sort();
        let pairs: Map<String, Value> = pairs.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
        header.insert(METADATA_KEY.into(), Value::Object(pairs));
    }
    let mut order: Vec<&TensorSpec> = tensors.iter().collect();
    order.sort_by(|a, b| b.dtype.block_bytes().cmp(&a.dtype.block_bytes()).then_with(|| a.name.cmp(&b.name)));
    let mut places = IndexMap::with_capacity(order.len());
    let mut offset = 0u64;
    for tensor in order {
        let Some((dtype, _)) = DTYPES.iter().find(|d| d.1 == tensor.dtype) else {
            return Err(Error::weight(&tensor.name, format!("safetensors cannot hold dtype {}", tensor.dtype)));
        };
        let bytes = tensor.bytes()?;
        let entry = json!({"dtype": dtype, "shape": tensor.shape.dims(), "data_offsets": [offset, offset + bytes]});
        if tensor.name == METADATA_KEY || header.insert(tensor.name.clone(), entry).is_some() {
            return Err(Error::weight(&tensor.name, format!("cannot be written to {file}: the name is taken")));
        }
        places.insert(tensor.name.clone(), (offset, bytes));
        offset += bytes;
    }
    let mut json = Value::Object(header).to_string().into_bytes();
    json.resize((8 + json.len()).next_multiple_of(ALIGNMENT) - 8, b' ');
    let mut head = (json.len() as u64).to_le_bytes().to_vec();
    head.append(&mut json);
    let data_start = head.len() as u64;
    for place in places.values_mut() {
        place.0 += data_start;
    }
    TensorWriter::start(out, file, &head, places, data_start + offset)
}
