//! Weights that arrive in their file's order.

use super::*;
use crate::{
    DType,
    backend::{LocalFuture, cpu::Buffer},
    format::{ByteSource, Checkpoint, MemorySource},
    nn::Weights,
};
use std::{cell::RefCell, rc::Rc};

/// A download: it notes where it was read.
struct Stream(MemorySource, Rc<RefCell<Vec<u64>>>);

impl ByteSource for Stream {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
    fn read(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Buffer>> {
        self.1.borrow_mut().push(offset);
        self.0.read(offset, len)
    }
    fn is_stream(&self) -> bool {
        true
    }
}

/// Layers lie in the order of their names, a head that is needed last and a tower that is never needed before them: from the
/// second layer on all is read in the file's order, nothing twice, the tower never.
#[test]
fn layers_are_read_in_the_order_of_the_file() {
    let names = ["head.weight", "layers.0.b", "layers.0.w", "layers.1.b", "layers.1.w", "layers.10.b", "layers.10.w"];
    let names = [&names[..], &["layers.2.b", "layers.2.w", "tower.0.w", "tower.1.w"]].concat();
    let header: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(i, name)| format!(r#""{name}":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}}"#, i * 8, i * 8 + 8))
        .collect();
    let header = format!("{{{}}}", header.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    let data = file.len() as u64;
    (0..names.len()).for_each(|i| file.extend([i as f32, 0.5].iter().flat_map(|v| v.to_le_bytes())));

    let reads = Rc::new(RefCell::new(Vec::new()));
    let stream = Stream(MemorySource::new("a.safetensors", file), reads.clone());
    let checkpoint = pollster::block_on(Checkpoint::open(vec![Box::new(stream)])).unwrap();
    let weights = Weights::from_checkpoint(Rc::new(checkpoint), &cpu());
    reads.borrow_mut().clear();
    let asked = [
        "layers.0.w",
        "layers.0.b",
        "layers.1.w",
        "layers.1.b",
        "layers.2.w",
        "layers.2.b",
        "layers.10.w",
        "layers.10.b",
        "head.weight",
    ];
    for name in asked {
        let index = names.iter().position(|n| *n == name).unwrap();
        let weight = pollster::block_on(weights.get(name, 2)).unwrap();
        assert_eq!((weight.dtype(), floats(&weight)), (DType::F32, vec![index as f32, 0.5]), "{name}");
    }
    let read: Vec<_> = reads.borrow().iter().map(|at| names[(at - data) as usize / 8]).collect();
    let expected = [&["layers.0.w", "layers.0.b"], &names[3..9], &["head.weight"]].concat();
    assert_eq!(read, expected);
    assert_eq!(weights.loaded_bytes(), 9 * 8);
    // Another shape than the model's is told, whether the weight has been read or not.
    for name in ["layers.0.w", "tower.0.w"] {
        assert!(fails(pollster::block_on(weights.get(name, 3))).contains(name));
    }
}
