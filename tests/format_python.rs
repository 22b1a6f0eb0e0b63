//! NumPy's and PyTorch's files against what NumPy and PyTorch wrote
//! (`tests/generators/formats_python.py` makes the golden files).

use pollster::block_on;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};
use votive::{
    DType, Device, Tensor,
    backend::{LocalFuture, cpu::Buffer},
    format::{ByteSource, Checkpoint, FileSource, Kind, MemorySource, Value, npy},
    nn::Weights,
};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/formats/python").join(name)
}

fn bytes_of(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap()
}

fn expected() -> Json {
    serde_json::from_slice(&bytes_of("expected.json")).unwrap()
}

fn file(name: &str) -> Box<dyn ByteSource> {
    Box::new(FileSource::open(golden(name)).unwrap())
}

fn open(name: &str) -> votive::Result<Checkpoint> {
    block_on(Checkpoint::open(vec![file(name)]))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Every tensor has the dtype, shape and elements that Python saw, and there are no others.
fn check(checkpoint: &Checkpoint, expected: &Json) {
    let expected = expected.as_object().unwrap();
    let mut names: Vec<_> = checkpoint.names().collect();
    let mut wanted: Vec<_> = expected.keys().map(String::as_str).collect();
    names.sort();
    wanted.sort();
    assert_eq!(names, wanted);
    for (name, expected) in expected {
        let info = checkpoint.info(name).unwrap();
        assert_eq!(info.dtype.name(), expected["dtype"], "{name}");
        assert_eq!(serde_json::json!(info.shape.dims()), expected["shape"], "{name}");
        let bytes = block_on(checkpoint.read(name)).unwrap();
        assert_eq!(bytes.len(), info.bytes, "{name}");
        assert_eq!(sha256(bytes.bytes()), expected["sha256"], "{name}");
    }
}

/// A source that behaves like a page's file: every read copies, and none may be long.
struct Streamed(MemorySource, usize);

impl ByteSource for Streamed {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, votive::Result<Buffer>> {
        assert!(len <= self.1, "asked for {len} bytes at once");
        self.0.read(offset, len)
    }
    fn max_read(&self) -> usize {
        self.1
    }
}

#[test]
fn reads_all_that_python_wrote() {
    for (name, expected) in expected().as_object().unwrap().iter().filter(|(name, _)| !name.contains("-of-")) {
        let checkpoint = open(name).unwrap();
        let kind = match name.rsplit_once('.').unwrap().1 {
            "npy" => Kind::Npy,
            "npz" => Kind::Npz,
            _ => Kind::PyTorch,
        };
        assert_eq!(checkpoint.kind(), kind, "{name}");
        check(&checkpoint, expected);
        let streamed = Streamed(MemorySource::new(name.as_str(), bytes_of(name)), 61);
        check(&block_on(Checkpoint::open(vec![Box::new(streamed)])).unwrap(), expected);
    }
}

#[test]
fn fortran_order_is_a_transposed_view() {
    let device = Device::cpu();
    let x = block_on(npy::read(file("fortran.npy").as_ref(), &device)).unwrap();
    assert_eq!((x.dims(), x.layout().strides()), (&[2, 3, 4][..], &[1, 2, 6][..]));
    let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
    assert_eq!(x.to_vec_sync::<f32>().unwrap(), values);
    let x = block_on(npy::read(file("big_i8.npy").as_ref(), &device)).unwrap();
    assert_eq!(x.to_vec_sync::<i64>().unwrap(), [-2, -1, 0, 1, 2]);
    let x = block_on(npy::read(file("b1.npy").as_ref(), &device)).unwrap();
    assert_eq!(x.to_vec_sync::<u8>().unwrap(), [1, 0, 1]);
}

#[test]
fn numbers_and_texts_of_a_pickle_are_metadata() {
    for name in ["nested.pt", "nested_legacy.bin", "protocol4.pt"] {
        let checkpoint = open(name).unwrap();
        let metadata = checkpoint.header_metadata();
        assert_eq!(metadata.get("epoch"), Some(&Value::I64(3)), "{name}");
        assert_eq!(metadata.string("name"), Some("tiny é"));
        assert_eq!(metadata.float("best"), Some(0.25));
        assert_eq!(metadata.bool("done"), Some(false));
        assert_eq!(metadata.float("optimizer.param_groups.0.lr"), Some(0.5));
        assert_eq!(metadata.uint("size.1"), Some(6));
        assert!(checkpoint.info("optimizer.state.0.exp_avg").is_some());
        assert!(checkpoint.metadata().is_none(), "that is GGUF's");
    }
}

#[test]
fn weights_come_from_shards_with_their_index() {
    let names =
        ["pytorch_model.bin.index.json", "pytorch_model-00002-of-00002.bin", "pytorch_model-00001-of-00002.bin"];
    let checkpoint = block_on(Checkpoint::open(names.map(file).into())).unwrap();
    let weights = Weights::from_checkpoint(checkpoint.into(), &Device::cpu());
    let b = block_on(weights.pp("b").get("weight", [6, 4])).unwrap();
    assert_eq!(b.to_vec_sync::<f32>().unwrap()[..5], [0.0, 1.5, 3.0, 4.5, 0.25]);
    for (given, expected) in [(&names[..2], "missing: pytorch_model-00001"), (&names[1..2], "is missing")] {
        let sources = given.iter().map(|name| file(name)).collect();
        let error = block_on(Checkpoint::open(sources)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_is_no_tensor_is_refused_by_name() {
    for (name, expected) in [
        ("evil.pt", &["posix.system", "refused"][..]),
        ("evil_legacy.pt", &["posix.system", "refused"]),
        ("namespace.pt", &["argparse.Namespace", "state_dict"]),
        ("module.pt", &["torch.nn.modules.linear.Linear"]),
        ("script.pt", &["TorchScript", "state_dict"]),
        ("other.pt", &["a Python pickle that torch.save did not write"]),
        ("records.npy", &["structured"]),
    ] {
        let error = open(name).err().unwrap().to_string();
        assert!(error.starts_with(name) && expected.iter().all(|e| error.contains(e)), "{error}");
    }
    assert!(!Path::new("pwned").exists());
    // Of a type that no tensor has: the others can be read.
    let checkpoint = open("complex.pt").unwrap();
    assert!(block_on(checkpoint.read("w")).is_ok());
    assert!(block_on(checkpoint.read("c")).unwrap_err().to_string().contains("complex64"));
    for (name, dtype) in [("complex.npy", "<c16"), ("objects.npy", "|O")] {
        let error = block_on(npy::read(file(name).as_ref(), &Device::cpu())).unwrap_err().to_string();
        assert!(error.contains(dtype), "{error}");
    }
}

#[test]
fn writes_npy_as_numpy_does() {
    for name in ["f4", "f2", "f8", "i8", "i4", "u4", "u1", "scalar", "empty", "one"] {
        let name = format!("{name}.npy");
        let tensor = block_on(npy::read(file(&name).as_ref(), &Device::cpu())).unwrap();
        let mut written = Vec::new();
        block_on(npy::write(&mut written, &name, &tensor)).unwrap();
        let original = bytes_of(&name);
        // NumPy leaves room to grow in the header, so that its length may be 64 bytes more; nothing else differs.
        let body = |file: &[u8]| 10 + u16::from_le_bytes([file[8], file[9]]) as usize;
        assert_eq!(body(&written) % 64, 0);
        assert_eq!(written[body(&written)..], original[body(&original)..], "{name}");
        let text = |file: &[u8]| String::from_utf8(file[10..body(file)].to_vec()).unwrap().trim_end().to_owned();
        assert_eq!(text(&written), text(&original), "{name}");
    }
    let many = Tensor::zeros(vec![1; 40], DType::F32, &Device::cpu()).unwrap();
    let mut written = Vec::new();
    block_on(npy::write(&mut written, "x.npy", &many)).unwrap();
    let again = block_on(npy::read(&MemorySource::new("x.npy", written), &Device::cpu())).unwrap();
    assert_eq!(again.dims(), many.dims());
    let bf16 = many.to_dtype(DType::BF16).unwrap();
    let error = block_on(npy::write(&mut Vec::new(), "x.npy", &bf16)).unwrap_err().to_string();
    assert!(error.contains("bf16"), "{error}");
}

#[test]
fn writes_archives_that_read_the_same() {
    let device = Device::cpu();
    let arrays = block_on(npy::read_archive(file("deflated.npz"), &device)).unwrap();
    assert!(arrays.len() > 15);
    let named: Vec<_> = arrays.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let expected = expected();
    let sizes = [npy::Compression::Stored, npy::Compression::Deflate].map(|compression| {
        let written = block_on(npy::write_archive(Vec::new(), "x.npz", &named, compression)).unwrap();
        let len = written.len();
        let source = Box::new(MemorySource::new("x.npz", written));
        check(&block_on(Checkpoint::open(vec![source])).unwrap(), &expected["deflated.npz"]);
        len
    });
    assert!(sizes[1] < sizes[0] * 3 / 4, "{sizes:?}");
    let twice = block_on(npy::write_archive(Vec::new(), "x.npz", &[named[0], named[0]], npy::Compression::Stored));
    assert!(twice.unwrap_err().to_string().contains("twice"));
}
