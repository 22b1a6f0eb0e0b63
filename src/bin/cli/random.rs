//! Models of random weights in the shapes of well-known ones, for measuring: GGUF files whose bytes are made when they are read.

use super::quantize;
use clap::ValueEnum;
use std::{
    collections::{HashMap, hash_map::Entry},
    io::Cursor,
};
use votive::{
    DType, Device, Error, Generator, Result, Tensor,
    backend::{LocalFuture, cpu::Buffer},
    format::{ByteSource, Metadata, TensorInfo, TensorSpec, Value, gguf},
    quant,
};

/// Whose shape a model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// SmolLM2-135M
    #[value(name = "135m")]
    Small,
    /// Llama 3.2 1B
    #[value(name = "1b")]
    Medium,
    /// Llama 2 7B
    #[value(name = "7b")]
    Large,
}

struct Sizes {
    layers: usize,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    ffn: usize,
    vocabulary: usize,
    /// The embedding is the output head too.
    tied: bool,
    rope_base: f32,
}

impl Shape {
    fn sizes(self) -> Sizes {
        let sizes = |[layers, hidden, heads, kv_heads, ffn, vocabulary]: [usize; 6], tied, rope_base| Sizes {
            layers,
            hidden,
            heads,
            kv_heads,
            ffn,
            vocabulary,
            tied,
            rope_base,
        };
        match self {
            Self::Small => sizes([30, 576, 9, 3, 1536, 49_152], true, 1e5),
            Self::Medium => sizes([16, 2048, 32, 8, 8192, 128_256], true, 5e5),
            Self::Large => sizes([32, 4096, 32, 32, 11_008, 32_000], false, 1e4),
        }
    }
}

/// Most tokens of prompt and answer, whatever the shape.
const CONTEXT: u32 = 4096;
/// Blocks of 256 numbers that are made; all weights of a type repeat them. A prime, so that rows begin at different ones.
const BLOCKS: usize = 1021;

/// Where a tensor's bytes are, and of which piece they are repeats.
struct Place {
    start: u64,
    end: u64,
    dtype: DType,
}

/// A GGUF file that is not there: no more of it is in memory than is being read.
pub struct RandomModel {
    name: String,
    header: Vec<u8>,
    /// In the file's order.
    places: Vec<Place>,
    pieces: HashMap<DType, Vec<u8>>,
}

impl RandomModel {
    /// A model of this shape whose weights are of the types that `votive quantize --type` gives them. The same each time.
    pub fn new(shape: Shape, dtype: DType) -> Result<Self> {
        let sizes = shape.sizes();
        let name =
            format!("random {} {dtype}", shape.to_possible_value().map_or(String::new(), |v| v.get_name().into()));
        let specs = tensors(&sizes, dtype);
        let mut header = Cursor::new(Vec::new());
        // Only the header of it is wanted.
        drop(gguf::writer(&mut header, &name, &metadata(&sizes, &name), &specs)?);
        let header = header.into_inner();
        let mut at = header.len() as u64;
        let (mut places, mut pieces) = (Vec::new(), HashMap::new());
        for spec in specs {
            let bytes = spec.dtype.bytes_for(spec.shape.elements()).unwrap_or(0) as u64;
            places.push(Place { start: at, end: at + bytes, dtype: spec.dtype });
            at = (at + bytes).next_multiple_of(gguf::DEFAULT_ALIGNMENT);
            if let Entry::Vacant(missing) = pieces.entry(spec.dtype) {
                missing.insert(piece(spec.dtype, sizes.hidden)?);
            }
        }
        Ok(Self { name, header, places, pieces })
    }

    /// Writes the file's bytes from `at` on.
    fn fill(&self, at: u64, out: &mut [u8]) {
        let end = at + out.len() as u64;
        // The part of `out` that a stretch of the file falls into, and how far into the stretch that is.
        let overlap = |start: u64, stop: u64| {
            let (from, to) = (start.max(at), stop.min(end));
            (from < to).then(|| ((from - at) as usize..(to - at) as usize, from - start))
        };
        if let Some((range, from)) = overlap(0, self.header.len() as u64) {
            out[range.clone()].copy_from_slice(&self.header[from as usize..][..range.len()]);
        }
        let first = self.places.partition_point(|place| place.end <= at);
        for place in self.places[first..].iter().take_while(|place| place.start < end) {
            let (Some((range, from)), Some(piece)) = (overlap(place.start, place.end), self.pieces.get(&place.dtype))
            else {
                continue;
            };
            let mut rest = &mut out[range];
            let mut from = (from % piece.len() as u64) as usize;
            while !rest.is_empty() {
                let len = rest.len().min(piece.len() - from);
                let (now, later) = rest.split_at_mut(len);
                now.copy_from_slice(&piece[from..from + len]);
                (rest, from) = (later, 0);
            }
        }
    }
}

impl ByteSource for RandomModel {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.places.last().map_or(0, |place| place.end)
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>> {
        Box::pin(async move {
            if offset.checked_add(len as u64).is_none_or(|end| end > self.len()) {
                let message = format!("has {} bytes, wanted {len} at {offset}", self.len());
                return Err(Error::Format { file: self.name.clone(), message });
            }
            let mut bytes = Buffer::zeroed(len)?;
            self.fill(offset, bytes.bytes_mut());
            Ok(bytes)
        })
    }
}

fn tensors(sizes: &Sizes, dtype: DType) -> Vec<TensorSpec> {
    let Sizes { hidden, ffn, vocabulary, .. } = *sizes;
    let keys = hidden / sizes.heads * sizes.kv_heads;
    let mut specs = Vec::new();
    let mut add = |name: String, dims: &[usize]| {
        let (of, shape) = (DType::F32, votive::Shape::from(dims));
        let info = TensorInfo { name, dtype: of, shape, offset: 0, bytes: 0, source: 0, encoding: None };
        let dtype = quantize::target(&info, dtype, sizes.tied);
        specs.push(TensorSpec { name: info.name, dtype, shape: info.shape });
    };
    add("token_embd.weight".into(), &[vocabulary, hidden]);
    for layer in 0..sizes.layers {
        let mut of_layer = |name: &str, dims: &[usize]| add(format!("blk.{layer}.{name}.weight"), dims);
        of_layer("attn_norm", &[hidden]);
        of_layer("attn_q", &[hidden, hidden]);
        of_layer("attn_k", &[keys, hidden]);
        of_layer("attn_v", &[keys, hidden]);
        of_layer("attn_output", &[hidden, hidden]);
        of_layer("ffn_norm", &[hidden]);
        of_layer("ffn_gate", &[ffn, hidden]);
        of_layer("ffn_up", &[ffn, hidden]);
        of_layer("ffn_down", &[hidden, ffn]);
    }
    add("output_norm.weight".into(), &[hidden]);
    if !sizes.tied {
        add("output.weight".into(), &[vocabulary, hidden]);
    }
    specs
}

fn metadata(sizes: &Sizes, name: &str) -> Metadata {
    let number = |n: usize| Value::U32(n as u32);
    // As SentencePiece's: unknown, begin, end, a token for each byte, and words that nobody has said.
    let token = |id: usize| match id {
        0 => "<unk>".to_owned(),
        1 => "<s>".to_owned(),
        2 => "</s>".to_owned(),
        3..259 => format!("<0x{:02X}>", id - 3),
        _ => format!("▁w{id}"),
    };
    let kind = |id: usize| match id {
        0 => 2,
        1 | 2 => 3,
        3..259 => 6,
        _ => 1,
    };
    let all = 0..sizes.vocabulary;
    let values = [
        ("general.architecture", Value::String("llama".into())),
        ("general.name", Value::String(name.into())),
        ("llama.block_count", number(sizes.layers)),
        ("llama.context_length", Value::U32(CONTEXT)),
        ("llama.embedding_length", number(sizes.hidden)),
        ("llama.feed_forward_length", number(sizes.ffn)),
        ("llama.attention.head_count", number(sizes.heads)),
        ("llama.attention.head_count_kv", number(sizes.kv_heads)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.freq_base", Value::F32(sizes.rope_base)),
        ("tokenizer.ggml.model", Value::String("llama".into())),
        ("tokenizer.ggml.tokens", Value::Strings(all.clone().map(token).collect())),
        ("tokenizer.ggml.scores", Value::F32s(vec![0.0; sizes.vocabulary])),
        ("tokenizer.ggml.token_type", Value::Ints(all.map(kind).collect())),
        ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
    ];
    Metadata(values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Whole blocks of normally distributed numbers, such that products with rows of `depth` are as large as what they are made of;
/// of f32, which only norms are, ones.
fn piece(dtype: DType, depth: usize) -> Result<Vec<u8>> {
    let count = BLOCKS * 256;
    let mut bytes = vec![0; dtype.bytes_for(count).unwrap_or(0)];
    let values = if dtype == DType::F32 {
        vec![1.0; count]
    } else {
        let normal = Tensor::randn([count], DType::F32, &Device::cpu(), &Generator::new(1))?;
        normal.mul_scalar(1.0 / (depth as f64).sqrt())?.to_vec_sync()?
    };
    quant::quantize(dtype, &values, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use votive::format::Checkpoint;

    fn open(dtype: DType) -> Checkpoint {
        let model = RandomModel::new(Shape::Small, dtype).unwrap();
        pollster::block_on(Checkpoint::open(vec![Box::new(model)])).unwrap()
    }

    #[test]
    fn types_and_sizes_are_those_of_the_model() {
        let found = open(DType::Q4_K);
        let dtype = |name: &str| found.info(name).unwrap().dtype;
        assert_eq!(dtype("token_embd.weight"), DType::Q8_0);
        assert_eq!(dtype("blk.3.attn_q.weight"), DType::Q5_0);
        assert_eq!(dtype("blk.3.ffn_down.weight"), DType::Q4_K);
        assert_eq!(dtype("output_norm.weight"), DType::F32);
        // As published.
        let parameters: usize = found.tensors().map(|info| info.shape.elements()).sum();
        assert_eq!(parameters, 134_515_008);
        for (shape, published) in [(Shape::Medium, 1_235_814_400), (Shape::Large, 6_738_415_616)] {
            let specs = tensors(&shape.sizes(), DType::F16);
            assert_eq!(specs.iter().map(|spec| spec.shape.elements()).sum::<usize>(), published);
        }
    }

    #[test]
    fn bytes_are_the_same_however_they_are_read() {
        let model = RandomModel::new(Shape::Small, DType::Q4_0).unwrap();
        let read = |at: u64, len: usize| pollster::block_on(model.read(at, len)).unwrap().bytes().to_vec();
        // Over the end of the header, a tensor and more than the piece that it repeats.
        let (start, len) = (model.header.len() as u64 - 100, 20_000_000);
        let whole = read(start, len);
        for (at, len) in [(0, 1), (99, 3), (5_000_000, 7_000_001), (len - 5, 5)] {
            assert!(whole[at..at + len] == read(start + at as u64, len), "{len} at {at}");
        }
        assert!(pollster::block_on(model.read(model.len(), 1)).is_err());
        assert!(pollster::block_on(model.read(u64::MAX, 2)).is_err());
    }

    #[test]
    fn weights_are_numbers_of_the_wanted_size() {
        let found = open(DType::Q4_0);
        let info = found.info("blk.29.attn_v.weight").unwrap();
        let bytes = pollster::block_on(found.read(&info.name)).unwrap();
        let mut values = vec![0.0; info.shape.elements()];
        quant::dequantize(info.dtype, bytes.bytes(), &mut values).unwrap();
        let squares = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        // 1 / 576, rounded to four bits.
        assert!((0.9..1.1).contains(&(squares * 576.0)), "{squares}");
        let norm = pollster::block_on(found.read("blk.29.ffn_norm.weight")).unwrap();
        assert!(norm.as_slice::<f32>().unwrap().iter().all(|&v| v == 1.0));
    }
}
