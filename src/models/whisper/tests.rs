//! Small random Whispers against transformers; see `tests/generators/speech_tiny.py`.

use super::*;
use crate::format::{Checkpoint, FileSource};
use pollster::block_on;
use std::{path::PathBuf, rc::Rc};

/// The largest difference of the encoder's results and of the logits from the reference's.
fn differences(name: &str, device: &Device) -> (f32, f32) {
    let read = |file: &str| -> PathBuf {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/whisper/tiny");
        [golden, name, file].iter().collect()
    };
    let open = |file: &str, device: &Device| {
        let checkpoint = block_on(Checkpoint::open(vec![Box::new(FileSource::open(read(file)).unwrap())])).unwrap();
        Weights::from_checkpoint(Rc::new(checkpoint), device)
    };
    let config = WhisperConfig::from_json(&std::fs::read_to_string(read("config.json")).unwrap()).unwrap();
    let go = &mut |_: LoadProgress<'_>| ControlFlow::Continue(());
    let weights = open("model.safetensors", device);
    let whisper = block_on(Whisper::load(config.clone(), &weights, None, go)).unwrap();
    let frames = 2 * config.max_source_positions;
    let cpu = open("expected.safetensors", &Device::cpu());
    let expected = |name: &str, shape: &[usize]| block_on(cpu.get(name, shape)).unwrap();
    let values = |tensor: &Tensor| block_on(tensor.to_vec::<f32>()).unwrap();
    let ids: Vec<u32> = values(&expected("ids", &[9])).iter().map(|&id| id as u32).collect();
    let mel = values(&expected("mel", &[frames, config.num_mel_bins]));
    let mel = Tensor::from_slice(&mel, [frames, config.num_mel_bins], device).unwrap();
    let encoded = whisper.encode(&mel).unwrap();
    let cross = whisper.cross_keys(&encoded).unwrap();
    // Some tokens at once, the others one by one.
    let (mut cache, mut logits) = (whisper.new_cache(), Vec::new());
    for ids in [&ids[..4]].into_iter().chain(ids[4..].chunks(1)) {
        let hidden = whisper.decode(ids, 1, &cross, &mut cache).unwrap();
        logits.extend(values(&whisper.logits(&hidden).unwrap()));
    }
    let worst = |got: &[f32], expected: &[f32]| {
        assert_eq!(got.len(), expected.len());
        got.iter().zip(expected).map(|(g, e)| (g - e).abs()).fold(0.0, f32::max)
    };
    let encoder = worst(&values(&encoded), &values(&expected("encoder", &[frames / 2, config.d_model])));
    (encoder, worst(&logits, &values(&expected("logits", &[9, config.vocab_size]))))
}

/// The shapes of large-v3-turbo (128 mel bins, the bare model's names) and of Distil-Whisper (another depth and another
/// number of heads in the decoder, a head of its own).
fn shapes_are_the_references(device: &Device) {
    for name in ["turbo", "distil"] {
        let (encoder, logits) = differences(name, device);
        println!("{name} on {device}: encoder within {encoder:e}, logits within {logits:e}");
        // Sums in another order; approximate exponentials and error functions.
        assert!(encoder < 1e-4 && logits < 1e-4, "{name} on {device}: {encoder}, {logits}");
    }
}

#[test]
fn other_shapes_compute_as_the_reference() {
    shapes_are_the_references(&Device::cpu());
}

#[cfg(feature = "webgpu")]
#[test]
fn webgpu_computes_as_the_reference() {
    let Some(device) = crate::backend::webgpu::tests::device() else { return };
    shapes_are_the_references(&device);
}
