//! language-peers GGUF RUNS TOKENS: candle's tokens a second on a Llama in a GGUF file, as one line of JSON in which each
//! measurement has its runs. Threads: `RAYON_NUM_THREADS`.

use candle_core::{Device, Result, Tensor, quantized::gguf_file};
use candle_transformers::models::quantized_llama::ModelWeights;
use std::{fs::File, time::Instant};

/// Lengths of the prompts that are measured.
const PROMPTS: [usize; 2] = [128, 512];

/// Computes `ids` from `position` on; the likeliest next id.
fn forward(model: &mut ModelWeights, ids: &[u32], position: usize) -> Result<u32> {
    let input = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
    model.forward(&input, position)?.squeeze(0)?.argmax(0)?.to_scalar()
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, otherwise| arguments.get(i).and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (runs, tokens): (usize, usize) = (number(1, 5), number(2, 64));
    let mut file = File::open(arguments.first().map_or("model.gguf", String::as_str))?;
    let content = gguf_file::Content::read(&mut file)?;
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
    // The same walk through the vocabulary as `votive bench` takes (Knuth's multiplicative hash).
    let ids = |count: usize| (1..=count as u64).map(|i| (i * 2_654_435_761 % 49_152) as u32).collect::<Vec<_>>();
    let mut lines = Vec::new();
    for length in PROMPTS {
        let ids = ids(length);
        let mut speeds = Vec::new();
        for _ in 0..=runs {
            let start = Instant::now();
            forward(&mut model, &ids, 0)?;
            speeds.push(length as f64 / start.elapsed().as_secs_f64());
        }
        lines.push(format!("\"{length}\": {:?}", &speeds[1..]));
    }
    let prompt = ids(16);
    let mut speeds = Vec::new();
    for _ in 0..=runs {
        let mut next = forward(&mut model, &prompt, 0)?;
        let start = Instant::now();
        for i in 0..tokens {
            next = forward(&mut model, &[next], prompt.len() + i)?;
        }
        speeds.push(tokens as f64 / start.elapsed().as_secs_f64());
    }
    lines.push(format!("\"decode\": {:?}", &speeds[1..]));
    println!("{{{}}}", lines.join(", "));
    Ok(())
}
