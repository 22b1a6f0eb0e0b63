//! What a model will do, done once on a stand-in for its GPU, so that the programs it needs compile side by side while the weights
//! are on their way.

use super::draw::DeviceSampler;
use crate::{
    backend::webgpu::FEW_ROWS,
    device::{Device, Preparing},
    error::{Error, Result},
    format::Checkpoint,
    models::{Decoder, DecoderConfig},
    nn::{KvCache, Weights},
    tensor::Tensor,
    text::SamplingOptions,
};
use std::{
    collections::HashMap,
    future::Future,
    ops::ControlFlow,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Programs of some layers are those of all.
const LAYERS: usize = 8;

/// When programs are needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// For any answer.
    Answer,
    /// For prompts of more than a few tokens.
    Prompt,
    /// For drawing other tokens than the likeliest.
    Draw,
}

/// Has the programs compiled that a model needs up to a stage, with prompts in parts of `prefill_chunk`. What cannot be prepared is compiled when it is needed, and what is wrong with a
/// model is told by its loading.
pub(super) fn text(
    checkpoint: &Checkpoint,
    config: &DecoderConfig,
    device: &Device,
    prefill_chunk: usize,
    last: Stage,
) -> Preparing {
    let work = |device: &Device, end_stage: &mut dyn FnMut()| {
        let mut config = config.clone();
        config.windows.truncate(LAYERS);
        let (weights, vocabulary) = (blank(checkpoint, device)?, config.vocab_size);
        let decoder = at_once(Decoder::load(config, &weights, &mut |_| ControlFlow::Continue(())))?;
        let mut cache = decoder.new_cache();
        decoder.reserve(4 * prefill_chunk, &mut cache)?;
        // Stages in order.
        let logits = decoder.forward(&[0; FEW_ROWS], &mut cache)?;
        draw(&decoder, &logits, &mut cache, SamplingOptions::default(), vocabulary)?;
        end_stage();
        if last == Stage::Answer {
            return Ok(());
        }
        let mut long = decoder.new_cache();
        for _ in 0..2 {
            decoder.forward(&vec![0; prefill_chunk], &mut long)?;
        }
        end_stage();
        let random = SamplingOptions { temperature: 1.0, seed: Some(0), ..SamplingOptions::default() };
        draw(&decoder, &logits, &mut cache, random.clone(), vocabulary)?;
        let filtered = SamplingOptions { top_k: 40, top_p: 0.9, min_p: 0.1, repetition_penalty: 1.1, ..random };
        draw(&decoder, &logits, &mut cache, filtered, vocabulary)
    };
    device.prepare(work).unwrap_or_default()
}

/// Draws two tokens, and computes on with them.
fn draw(
    decoder: &Decoder,
    logits: &Tensor,
    cache: &mut KvCache,
    sampling: SamplingOptions,
    vocabulary: usize,
) -> Result<()> {
    let Some(mut sampler) = DeviceSampler::new(&sampling, &[0], vocabulary, decoder.device())? else { return Ok(()) };
    let mut logits = logits.clone();
    for _ in 0..2 {
        sampler.draw(&logits)?;
        if let Some(last) = sampler.last() {
            logits = decoder.forward_ids(last, cache)?;
        }
    }
    Ok(())
}

/// Prepares for hearing: thirty seconds, and some tokens.
#[cfg(feature = "whisper")]
pub(super) fn speech(
    checkpoint: &Checkpoint,
    config: &crate::models::whisper::WhisperConfig,
    device: &Device,
) -> Preparing {
    use crate::{dtype::DType, models::whisper::Whisper};
    let work = |device: &Device, _: &mut dyn FnMut()| {
        let mut config = config.clone();
        (config.encoder_layers, config.decoder_layers) = (1, 1);
        let (frames, bins) = (2 * config.max_source_positions, config.num_mel_bins);
        let weights = blank(checkpoint, device)?;
        let model = at_once(Whisper::load(config, &weights, None, &mut |_| ControlFlow::Continue(())))?;
        let mel = Tensor::from_storage(
            device.blank(DType::F32, &[frames, bins].into())?,
            [frames, bins].into(),
            DType::F32,
            device,
        );
        let cross = model.cross_keys(&model.encode(&mel)?)?;
        let mut cache = model.new_cache();
        // The tokens that say what is wanted; then one at a time.
        for tokens in [FEW_ROWS, 1, 1] {
            let hidden = model.decode(&vec![0; tokens], 1, &cross, &mut cache)?;
            drop(model.logits(&hidden.narrow(0, tokens - 1, 1)?)?.reading());
        }
        Ok(())
    };
    device.prepare(work).unwrap_or_default()
}

/// All weights of a file, without their bytes.
fn blank(checkpoint: &Checkpoint, device: &Device) -> Result<Weights> {
    let tensor = |info: &crate::format::TensorInfo| {
        let storage = device.blank(info.dtype, &info.shape)?;
        Ok((info.name.clone(), Tensor::from_storage(storage, info.shape.clone(), info.dtype, device)))
    };
    // What the device does not hold is told when it is loaded.
    let held = checkpoint.tensors().filter(|info| device.supports(info.dtype));
    Ok(Weights::from_tensors(held.map(tensor).collect::<Result<HashMap<_, _>>>()?, device))
}

/// The result of a future that waits for nothing: a stand-in's values are there at once.
fn at_once<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::argument("prepare", "a stand-in was waited for")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backend::webgpu::{Opening, tests::device_with},
        format::FileSource,
    };
    use std::rc::Rc;

    fn golden(name: &str) -> String {
        format!("{}/tests/golden/models/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    /// A model that was prepared for compiles nothing when it answers, whatever the prompt's length and the way of drawing.
    #[test]
    fn what_is_prepared_is_what_is_needed() {
        const CHUNK: usize = 12;
        for name in ["llama", "gemma3", "qwen3", "phi3", "falcon_7b"] {
            let Some(device) = device_with(Opening::default()) else { return };
            let config = std::fs::read_to_string(golden(&format!("{name}.config.json"))).unwrap();
            let config = DecoderConfig::from_json(&config).unwrap();
            let source = FileSource::open(golden(&format!("{name}.safetensors"))).unwrap();
            let checkpoint = pollster::block_on(Checkpoint::open(vec![Box::new(source)])).unwrap();
            pollster::block_on(text(&checkpoint, &config, &device, CHUNK, Stage::Draw).ready(Stage::Draw as usize))
                .unwrap();
            let prepared = device.stats().unwrap();
            assert!(prepared.pipelines >= 10, "{name}: {prepared:?}");
            assert_eq!((prepared.dispatches, prepared.uploads, prepared.submits), (0, 0, 0), "{name}");

            let vocabulary = config.vocab_size;
            let weights = Weights::from_checkpoint(Rc::new(checkpoint), &device);
            let decoder = at_once(Decoder::load(config, &weights, &mut |_| ControlFlow::Continue(()))).unwrap();
            let random = SamplingOptions { temperature: 0.7, seed: Some(1), ..SamplingOptions::default() };
            let filtered = SamplingOptions { top_k: 3, repetition_penalty: 1.2, ..random.clone() };
            for sampling in [SamplingOptions::default(), random, filtered] {
                let mut cache = decoder.new_cache();
                decoder.reserve(40, &mut cache).unwrap();
                let mut logits = None;
                for part in [CHUNK, CHUNK, 5] {
                    logits = Some(decoder.forward(&vec![1; part], &mut cache).unwrap());
                }
                let mut logits = logits.unwrap();
                let mut sampler = DeviceSampler::new(&sampling, &[1; 29], vocabulary, &device).unwrap().unwrap();
                for _ in 0..4 {
                    sampler.draw(&logits).unwrap();
                    logits = decoder.forward_ids(sampler.last().unwrap(), &mut cache).unwrap();
                    assert!((pollster::block_on(sampler.next()).unwrap() as usize) < vocabulary);
                }
            }
            assert_eq!(device.stats().unwrap().pipelines, prepared.pipelines, "{name}");
        }
    }
}
