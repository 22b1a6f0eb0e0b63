//! Silero's voice activity detector (Silero Team 2021, version 6): how likely a thirtieth of a second of sound holds speech.

use crate::{
    device::Device,
    error::{Error, Result},
    nn::{Conv1d, Linear, Module, Weights},
    tensor::{ConvOptions, Padding, Tensor},
};

/// Samples that are heard at a time, at 16 kHz.
const CHUNK: usize = 512;
/// Samples before a chunk that are heard again with it.
const CONTEXT: usize = 64;
/// Samples that the end is mirrored by.
const MIRRORED: usize = 64;
/// Frequencies of a spectrum.
const BINS: usize = 129;
/// Size of the recurrent state.
const WIDTH: usize = 128;

/// The detector for sound at 16 kHz, on the CPU: it takes about a hundredth of a processor's time in real time.
pub struct SileroVad {
    spectrum: Conv1d,
    convolutions: [Conv1d; 4],
    input: Linear,
    hidden: Linear,
    output: Linear,
}

/// What a [`SileroVad`] remembers of one sound.
#[derive(Clone)]
pub struct SileroState {
    context: [f32; CONTEXT],
    hidden: Tensor,
    cell: Tensor,
}

impl SileroVad {
    /// Samples of a chunk.
    pub const CHUNK: usize = CHUNK;

    /// Loads the weights under the names of the published `silero_vad_16k.safetensors`. `weights` must be on the CPU.
    ///
    /// # Errors
    /// [`Error::Weight`] for missing or odd weights.
    pub async fn load(weights: &Weights) -> Result<Self> {
        let sizes = [(BINS, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1)];
        let options = ConvOptions { stride: [128], ..ConvOptions::default() };
        let spectrum = Conv1d::load(&weights.pp("stft_conv"), 1, 2 * BINS, [256], options, false).await?;
        let mut convolutions = Vec::new();
        for (i, (inputs, outputs, stride)) in sizes.into_iter().enumerate() {
            let options = ConvOptions { stride: [stride], padding: Padding::Zeros([1]), ..ConvOptions::default() };
            let weights = weights.pp(&format!("conv{}", i + 1));
            convolutions.push(Conv1d::load(&weights, inputs, outputs, [3], options, true).await?);
        }
        let Ok(convolutions) = convolutions.try_into() else {
            return Err(Error::weight("conv4", "is missing"));
        };
        let cell = weights.pp("lstm_cell");
        let gates = async |kind: &str| -> Result<Linear> {
            let weight = cell.get(&format!("weight_{kind}"), [4 * WIDTH, WIDTH]).await?;
            let bias = cell.get_f32(&format!("bias_{kind}"), [4 * WIDTH]).await?;
            Ok(Linear::new(weight, Some(bias.into())))
        };
        let last = weights.pp("final_conv");
        let weight = last.get("weight", [1, WIDTH, 1]).await?.reshape([1, WIDTH])?;
        let bias = last.get_f32("bias", [1]).await?;
        Ok(Self {
            spectrum,
            convolutions,
            input: gates("ih").await?,
            hidden: gates("hh").await?,
            output: Linear::new(weight, Some(bias.into())),
        })
    }

    /// The state before a sound.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn start(&self) -> Result<SileroState> {
        let zeros = Tensor::zeros([1, WIDTH], crate::DType::F32, &Device::cpu())?;
        Ok(SileroState { context: [0.0; CONTEXT], hidden: zeros.clone(), cell: zeros })
    }

    /// The probability that the next [`SileroVad::CHUNK`] mono samples at 16 kHz, from -1 to 1, hold speech.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of samples.
    pub fn hear(&self, samples: &[f32], state: &mut SileroState) -> Result<f32> {
        if samples.len() != CHUNK {
            return Err(Error::argument("voice", format!("{} samples; {CHUNK} are heard at a time", samples.len())));
        }
        let mut heard = state.context.to_vec();
        heard.extend(samples);
        heard.extend_from_within(heard.len() - 1 - MIRRORED..heard.len() - 1);
        heard[CONTEXT + CHUNK..].reverse();
        let x = Tensor::from_slice(&heard, [1, 1, heard.len()], &Device::cpu())?;
        let parts = self.spectrum.forward(&x)?;
        let square = |from| parts.narrow(1, from, BINS).and_then(|x: Tensor| x.mul(&x));
        let mut x = square(0)?.add(&square(BINS)?)?.sqrt()?;
        for convolution in &self.convolutions {
            x = convolution.forward(&x)?.relu()?;
        }
        let gates = self.input.forward(&x.reshape([1, WIDTH])?)?.add(&self.hidden.forward(&state.hidden)?)?;
        let gate = |i| gates.narrow(1, i * WIDTH, WIDTH);
        let kept = gate(1)?.sigmoid()?.mul(&state.cell)?;
        state.cell = kept.add(&gate(0)?.sigmoid()?.mul(&gate(2)?.tanh()?)?)?;
        state.hidden = gate(3)?.sigmoid()?.mul(&state.cell.tanh()?)?;
        state.context.copy_from_slice(&samples[CHUNK - CONTEXT..]);
        let speech = self.output.forward(&state.hidden.relu()?)?.sigmoid()?;
        Ok(speech.to_vec_sync::<f32>()?[0])
    }
}
