//! Drawing tokens on the device that computes them: the next step begins with an id that the host has not seen, and the host
//! reads ids some steps behind.

use crate::{
    autograd::no_grad,
    backend::Reading,
    device::Device,
    dtype::DType,
    error::{Error, Result},
    op::{Op, Sampling},
    tensor::Tensor,
    text::{Rng, SamplingOptions},
};
use std::collections::VecDeque;

/// Draws tokens on a device. What the options say is done in the order that [`SamplingOptions`] states; random numbers are
/// those of [`Sampling`], so that a seed gives other tokens than on the host.
pub(super) struct DeviceSampler {
    sampling: Sampling,
    bias: Option<Tensor>,
    penalties: Option<Penalties>,
    /// Of tokens drawn and not yet known, oldest first.
    readings: VecDeque<Reading>,
    last: Option<Tensor>,
}

/// Penalties with what they count, `[vocabulary]` each.
struct Penalties {
    repetition: f64,
    frequency: f64,
    presence: f64,
    /// How often a token is in the answer.
    answer: Tensor,
    /// As `answer`, with the prompt.
    all: Tensor,
}

impl DeviceSampler {
    /// `None` where the host draws: on the processor, which waits for nothing, and for locally typical sampling and a window of
    /// penalties, which need more of a token's history or surroundings than kernels keep.
    pub fn new(options: &SamplingOptions, prompt: &[u32], vocabulary: usize, device: &Device) -> Result<Option<Self>> {
        let SamplingOptions { temperature, top_k, top_p, min_p, typical_p, repetition_penalty, .. } = *options;
        let typical = typical_p < 1.0 && temperature > 0.0;
        let windowed = options.repetition_window > 0 && repetition_penalty != 1.0;
        if device.is_cpu() || typical || windowed {
            return Ok(None);
        }
        let on_device = |values: &[f32]| Tensor::from_slice(values, [vocabulary], device);
        let mut bias = None;
        if !options.logit_bias.is_empty() {
            let mut values = vec![0.0; vocabulary];
            for (&id, &added) in &options.logit_bias {
                if let Some(value) = values.get_mut(id as usize) {
                    *value = added;
                }
            }
            bias = Some(on_device(&values)?);
        }
        let (frequency, presence) = (f64::from(options.frequency_penalty), f64::from(options.presence_penalty));
        let mut penalties = None;
        if repetition_penalty != 1.0 || frequency != 0.0 || presence != 0.0 {
            let mut counts = vec![0.0; vocabulary];
            for &id in prompt {
                if let Some(count) = counts.get_mut(id as usize) {
                    *count += 1.0;
                }
            }
            let (answer, all) = (on_device(&vec![0.0; vocabulary])?, on_device(&counts)?);
            penalties = Some(Penalties { repetition: repetition_penalty.into(), frequency, presence, answer, all });
        }
        let seed = options.seed.unwrap_or_else(Rng::entropy);
        let sampling = Sampling { temperature, top_k, top_p, min_p, seed, draw: 0 };
        Ok(Some(Self { sampling, bias, penalties, readings: VecDeque::new(), last: None }))
    }

    /// Does it only look for the likeliest token?
    #[cfg(feature = "webgpu")]
    pub fn is_greedy(&self) -> bool {
        self.sampling.temperature == 0.0 && self.penalties.is_none()
    }

    /// Tokens drawn that are not known yet.
    pub fn ahead(&self) -> usize {
        self.readings.len()
    }

    /// The token drawn last, `[1]`, on the device.
    pub fn last(&self) -> Option<&Tensor> {
        self.last.as_ref()
    }

    /// Draws a token from logits `[1, vocabulary]` and begins to read it.
    pub fn draw(&mut self, logits: &Tensor) -> Result<()> {
        let id = no_grad(|| self.drawn(logits))?;
        self.readings.push_back(id.reading());
        self.last = Some(id);
        Ok(())
    }

    fn drawn(&mut self, logits: &Tensor) -> Result<Tensor> {
        let mut logits = logits.clone();
        if let Some(bias) = &self.bias {
            logits = logits.add(bias)?;
        }
        if let Some(penalties) = &self.penalties {
            logits = penalties.applied(&logits)?;
        }
        let id = Tensor::apply(Op::Sample(self.sampling), &[&logits])?;
        self.sampling.draw += 1;
        if let Some(penalties) = &mut self.penalties {
            let one = Tensor::ones([1], DType::F32, id.device())?;
            penalties.answer = penalties.answer.scatter_add(0, &id, &one)?;
            penalties.all = penalties.all.scatter_add(0, &id, &one)?;
        }
        Ok(id)
    }

    /// The oldest token that is not known yet.
    pub async fn next(&mut self) -> Result<u32> {
        let none = || Error::argument("step", "no token was drawn");
        let read = self.readings.pop_front().ok_or_else(none)?.await?;
        read.as_slice::<u32>()?.first().copied().ok_or_else(none)
    }
}

impl Penalties {
    fn applied(&self, logits: &Tensor) -> Result<Tensor> {
        let mut logits = logits.clone();
        if self.repetition != 1.0 {
            let said = self.all.gt_scalar(0.0)?.broadcast_to(logits.shape())?;
            let less = logits.mul_scalar(1.0 / self.repetition)?;
            let lower = logits.gt_scalar(0.0)?.where_cond(&less, &logits.mul_scalar(self.repetition)?)?;
            logits = said.where_cond(&lower, &logits)?;
        }
        if self.frequency != 0.0 {
            logits = logits.sub(&self.answer.mul_scalar(self.frequency)?)?;
        }
        if self.presence != 0.0 {
            logits = logits.sub(&self.answer.clamp(0.0, 1.0)?.mul_scalar(self.presence)?)?;
        }
        Ok(logits)
    }
}

#[cfg(all(test, feature = "webgpu", not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::{
        backend::webgpu::{DeviceStats, WebGpuBackend},
        format::{Checkpoint, FileSource},
        models::{Decoder, DecoderConfig},
        nn::Weights,
        task::generation::AHEAD,
    };
    use pollster::block_on;
    use std::{
        io::Write,
        ops::ControlFlow,
        path::{Path, PathBuf},
        rc::Rc,
        sync::Arc,
        time::Instant,
    };

    /// A device of its own, whose counters no other test moves; `None` where there is no adapter.
    fn device() -> Option<Device> {
        match block_on(WebGpuBackend::open()) {
            Ok(backend) => Some(Device::of(Arc::new(backend))),
            Err(error) if std::env::var("VOTIVE_WEBGPU_TESTS").as_deref() == Ok("require") => panic!("{error}"),
            Err(_) => None,
        }
    }

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/models")
    }

    /// A tiny random model (tests/generators/tiny_models.py) on the GPU; `None` without one.
    fn tiny(name: &str) -> Option<Decoder> {
        Some(load(name, name, &device()?))
    }

    fn open(file: &str) -> Rc<Checkpoint> {
        let source = FileSource::open(folder().join(file)).unwrap();
        Rc::new(block_on(Checkpoint::open(vec![Box::new(source)])).unwrap())
    }

    fn load(name: &str, weights: &str, device: &Device) -> Decoder {
        let config = std::fs::read_to_string(folder().join(format!("{name}.config.json"))).unwrap();
        let weights = Weights::from_checkpoint(open(&format!("{weights}.safetensors")), device);
        let config = DecoderConfig::from_json(&config).unwrap();
        block_on(Decoder::load(config, &weights, &mut |_| ControlFlow::Continue(()))).unwrap()
    }

    /// Every family, as a prompt and token by token: what fused kernels compute, against transformers.
    #[test]
    fn webgpu_computes_what_transformers_computes() {
        let Some(device) = device() else { return };
        let cases: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder().join("cases.json")).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let model = load(name, case["weights"].as_str().unwrap(), &device);
            let expected = open(&format!("{name}.expected.safetensors"));
            let ids: Vec<u32> = block_on(expected.read("ids")).unwrap().bytes().iter().map(|&id| id.into()).collect();
            let wanted = block_on(expected.read("logits")).unwrap().as_slice::<f32>().unwrap().to_vec();
            // There the frequencies depend on how the sequence came in.
            let sizes = if ["llama_dynamic", "phi3_long"].contains(&name) { vec![24] } else { vec![20, 1, 1, 2] };
            let (mut cache, mut found, mut rest) = (model.new_cache(), Vec::new(), &ids[..]);
            for size in sizes {
                let (piece, tail) = rest.split_at(size);
                let logits = model.forward_all(piece, &mut cache).unwrap();
                found.extend(block_on(logits.to_vec::<f32>()).unwrap());
                rest = tail;
            }
            let worst = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // As on the processor: what is left is the order of sums, over logits of up to about 6.
            assert!(found.len() == wanted.len() && worst <= 1e-4, "{name}: logits differ by {worst}");
        }
    }

    /// What `tokens` tokens cost after a warm-up, and the seconds that the host spent on telling the device what to do. As
    /// `Generation` does: the device is ahead of what is read.
    fn decoding(model: &Decoder, options: &SamplingOptions, tokens: usize) -> (Vec<u32>, DeviceStats, f64) {
        let device = model.device();
        let prompt = [3, 1, 4, 1, 5];
        let mut sampler = DeviceSampler::new(options, &prompt, model.config().vocab_size, device).unwrap().unwrap();
        let mut cache = model.new_cache();
        model.reserve(prompt.len() + 2 * tokens, &mut cache).unwrap();
        sampler.draw(&model.forward(&prompt, &mut cache).unwrap()).unwrap();
        let (mut ids, mut before, mut encoding) = (Vec::new(), DeviceStats::default(), 0.0);
        while ids.len() < 2 * tokens {
            if ids.len() == tokens {
                (before, encoding) = (device.stats().unwrap(), 0.0);
            }
            let start = Instant::now();
            while sampler.ahead() <= AHEAD {
                let logits = model.forward_ids(sampler.last().unwrap(), &mut cache).unwrap();
                sampler.draw(&logits).unwrap();
            }
            encoding += start.elapsed().as_secs_f64();
            ids.push(block_on(sampler.next()).unwrap());
        }
        (ids, device.stats().unwrap() - before, encoding)
    }

    /// Hardware-independent costs of a token. The cache is read across a split of the keys on the way (at 64).
    #[test]
    fn webgpu_decodes_at_a_fixed_cost() {
        const TOKENS: usize = 40;
        // The tiny Llama has biases, which most published ones lack: Mistral is the same without.
        for (name, per_layer, beside) in [("mistral", 8, 4), ("gemma3", 10, 5)] {
            let Some(model) = tiny(name) else { return };
            let (_, cost, seconds) = decoding(&model, &SamplingOptions::default(), TOKENS);
            let each = |n: u64| n as f64 / TOKENS as f64;
            let layers = model.config().layers() as u64;
            // Past the test harness, which keeps to itself what passing tests say.
            let _ = writeln!(
                std::io::stderr(),
                "{name}, {layers} layers, a token: {} dispatches, {} submits, {} bind groups, {} buffers, {} pipelines, \
                 {} uploads, {} reads, {:.0} bytes of weights; {:.3} ms to encode",
                each(cost.dispatches),
                each(cost.submits),
                each(cost.bind_groups),
                each(cost.buffers),
                each(cost.pipelines),
                each(cost.uploads),
                each(cost.reads),
                each(cost.weight_bytes),
                seconds * 1e3 / TOKENS as f64,
            );
            let tokens = TOKENS as u64;
            assert!(cost.dispatches <= tokens * (per_layer * layers + beside), "{name}: {cost:?}");
            let created = [cost.bind_groups, cost.buffers, cost.pipelines, cost.uploads];
            assert_eq!(created, [0; 4], "{name}: {cost:?}");
            assert_eq!((cost.submits, cost.reads), (tokens, tokens), "{name}: {cost:?}");
        }
    }

    /// The tokens that the host would choose, greedily and by penalties; a seed gives the same tokens again.
    #[test]
    fn webgpu_draws_what_the_host_draws() {
        let Some(model) = tiny("llama") else { return };
        let greedy = SamplingOptions::default();
        let penalised = SamplingOptions {
            repetition_penalty: 1.3,
            frequency_penalty: 0.5,
            presence_penalty: 0.2,
            logit_bias: [(7, 2.5), (9, f32::NEG_INFINITY)].into(),
            ..SamplingOptions::default()
        };
        for options in [greedy, penalised] {
            let mut host = crate::text::Sampler::new(options.clone()).unwrap();
            let (mut cache, mut next, mut wanted) = (model.new_cache(), vec![3, 1, 4, 1, 5], Vec::new());
            host.accept_prompt(&next);
            for _ in 0..24 {
                let logits = block_on(model.forward(&next, &mut cache).unwrap().to_vec::<f32>()).unwrap();
                let id = host.sample(&logits).unwrap();
                host.accept(id);
                wanted.push(id);
                next = vec![id];
            }
            assert_eq!(decoding(&model, &options, 12).0, wanted, "{options:?}");
        }
        let random = SamplingOptions { temperature: 1.0, top_p: 0.9, seed: Some(5), ..SamplingOptions::default() };
        let first = decoding(&model, &random, 8).0;
        assert_eq!(decoding(&model, &random, 8).0, first);
        assert_ne!(decoding(&model, &SamplingOptions { seed: Some(6), ..random }, 8).0, first);
    }

    /// Kernels against the decomposition on the processor, which has the same noise: rows of a vocabulary that several
    /// workgroups share.
    #[test]
    fn webgpu_samples_as_the_decomposition() -> Result<()> {
        let Some(device) = device() else { return Ok(()) };
        let (rows, tokens) = (16, 5000);
        let logits =
            Tensor::randn([rows, tokens], DType::F32, &Device::cpu(), &crate::Generator::new(1))?.mul_scalar(3.0)?;
        let there = block_on(logits.to_device(&device))?;
        for (temperature, top_k, top_p, min_p) in
            [(0.0, 0, 1.0, 0.0), (1.0, 0, 1.0, 0.0), (0.8, 50, 1.0, 0.0), (1.2, 0, 0.9, 0.0), (0.7, 40, 0.95, 0.05)]
        {
            let sampling = Sampling { temperature, top_k, top_p, min_p, seed: 1 << 40 | 3, draw: 7 };
            let found = Tensor::apply(Op::Sample(sampling), &[&there])?.to_vec_sync::<u32>()?;
            let wanted = Tensor::apply(Op::Sample(sampling), &[&logits])?.to_vec_sync::<u32>()?;
            assert_eq!(found, wanted, "{sampling:?}");
        }
        Ok(())
    }
}
