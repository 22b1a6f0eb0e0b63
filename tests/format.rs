//! Model files against what the `gguf` and `safetensors` packages write and read
//! (`tests/generators/formats.py` makes the golden files).

use pollster::block_on;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};
use votive::{
    DType, Error, Result, Shape,
    backend::{LocalFuture, cpu::Buffer},
    format::{ByteSource, Checkpoint, FileSource, Kind, MemorySource, Metadata, TensorSpec, Value, gguf, safetensors},
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats").join(name)
}

fn json(name: &str) -> Json {
    serde_json::from_slice(&fs::read(golden(name)).unwrap()).unwrap()
}

/// A file of a real model, which `cargo xtask fetch --tests` brings.
fn model(path: &str) -> PathBuf {
    let root = std::env::var_os("VOTIVE_MODELS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| std::env::home_dir().expect("a home directory").join(".cache"));
        cache.join("votive/models")
    });
    let path = root.join(path);
    assert!(path.is_file(), "{} is missing: run `cargo xtask fetch --tests`", path.display());
    path
}

fn files(paths: &[PathBuf]) -> Vec<Box<dyn ByteSource>> {
    paths.iter().map(|p| Box::new(FileSource::open(p).unwrap()) as Box<dyn ByteSource>).collect()
}

fn open(sources: Vec<Box<dyn ByteSource>>) -> Result<Checkpoint> {
    block_on(Checkpoint::open(sources))
}

/// A source that behaves like a page's file: every read copies, and none may be long.
struct Streamed {
    inner: MemorySource,
    longest: usize,
}

impl Streamed {
    fn boxed(path: &Path, longest: usize) -> Vec<Box<dyn ByteSource>> {
        let name = path.file_name().unwrap().to_str().unwrap();
        vec![Box::new(Self { inner: MemorySource::new(name, fs::read(path).unwrap()), longest })]
    }
}

impl ByteSource for Streamed {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn len(&self) -> u64 {
        self.inner.len()
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>> {
        assert!(len <= self.longest, "asked for {len} bytes at once");
        self.inner.read(offset, len)
    }
    fn max_read(&self) -> usize {
        self.longest
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Every readable tensor has the golden bytes; returns the names that were not there.
fn check_bytes(checkpoint: &Checkpoint, golden: &Json) -> Vec<String> {
    let mut absent = Vec::new();
    for (name, expected) in golden.as_object().unwrap() {
        if checkpoint.info(name).is_none() {
            absent.push(name.clone());
            continue;
        }
        let bytes = block_on(checkpoint.read(name)).unwrap();
        assert_eq!(sha256(bytes.bytes()), expected.as_str().unwrap(), "{name}");
    }
    absent
}

fn small_metadata() -> Vec<(&'static str, Value)> {
    let ints = |v: &[i64]| Value::Ints(v.to_vec());
    vec![
        ("general.architecture", Value::String("test".into())),
        ("general.alignment", Value::U32(64)),
        ("u8", Value::U8(200)),
        ("i8", Value::I8(-100)),
        ("u16", Value::U16(60000)),
        ("i16", Value::I16(-30000)),
        ("u32", Value::U32(4_000_000_000)),
        ("i32", Value::I32(-2_000_000_000)),
        ("u64", Value::U64((1 << 63) + 5)),
        ("i64", Value::I64(-(1 << 62))),
        ("f32", Value::F32(0.5)),
        ("f64", Value::F64(1e300)),
        ("yes", Value::Bool(true)),
        ("text", Value::String("naïve 模型 🙂".into())),
        ("empty", Value::String(String::new())),
        ("strings", Value::Strings(vec!["".into(), "a".into(), "é".into(), "🙂".repeat(5)])),
        ("ints", ints(&[1, -2, 3])),
        ("floats", Value::F32s(vec![0.25, -1.0])),
        ("bools", Value::Bools(vec![true, false, true])),
        ("bytes", Value::Bytes((0..7).collect())),
        ("nested", Value::Array(vec![ints(&[1, 2]), ints(&[3])])),
    ]
}

#[test]
fn reads_every_kind_of_value_in_a_gguf() {
    let checkpoint = open(files(&[golden("small.gguf")])).unwrap();
    assert_eq!(checkpoint.kind(), Kind::Gguf);
    let found: Vec<_> = checkpoint.metadata().unwrap().0.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
    assert_eq!(found, small_metadata());
    assert_eq!(check_bytes(&checkpoint, &json("small.json")["gguf"]), ["bytes"]);
    let longs = checkpoint.info("longs").unwrap();
    assert_eq!((longs.dtype, &longs.shape), (DType::I64, &Shape::from([2, 3, 4])));
    let q4 = checkpoint.info("q4_0").unwrap();
    assert_eq!((q4.dtype, &q4.shape, q4.bytes), (DType::Q4_0, &Shape::from([3, 64]), 3 * 2 * 18));
    // Eight-bit integers are no dtype of ours: the file opens, the tensor is refused by name and type.
    assert_eq!(checkpoint.unsupported()[0].dtype, "I8");
    let error = block_on(checkpoint.read("bytes")).unwrap_err().to_string();
    assert!(error.contains("bytes") && error.contains("I8"), "{error}");
    let error = block_on(checkpoint.read("nothing")).unwrap_err().to_string();
    assert!(error.contains("nothing") && error.contains("small.gguf"), "{error}");
}

#[test]
fn reads_a_split_gguf_in_any_order() {
    let parts = [3, 1, 2].map(|no| golden(&format!("split-{no:05}-of-00003.gguf")));
    let checkpoint = open(files(&parts)).unwrap();
    assert_eq!(check_bytes(&checkpoint, &json("small.json")["gguf"]), ["bytes"]);
    assert_eq!(checkpoint.names().next(), Some("scalar"));
    assert_eq!(checkpoint.metadata().unwrap().string("general.architecture"), Some("test"));
    assert_eq!(checkpoint.metadata().unwrap().get("split.count"), None, "the parts are one model now");
    let error = open(files(&parts[..2])).err().unwrap().to_string();
    assert!(error.contains("missing: 2"), "{error}");
    let error = open(files(&[parts[0].clone(), parts[0].clone(), parts[1].clone()])).err().unwrap().to_string();
    assert!(error.contains("missing: 2"), "{error}");
    let error = open(files(&[golden("small.gguf"), golden("small.gguf")])).err().unwrap().to_string();
    assert!(error.contains("not parts of one model"), "{error}");
}

#[test]
fn reads_every_dtype_of_safetensors() {
    let checkpoint = open(files(&[golden("small.safetensors")])).unwrap();
    assert_eq!(checkpoint.kind(), Kind::Safetensors);
    assert!(checkpoint.metadata().is_none());
    assert_eq!(checkpoint.header_metadata().string("note"), Some("naïve"));
    assert_eq!(check_bytes(&checkpoint, &json("small.json")["safetensors"]), ["bool"]);
    assert_eq!(checkpoint.info("empty").unwrap().shape, Shape::from([0, 3]));
    assert_eq!(checkpoint.info("scalar").unwrap().shape, Shape::from(()));
    let error = block_on(checkpoint.read("bool")).unwrap_err().to_string();
    assert!(error.contains("BOOL"), "{error}");
    // Whatever the place in the file, the bytes can be used as elements.
    for tensor in checkpoint.tensors().filter(|t| t.dtype == DType::F64) {
        assert_eq!(block_on(checkpoint.read(&tensor.name)).unwrap().as_slice::<f64>().unwrap(), [0.0, 1.0]);
    }
}

#[test]
fn reads_in_pieces_where_the_source_wants_it() {
    for (name, part) in [("small.gguf", "gguf"), ("small.safetensors", "safetensors")] {
        for longest in [17, 64, 1000] {
            let checkpoint = open(Streamed::boxed(&golden(name), longest)).unwrap();
            assert_eq!(check_bytes(&checkpoint, &json("small.json")[part]).len(), 1, "{name} {longest}");
        }
    }
}

#[test]
fn finds_side_files_and_shards() {
    let write = |specs: &[TensorSpec]| {
        let mut w = safetensors::writer(Cursor::new(Vec::new()), "shard", &[], specs).unwrap();
        specs.iter().for_each(|s| w.write(&s.name, &[1, 2, 3, 4]).unwrap());
        w.finish().unwrap().into_inner()
    };
    let spec = |name: &str| TensorSpec { name: name.into(), dtype: DType::F32, shape: [1].into() };
    let memory = |name: &str, bytes: Vec<u8>| Box::new(MemorySource::new(name, bytes)) as Box<dyn ByteSource>;
    let first = || memory("model-00001-of-00002.safetensors", write(&[spec("a"), spec("b")]));
    let second = || memory("model-00002-of-00002.safetensors", write(&[spec("c")]));
    let config = || memory("folder/config.json", b"{\"x\": 1}".to_vec());
    let index = |place: &str| {
        let json = format!(
            r#"{{"metadata": {{}}, "weight_map": {{"a": "model-00001-of-00002.safetensors", "c": "{place}"}}}}"#
        );
        memory("model.safetensors.index.json", json.into_bytes())
    };
    let proper = "model-00002-of-00002.safetensors";

    let checkpoint = open(vec![config(), second(), first(), index(proper)]).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(checkpoint.total_bytes(), 12);
    assert_eq!(block_on(checkpoint.side_file("config.json")).unwrap().unwrap(), b"{\"x\": 1}");
    assert_eq!(block_on(checkpoint.side_file("tokenizer.json")).unwrap(), None);
    assert_eq!(block_on(checkpoint.read("c")).unwrap().bytes(), [1, 2, 3, 4]);

    for (sources, expected) in [
        (vec![first(), index(proper)], "missing: model-00002-of-00002"),
        (vec![first(), config()], "model-00002-of-00002.safetensors is missing"),
        (vec![first(), second(), index("model-00001-of-00002.safetensors")], "places tensor \"c\""),
        (
            vec![memory("x.safetensors", write(&[spec("a")])), memory("y.safetensors", write(&[spec("a")]))],
            "another file",
        ),
        (vec![first(), memory("g.gguf", fs::read(golden("small.gguf")).unwrap())], "another format"),
        (vec![config()], "no weights"),
        (vec![], "no weights"),
        (vec![memory("m.bin", b"PK\x03\x04zip and more than sixteen bytes".to_vec())], "zip archive"),
        (vec![memory("m.gguf", b"<!DOCTYPE html><html></html>".to_vec())], "web page"),
        (vec![memory("m.safetensors", b"version https://git-lfs.github.com/spec/v1".to_vec())], "Git LFS"),
        (vec![memory("m.gguf", vec![])], "empty file"),
    ] {
        let error = open(sources).err().unwrap().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// Writes all tensors of a checkpoint again as GGUF.
fn rewrite(checkpoint: &Checkpoint, metadata: &Metadata) -> Vec<u8> {
    let specs: Vec<_> = checkpoint
        .tensors()
        .map(|t| TensorSpec { name: t.name.clone(), dtype: t.dtype, shape: t.shape.clone() })
        .collect();
    let mut writer = gguf::writer(Cursor::new(Vec::new()), "copy", metadata, &specs).unwrap();
    // The order of writing does not matter.
    for name in checkpoint.names().collect::<Vec<_>>().into_iter().rev() {
        writer.write(name, block_on(checkpoint.read(name)).unwrap().bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn writes_gguf_as_the_package_does() {
    // The I8 tensor is left out, so counts and offsets differ; metadata and the other tensors do not.
    let original = open(files(&[golden("small.gguf")])).unwrap();
    let copy = rewrite(&original, original.metadata().unwrap());
    let again = open(vec![Box::new(MemorySource::new("copy", copy.clone()))]).unwrap();
    assert_eq!(again.metadata(), original.metadata());
    assert_eq!(check_bytes(&again, &json("small.json")["gguf"]), ["bytes"]);
    assert_eq!(copy.len() % 64, 0, "the last tensor is padded as well");
    assert_eq!(rewrite(&again, again.metadata().unwrap()), copy);
    let header = fs::read(golden("small.gguf")).unwrap();
    let metadata_end = header.windows(6).position(|w| w == b"scalar").unwrap() - 8;
    assert_eq!(copy[8 + 8..metadata_end], header[8 + 8..metadata_end], "metadata, byte for byte");
}

#[test]
fn the_safetensors_crate_reads_what_is_written() {
    let data = |n: usize| (0..n).map(|i| i as u8).collect::<Vec<_>>();
    let tensors = [
        ("b", DType::U8, vec![3], 3),
        ("a", DType::F16, vec![2, 3], 12),
        ("z", DType::F64, vec![1], 8),
        ("empty", DType::F32, vec![0, 4], 0),
        ("scalar", DType::I64, vec![], 8),
    ];
    let specs: Vec<_> = tensors
        .iter()
        .map(|(name, dtype, shape, _)| TensorSpec {
            name: name.to_string(),
            dtype: *dtype,
            shape: shape.clone().into(),
        })
        .collect();
    let metadata = [("format".to_string(), "pt".to_string())];
    let write = |specs: &[TensorSpec]| {
        let mut writer = safetensors::writer(Cursor::new(Vec::new()), "x", &metadata, specs).unwrap();
        for (name, _, _, bytes) in &tensors {
            writer.write(name, &data(*bytes)).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let file = write(&specs);
    let read = ::safetensors::SafeTensors::deserialize(&file).unwrap();
    for (name, _, shape, bytes) in &tensors {
        let view = read.tensor(name).unwrap();
        assert_eq!((view.shape(), view.data()), (&shape[..], &data(*bytes)[..]), "{name}");
    }
    let ours = open(vec![Box::new(MemorySource::new("x", file.clone()))]).unwrap();
    assert!(ours.tensors().all(|t| t.offset % t.dtype.block_bytes() as u64 == 0), "aligned for its type");
    assert_eq!(ours.tensors().len(), tensors.len());
    let reversed: Vec<_> = specs.iter().rev().cloned().collect();
    assert_eq!(write(&reversed), file, "the same tensors give the same bytes");
}

#[test]
fn writers_refuse_what_a_format_cannot_hold() {
    let spec = |dtype, shape: &[usize]| TensorSpec { name: "t".into(), dtype, shape: shape.into() };
    let gguf = |spec: TensorSpec| {
        gguf::writer(Cursor::new(Vec::new()), "x", &Metadata::default(), &[spec]).err().unwrap().to_string()
    };
    assert!(gguf(spec(DType::U32, &[1])).contains("u32"));
    assert!(gguf(spec(DType::Q4_0, &[32, 31])).contains("whole blocks"));
    assert!(gguf(spec(DType::F32, &[1; 5])).contains("4 dimensions"));
    let error = safetensors::writer(Cursor::new(Vec::new()), "x", &[], &[spec(DType::Q4_0, &[32])]).err().unwrap();
    assert!(error.to_string().contains("q4_0"));
    let mut writer = safetensors::writer(Cursor::new(Vec::new()), "x", &[], &[spec(DType::U8, &[3])]).unwrap();
    assert!(writer.write("t", &[1]).unwrap_err().to_string().contains("3 bytes"));
    assert!(writer.write("u", &[1]).unwrap_err().to_string().contains("not expected"));
    assert!(writer.finish().err().unwrap().to_string().contains("not written"));
}

fn check_value(key: &str, value: &Value, expected: &Json) {
    let parts = |len: usize, at: &dyn Fn(usize) -> Json| {
        assert_eq!(expected["len"], len, "{key}");
        let expect = |part: &str| expected[part].as_array().unwrap().clone();
        (0..3.min(len)).for_each(|i| assert_eq!(at(i), expect("first")[i], "{key}"));
        (0..3.min(len)).for_each(|i| assert_eq!(at(len - 3.min(len) + i), expect("last")[i], "{key}"));
    };
    match value {
        Value::String(s) => assert_eq!(s, expected, "{key}"),
        Value::Bool(b) => assert_eq!(b, expected, "{key}"),
        Value::U32(n) => assert_eq!(n, expected, "{key}"),
        Value::F32(x) => assert_eq!(f64::from(*x), expected.as_f64().unwrap(), "{key}"),
        Value::Strings(v) => parts(v.len(), &|i| v[i].as_str().into()),
        Value::Ints(v) => parts(v.len(), &|i| v[i].into()),
        Value::F32s(v) => parts(v.len(), &|i| f64::from(v[i]).into()),
        other => panic!("{key}: unexpected {other:?}"),
    }
}

#[test]
fn reads_real_models_as_the_gguf_package_does() {
    for path in ["smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf", "gemma3-270m/gemma-3-270m-q4_k_m.gguf"] {
        let path = model(path);
        let golden = json(&format!("{}.json", path.file_stem().unwrap().to_str().unwrap()));
        let checkpoint = open(files(std::slice::from_ref(&path))).unwrap();
        let metadata = checkpoint.metadata().unwrap();
        let expected = golden["metadata"].as_object().unwrap();
        assert!(metadata.0.keys().eq(expected.keys()), "the same keys in the same order");
        metadata.0.iter().for_each(|(key, value)| check_value(key, value, &expected[key]));
        let rows = golden["tensors"].as_array().unwrap();
        assert_eq!(rows.len(), checkpoint.tensors().len());
        for (row, tensor) in rows.iter().zip(checkpoint.tensors()) {
            let shape: Vec<usize> = serde_json::from_value(row[2].clone()).unwrap();
            assert_eq!((&row[0], &row[1]), (&tensor.name.as_str().into(), &tensor.dtype.name().into()));
            assert_eq!((tensor.shape.dims(), tensor.offset), (&shape[..], row[3].as_u64().unwrap()), "{}", tensor.name);
            if let Some(hash) = row.get(4) {
                assert_eq!(sha256(block_on(checkpoint.read(&tensor.name)).unwrap().bytes()), hash.as_str().unwrap());
            }
        }
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let error = FileSource::open("does/not/exist.gguf").err().unwrap();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let error = FileSource::open(env!("CARGO_MANIFEST_DIR")).err().unwrap();
    assert!(error.to_string().contains("regular file"), "{error}");
}
