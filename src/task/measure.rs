//! How fast would this model be on that device? Asked before its weights are there.

use super::generator::read_config;
use crate::clock::Clock;
use crate::{
    backend::cpu::Buffer,
    device::Device,
    dtype::DType,
    error::Result,
    format::{ByteSource, Checkpoint},
    models::Decoder,
    nn::Weights,
    tensor::Tensor,
};
use std::{collections::HashMap, ops::ControlFlow};

/// So many of the layers are made.
const LAYERS: usize = 2;
/// So many steps are measured, or fewer when they take longer than so many milliseconds.
const STEPS: usize = 8;
const LONG: f64 = 300.0;

/// Milliseconds that `device` takes to compute one token of the model in these files, estimated: two layers and the output
/// head are made of blank weights in the model's shapes and formats, run a few times, and the layers' time is multiplied by
/// how many the model has. Of the files only the headers are read.
///
/// # Errors
/// As [`TextGenerator::load`](super::TextGenerator::load), and when the device cannot hold these layers.
pub async fn measure_decode(sources: Vec<Box<dyn ByteSource>>, device: &Device, clock: Clock) -> Result<f64> {
    let checkpoint = Checkpoint::open(sources).await?;
    let (mut config, _) = read_config(&checkpoint).await?;
    #[cfg(feature = "webgpu")]
    {
        use super::rehearse::{self, Stage};
        rehearse::text(&checkpoint, &config, device, 1, Stage::Answer).ready(Stage::Answer as usize).await?;
    }
    let layers = config.layers();
    config.windows.truncate(LAYERS);
    let measured = config.layers();
    let hidden = Tensor::zeros([1, config.hidden_size], DType::F32, device)?;
    let weights = Weights::from_tensors(blank(&checkpoint, device)?, device);
    let decoder = Decoder::load(config, &weights, &mut |_| ControlFlow::Continue(())).await?;
    let mut cache = decoder.new_cache();
    let whole = timed(clock, || decoder.forward(&[0], &mut cache)).await?;
    let head = timed(clock, || decoder.logits(&hidden)).await?;
    Ok(head + (whole - head).max(0.0) * layers as f64 / measured as f64)
}

/// The weights of the first layers and those of none: zeros, and ones where something may be divided by them.
fn blank(checkpoint: &Checkpoint, device: &Device) -> Result<HashMap<String, Tensor>> {
    let layer = |name: &str| name.split('.').find_map(|part| part.parse::<usize>().ok());
    let kept = checkpoint.tensors().filter(|info| layer(&info.name).is_none_or(|layer| layer < LAYERS));
    kept.map(|info| {
        let tensor = if info.dtype == DType::F32 && info.shape.rank() == 1 {
            Tensor::ones(&info.shape, DType::F32, device)?
        } else {
            Tensor::from_buffer(Buffer::zeroed(info.bytes)?, info.dtype, &info.shape, device)?
        };
        Ok((info.name.clone(), tensor))
    })
    .collect()
}

/// Milliseconds of one step, from several that are waited for together, as when tokens are generated.
async fn timed(clock: Clock, mut step: impl FnMut() -> Result<Tensor>) -> Result<f64> {
    let seen = async |result: Tensor| result.narrow(1, 0, 1)?.to_vec::<f32>().await;
    // Programs are compiled and memory is had in the first two.
    step()?;
    seen(step()?).await?;
    let start = clock();
    let mut result = step()?;
    let mut steps = 1;
    while steps < STEPS && clock() - start < LONG {
        result = step()?;
        steps += 1;
    }
    seen(result).await?;
    Ok((clock() - start) / steps as f64)
}
