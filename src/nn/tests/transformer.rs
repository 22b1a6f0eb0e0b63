//! The small transformer of docs/pytorch.md, ported: training follows PyTorch's.

use super::{cpu, floats, golden};
use crate::{
    Device, Result, Tensor,
    autograd::clip_grad_norm,
    block_on,
    nn::{
        Activation, AttentionMask, Embedding, Init, Linear, Parameter, Parameters, TransformerEncoder,
        TransformerOptions, Weights,
        loss::{CrossEntropyOptions, cross_entropy},
        optim::{AdamW, Optimizer, Schedule, Scheduler},
    },
};

const LENGTH: usize = 12;

struct Classifier {
    embedding: Embedding,
    position: Parameter,
    encoder: TransformerEncoder,
    head: Linear,
}

impl Classifier {
    async fn load(weights: &Weights, vocabulary: usize, size: usize, classes: usize) -> Result<Self> {
        let options = TransformerOptions {
            heads: 4,
            feedforward: 4 * size,
            dropout: 0.0,
            activation: Activation::Gelu,
            batch_first: true,
            norm_first: true,
            ..TransformerOptions::default()
        };
        let normal = Init::Normal { mean: 0.0, std: 0.02 };
        Ok(Self {
            embedding: Embedding::load(&weights.pp("embedding"), vocabulary, size).await?,
            position: weights.parameter("position", [LENGTH, size], normal).await?,
            encoder: TransformerEncoder::load(&weights.pp("encoder"), size, 2, &options, true).await?,
            head: Linear::load(&weights.pp("head"), size, classes, true).await?,
        })
    }

    fn forward(&self, ids: &Tensor, padding: &Tensor) -> Result<Tensor> {
        let x = self.embedding.forward(ids)?.add(&self.position.get().narrow(0, 0, ids.dim(1)?)?)?;
        let mask = AttentionMask { key_padding: Some(padding), ..AttentionMask::default() };
        let x = self.encoder.forward(&x, mask)?;
        let real = padding.eq_scalar(0.0)?.unsqueeze(-1)?.to_dtype(x.dtype())?;
        self.head.forward(&x.mul(&real)?.sum(1)?.div(&real.sum(1)?)?)
    }
}

fn train(device: &Device) -> Result<()> {
    let golden = golden("transformer");
    let parameters = Parameters::new();
    let model = block_on(Classifier::load(&Weights::from_parameters(&parameters, device), 24, 24, 4))?;
    parameters.load_state(&golden.take("model"))?;
    let mut optimizer = Optimizer::new(parameters.trainable(), AdamW { lr: 3e-3, ..AdamW::default() })?;
    let mut schedule = Scheduler::new(Schedule::cosine(100), &mut optimizer);
    let [ids, padding, classes] = ["ids", "padding", "classes"].map(|name| &golden.tensors[name]);
    let mut largest = 0.0f32;
    for (step, wanted) in floats(&golden.tensors["losses"]).into_iter().enumerate() {
        let logits = model.forward(&ids.select(0, step)?, &padding.select(0, step)?)?;
        let loss = cross_entropy(&logits, &classes.select(0, step)?, CrossEntropyOptions::default())?;
        let mut gradients = loss.backward()?;
        clip_grad_norm(&mut gradients, 1.0, 2.0)?;
        optimizer.step(&gradients)?;
        schedule.step(&mut optimizer);
        let difference = (floats(&loss)[0] - wanted).abs();
        largest = largest.max(difference);
        assert!(difference < 1e-3, "step {step}: loss {} instead of {wanted}", floats(&loss)[0]);
    }
    println!("largest difference of a loss: {largest:e}");
    Ok(())
}

#[test]
fn a_ported_transformer_follows_pytorch() -> Result<()> {
    train(&cpu())
}
