//! Whisper out of CTranslate2's `model.bin` into Hugging Face's layout, as safetensors. Data only: nothing is run.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, bail, ensure};

/// A tensor of half floats: sizes, and elements as bytes.
type Tensor = (Vec<usize>, Vec<u8>);

/// Type numbers of CTranslate2, with the bytes of an element.
const SIZES: [usize; 6] = [4, 1, 2, 4, 2, 2];
const HALF: u8 = 4;

/// Converts the bytes of a `model.bin`.
pub fn convert(model: &[u8], out: &mut impl Write) -> Result<()> {
    write(&rename(read(model)?)?, out)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len).context("the model ends too early")?;
        self.0 = rest;
        Ok(head)
    }
    fn number<const N: usize>(&mut self) -> Result<usize> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(self.take(N)?);
        Ok(usize::try_from(u64::from_le_bytes(bytes))?)
    }
    /// A text behind its length, with a zero at its end.
    fn text(&mut self) -> Result<String> {
        let len = self.number::<2>()?;
        let bytes = self.take(len)?;
        Ok(String::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes).to_vec())?)
    }
}

/// All tensors of half floats by CTranslate2's names; what else is in the file are options.
fn read(model: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let mut cursor = Cursor(model);
    cursor.number::<4>()?;
    let kind = cursor.text()?;
    ensure!(kind == "WhisperSpec", "a model of kind {kind:?} instead of Whisper");
    cursor.number::<4>()?;
    let count = cursor.number::<4>()?;
    let mut tensors = BTreeMap::new();
    for _ in 0..count {
        let name = cursor.text()?;
        let rank = cursor.number::<1>()?;
        let shape = (0..rank).map(|_| cursor.number::<4>()).collect::<Result<Vec<_>>>()?;
        let kind = cursor.number::<1>()? as u8;
        let bytes = cursor.number::<4>()?;
        let data = cursor.take(bytes)?;
        if rank == 0 {
            continue;
        }
        ensure!(kind == HALF, "{name} has elements of type {kind}, not half floats");
        let size = SIZES[usize::from(HALF)];
        ensure!(shape.iter().product::<usize>() * size == bytes, "{name} of shape {shape:?} has {bytes} bytes");
        tensors.insert(name, (shape, data.to_vec()));
    }
    Ok(tensors)
}

/// By Hugging Face's names; projections that CTranslate2 keeps together are taken apart.
fn rename(tensors: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>> {
    let mut out = BTreeMap::new();
    for (name, tensor) in tensors {
        let (place, end) = name.rsplit_once('/').with_context(|| format!("tensor {name:?}"))?;
        let end = match end {
            "gamma" => "weight",
            "beta" => "bias",
            other => other,
        };
        let place = format!("model.{}", place.replace("layer_", "layers/").replace('/', "."));
        let place = place.replace("layers.norm", "layer_norm");
        let replace = |from: &str, to: &str| place.strip_suffix(from).map(|start| format!("{start}{to}"));
        let one = |to: Option<String>| to.map(|to| vec![to]);
        let decoder = place.starts_with("model.decoder");
        let split = |from: &str, parts: &[&str], attention: &str| {
            let start = place.strip_suffix(from)?;
            Some(parts.iter().map(|part| format!("{start}.{attention}.{part}")).collect::<Vec<_>>())
        };
        let places = split(".self_attention.linear_0", &["q_proj", "k_proj", "v_proj"], "self_attn")
            .or_else(|| split(".self_attention.linear_1", &["out_proj"], "self_attn"))
            .or_else(|| split(".attention.linear_0", &["q_proj"], "encoder_attn"))
            .or_else(|| split(".attention.linear_1", &["k_proj", "v_proj"], "encoder_attn"))
            .or_else(|| split(".attention.linear_2", &["out_proj"], "encoder_attn"))
            .or_else(|| one(replace(".self_attention.layer_norm", ".self_attn_layer_norm")))
            .or_else(|| one(replace(".attention.layer_norm", ".encoder_attn_layer_norm").filter(|_| decoder)))
            .or_else(|| one(replace(".ffn.layer_norm", ".final_layer_norm")))
            .or_else(|| one(replace(".ffn.linear_0", ".fc1")))
            .or_else(|| one(replace(".ffn.linear_1", ".fc2")))
            .or_else(|| one(replace(".position_encodings", ".embed_positions")))
            .or_else(|| one(replace(".embeddings", ".embed_tokens")))
            .unwrap_or_else(|| vec![place.clone()]);
        let end = if end == "encodings" { "weight" } else { end };
        let (mut shape, data) = tensor;
        shape[0] /= places.len();
        for (place, data) in places.iter().zip(data.chunks(data.len() / places.len())) {
            // Whisper's keys have no bias; CTranslate2 fills in zeros.
            if place.ends_with("k_proj") && end == "bias" {
                ensure!(data.iter().all(|&b| b == 0), "{place} has a bias");
                continue;
            }
            if out.insert(format!("{place}.{end}"), (shape.clone(), data.to_vec())).is_some() {
                bail!("{place}.{end} is there twice");
            }
        }
    }
    Ok(out)
}

/// Writes safetensors, as the Python package does: sorted names, the header filled up with spaces.
fn write(tensors: &BTreeMap<String, Tensor>, out: &mut impl Write) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut at = 0;
    for (name, (shape, data)) in tensors {
        let offsets = [at, at + data.len()];
        header.insert(name.clone(), serde_json::json!({ "dtype": "F16", "shape": shape, "data_offsets": offsets }));
        at += data.len();
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (_, data) in tensors.values() {
        out.write_all(data)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model of one fused projection, written as CTranslate2 does.
    #[test]
    fn projections_are_taken_apart() {
        let mut model = 6u32.to_le_bytes().to_vec();
        let text = |model: &mut Vec<u8>, text: &str| {
            model.extend((text.len() as u16 + 1).to_le_bytes());
            model.extend(text.as_bytes());
            model.push(0);
        };
        text(&mut model, "WhisperSpec");
        model.extend(3u32.to_le_bytes());
        model.extend(3u32.to_le_bytes());
        let name = "encoder/layer_0/self_attention/linear_0";
        for (end, shape, bytes) in [("weight", &[3u32, 1][..], [1, 0, 2, 0, 3, 0]), ("bias", &[3], [4, 0, 0, 0, 6, 0])]
        {
            text(&mut model, &format!("{name}/{end}"));
            model.push(shape.len() as u8);
            shape.iter().for_each(|d| model.extend(d.to_le_bytes()));
            model.push(HALF);
            model.extend(6u32.to_le_bytes());
            model.extend(bytes);
        }
        text(&mut model, "encoder/num_heads");
        model.extend([0, 1]);
        model.extend(1u32.to_le_bytes());
        model.push(6);
        let tensors = rename(read(&model).unwrap()).unwrap();
        let found: Vec<_> =
            tensors.iter().map(|(n, t)| (n.trim_start_matches("model.encoder.layers.0.self_attn."), t.1[0])).collect();
        assert_eq!(
            found,
            [("k_proj.weight", 2), ("q_proj.bias", 4), ("q_proj.weight", 1), ("v_proj.bias", 6), ("v_proj.weight", 3)]
        );
        assert!(convert(&model[..40], &mut Vec::new()).is_err());
    }
}
