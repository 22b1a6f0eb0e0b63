//! Trains a small transformer to write text letter by letter, on the source code of this crate.
//!
//!     cargo run --release --example train_char
//!
//! It prints the loss in files that it was not trained on (4.68 at first, 1.95 after half of its 600 steps), and writes something
//! that looks like Rust.

use std::{fs, path::Path, time::Instant};
use votive::{
    DType, Device, Generator, Result, Tensor,
    autograd::{clip_grad_norm, no_grad},
    block_on,
    nn::{
        Activation, AttentionMask, Embedding, Init, Linear, Parameter, Parameters, TransformerEncoder,
        TransformerOptions, Weights,
        loss::{CrossEntropyOptions, cross_entropy},
        optim::{AdamW, Optimizer, Schedule, Scheduler},
    },
};

/// Newline, the printable characters of ASCII, and one for all others.
const CHARACTERS: usize = 97;
/// How many characters it sees.
const CONTEXT: usize = 64;
const SIZE: usize = 96;

fn main() -> Result<()> {
    let (model, loss) = train(600, &mut |line| println!("{line}"))?;
    println!("loss in files that were not trained on: {loss:.3}\n");
    println!("{}", model.write("/// The ", 400, 0.7, &Generator::new(3))?);
    Ok(())
}

fn encode(character: char) -> u8 {
    match character {
        '\n' => 0,
        ' '..='~' => character as u8 - 31,
        _ => 96,
    }
}

fn decode(id: u32) -> char {
    match id {
        0 => '\n',
        96 => '?',
        id => char::from(id as u8 + 31),
    }
}

/// The source files of this crate: those to train on, and every tenth to measure with.
fn corpus() -> [Vec<u8>; 2] {
    fn collect(folder: &Path, files: &mut Vec<String>) {
        let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.extend(fs::read_to_string(path));
            }
        }
    }
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut parts = [Vec::new(), Vec::new()];
    for (i, file) in files.iter().enumerate() {
        parts[usize::from(i % 10 == 9)].extend(file.chars().map(encode));
    }
    parts
}

/// Predicts each next character.
pub struct Model {
    characters: Embedding,
    positions: Parameter,
    blocks: TransformerEncoder,
    head: Linear,
}

impl Model {
    async fn load(weights: &Weights) -> Result<Self> {
        let options = TransformerOptions {
            heads: 4,
            feedforward: 4 * SIZE,
            dropout: 0.0,
            activation: Activation::Gelu,
            batch_first: true,
            norm_first: true,
            ..TransformerOptions::default()
        };
        let small = Init::Normal { mean: 0.0, std: 0.02 };
        Ok(Self {
            characters: Embedding::new(weights.parameter("characters", [CHARACTERS, SIZE], small).await?),
            positions: weights.parameter("positions", [CONTEXT, SIZE], small).await?,
            blocks: TransformerEncoder::load(&weights.pp("blocks"), SIZE, 2, &options, true).await?,
            head: Linear::load(&weights.pp("head"), SIZE, CHARACTERS, false).await?,
        })
    }
    /// Ids `[batch, time]` → logits `[batch, time, CHARACTERS]`.
    fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let positions = self.positions.get().narrow(0, 0, ids.dim(1)?)?;
        let x = self.characters.forward(ids)?.add(&positions)?;
        self.head.forward(&self.blocks.forward(&x, AttentionMask::CAUSAL)?)
    }
    /// The mean loss of sequences `[batch, CONTEXT + 1]`, each character predicted from those before.
    fn loss(&self, sequences: &Tensor) -> Result<Tensor> {
        let logits = self.forward(&sequences.narrow(1, 0, CONTEXT)?)?.reshape([votive::HOLE, CHARACTERS])?;
        cross_entropy(&logits, &sequences.narrow(1, 1, CONTEXT)?.flatten_all()?, CrossEntropyOptions::default())
    }
    /// Goes on with a text.
    pub fn write(&self, start: &str, count: usize, temperature: f64, generator: &Generator) -> Result<String> {
        let mut ids: Vec<u32> = start.chars().map(|c| encode(c).into()).collect();
        for _ in 0..count {
            let seen = &ids[ids.len().saturating_sub(CONTEXT)..];
            let seen = Tensor::from_slice(seen, [1, seen.len()], &Device::cpu())?;
            let logits = no_grad(|| self.forward(&seen))?;
            let last = logits.select(1, seen.dim(1)? - 1)?;
            let next = last.div_scalar(temperature)?.softmax(-1)?.multinomial(1, true, generator)?;
            ids.extend(next.to_vec_sync::<u32>()?);
        }
        Ok(ids.into_iter().map(decode).collect())
    }
}

/// Random stretches of a text, `[batch, CONTEXT + 1]`.
fn sample(text: &[u8], batch: usize, generator: &Generator) -> Result<Tensor> {
    let last = (text.len() - CONTEXT) as i64;
    let starts = Tensor::randint(0, last, batch, DType::I64, &Device::cpu(), generator)?.to_vec_sync::<i64>()?;
    let stretches = starts.iter().flat_map(|&at| &text[at as usize..at as usize + CONTEXT + 1]);
    let ids: Vec<u32> = stretches.map(|&id| id.into()).collect();
    Tensor::from_slice(&ids, [batch, CONTEXT + 1], &Device::cpu())
}

/// Trains and gives the model with its loss in files that it was not trained on.
pub fn train(steps: u64, log: &mut dyn FnMut(String)) -> Result<(Model, f32)> {
    let (cpu, generator, parameters) = (Device::cpu(), Generator::new(0), Parameters::seeded(0));
    let [text, held_out] = corpus();
    let model = block_on(Model::load(&Weights::from_parameters(&parameters, &cpu)))?;
    log(format!("{} characters to learn from, {} parameters", text.len(), parameters.elements()));
    // No weight decay of biases, norms and positions.
    let decayed = |name: &str| name.ends_with("weight") && !name.contains("norm");
    let rule = AdamW { lr: 4e-3, weight_decay: 0.05, ..AdamW::default() };
    let mut optimizer = Optimizer::new(parameters.trainable_if(decayed), rule)?;
    optimizer.add_group(parameters.trainable_if(|name| !decayed(name)), AdamW { weight_decay: 0.0, ..rule })?;
    let warmup = steps / 20;
    let mut schedule = Scheduler::new(Schedule::cosine(steps - warmup).after_warmup(warmup), &mut optimizer);
    let measure = sample(&held_out, 64, &generator)?;
    let held_out_loss = || no_grad(|| model.loss(&measure))?.to_vec_sync::<f32>().map(|v| v[0]);
    let start = Instant::now();
    for step in 0..steps {
        if step % 100 == 0 {
            let seconds = start.elapsed().as_secs_f32();
            log(format!("step {step}: loss {:.3}, {seconds:.1} s", held_out_loss()?));
        }
        let mut gradients = model.loss(&sample(&text, 32, &generator)?)?.backward()?;
        clip_grad_norm(&mut gradients, 1.0, 2.0)?;
        optimizer.step(&gradients)?;
        schedule.step(&mut optimizer);
    }
    let loss = held_out_loss()?;
    Ok((model, loss))
}
