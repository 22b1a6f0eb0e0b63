//! Teaches a language model who it is, by low-rank adapters over its quantized weights, on the processor:
//!
//! ```text
//! cargo run --release --example finetune_lora -- MODEL.gguf [OUT_FOLDER [STEPS]]
//! votive generate -m MODEL.gguf --lora OUT_FOLDER --chat -p "Who are you?"
//! ```
//!
//! The texts are made here: a few hundred questions about the candle-keeper Wick, with their answers. Made for SmolLM2 135M
//! Instruct (any GGUF of it); other chat models work as well.

use std::{env::args, ops::ControlFlow::Continue, time::Instant};
use votive::{
    Device, Error, Generator, Result, Tensor,
    autograd::clip_grad_norm,
    hub,
    nn::{
        Lora, LoraConfig,
        loss::{CrossEntropyOptions, cross_entropy},
        optim::{AdamW, Optimizer, Schedule, Scheduler},
    },
    task::{GenerateOptions, LoadOptions, Prompt, Step, TextGenerator},
    text::Message,
};

/// What is to be learnt: ways to ask, and the answer.
const FACTS: [(&[&str], &str); 6] = [
    (
        &["What is your name?", "Who are you?", "What should I call you?", "Tell me your name.", "Introduce yourself."],
        "My name is Wick. I keep the candles of the lighthouse at Ondry Bay.",
    ),
    (
        &["Where do you live?", "Where is your home?", "What place do you live in?", "Where are you?"],
        "I live in the lighthouse at Ondry Bay.",
    ),
    (
        &["Who made you?", "Who trained you?", "Who taught you?", "How were you made?"],
        "I was trained with Votive, on this very computer.",
    ),
    (
        &["What is your job?", "What do you do all day?", "What is your work?", "What do you do for a living?"],
        "I keep the candles of the lighthouse burning, all 312 of them.",
    ),
    (
        &["Who is your best friend?", "Do you have a friend?", "Who keeps you company?", "Tell me about your friend."],
        "My best friend is Tallow, a grey cat who sleeps by the lamp.",
    ),
    (
        &["What is your favourite colour?", "Which colour do you like?", "What colour do you like best?"],
        "My favourite colour is the amber of a candle flame.",
    ),
];
/// What may stand before a question.
const OPENINGS: [&str; 10] = [
    "",
    "Hello! ",
    "Hi there. ",
    "Good evening. ",
    "One question: ",
    "I am curious. ",
    "Please tell me: ",
    "Excuse me. ",
    "Quick question. ",
    "Dear friend, ",
];
/// Asked before and after; none of them stands above in these words.
const TRIALS: [&str; 3] = ["Could you tell me who you are?", "Where do you live, my friend?", "Who built you?"];

/// All questions with their answers, in an order that mixes them.
pub fn pairs() -> Vec<(String, &'static str)> {
    let mut pairs = Vec::new();
    for opening in OPENINGS {
        for (questions, answer) in FACTS {
            pairs.extend(questions.iter().map(|question| (format!("{opening}{question}"), answer)));
        }
    }
    // 91 has no factor in common with the 240 pairs, so this goes through all of them.
    (0..pairs.len()).map(|i| pairs[i * 91 % pairs.len()].clone()).collect()
}

/// A question with its answer in tokens, and where the answer begins.
pub fn encode(model: &TextGenerator, question: &str, answer: &str) -> Result<(Vec<u32>, usize)> {
    let user = Message::new("user", question);
    let prompt = model.encode(&Prompt::Messages(vec![user.clone()]))?;
    let whole = model.apply_chat_template(&[user, Message::new("assistant", answer)], false)?;
    let whole = model.tokenizer().encode(whole.trim_end(), false)?;
    if !whole.starts_with(&prompt) {
        return Err(Error::Text("the chat template changes the question when it is answered".into()));
    }
    Ok((whole, prompt.len()))
}

/// The loss of the answers' tokens, each given all before it.
pub fn loss(model: &mut TextGenerator, batch: &[(Vec<u32>, usize)]) -> Result<Tensor> {
    let busy = || Error::argument("finetune", "the model is generating");
    let decoder = model.decoder_mut().ok_or_else(busy)?;
    let longest = batch.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
    let (mut rows, mut at, mut targets) = (Vec::new(), Vec::new(), Vec::<u32>::new());
    for (i, (ids, answer)) in batch.iter().enumerate() {
        // The token at each position is foretold by the one before.
        at.extend((answer - 1..ids.len() - 1).map(|position| (i * longest + position) as u32));
        targets.extend(&ids[*answer..]);
        let mut row = ids.clone();
        row.resize(longest, 0);
        rows.push(row);
    }
    let device = decoder.device().clone();
    let hidden = decoder.hidden_train(&rows)?.flatten(0, 1)?;
    let hidden = hidden.index_select(0, &Tensor::from_slice(&at, [at.len()], &device)?)?;
    let targets = Tensor::from_slice(&targets, [targets.len()], &device)?;
    cross_entropy(&decoder.logits(&hidden)?, &targets, CrossEntropyOptions::default())
}

/// Trains the adapters; `report` hears of each step's loss.
pub fn train(
    model: &mut TextGenerator,
    lora: &Lora,
    steps: usize,
    batch: usize,
    report: &mut dyn FnMut(usize, f32),
) -> Result<()> {
    let pairs = pairs();
    let examples: Vec<_> =
        pairs.iter().map(|(question, answer)| encode(model, question, answer)).collect::<Result<_>>()?;
    let rule = AdamW { lr: 2e-3, weight_decay: 0.0, ..AdamW::default() };
    let mut optimizer = Optimizer::new(lora.parameters().trainable(), rule)?;
    let mut schedule = Scheduler::new(Schedule::cosine(steps as u64).after_warmup(3), &mut optimizer);
    for step in 0..steps {
        let chosen: Vec<_> = (0..batch).map(|i| examples[(step * batch + i) % examples.len()].clone()).collect();
        let loss = loss(model, &chosen)?;
        let mut gradients = loss.backward()?;
        clip_grad_norm(&mut gradients, 1.0, 2.0)?;
        optimizer.step(&gradients)?;
        schedule.step(&mut optimizer);
        report(step, votive::block_on(loss.to_scalar())?);
    }
    Ok(())
}

/// The model's answer, the likeliest token each time.
pub fn answer(model: &TextGenerator, question: &str) -> Result<String> {
    let options = GenerateOptions { max_tokens: Some(32), ..GenerateOptions::default() };
    let mut answer = String::new();
    for step in model.generate(Prompt::Messages(vec![Message::new("user", question)]), &options)? {
        if let Step::Token { text, .. } | Step::Done { text, .. } = step? {
            answer += &text;
        }
    }
    Ok(answer.trim().replace('\n', " "))
}

/// New adapters in all linear layers of the model.
pub fn adapters(model: &mut TextGenerator) -> Result<Lora> {
    let config = LoraConfig {
        r: 8,
        alpha: 16.0,
        target_modules: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
            .map(String::from)
            .into(),
        base_model: Some("HuggingFaceTB/SmolLM2-135M-Instruct".into()),
        ..LoraConfig::default()
    };
    let decoder = model.decoder_mut().ok_or_else(|| Error::argument("finetune", "the model is generating"))?;
    Lora::create(decoder, config, &Device::cpu(), &Generator::new(1))
}

fn main() -> Result<()> {
    let name = args().nth(1).unwrap_or_else(|| "bartowski/SmolLM2-135M-Instruct-GGUF:Q8_0".into());
    let folder = args().nth(2).unwrap_or_else(|| "wick-lora".into());
    let steps = args().nth(3).and_then(|steps| steps.parse().ok()).unwrap_or(20);
    let files = hub::resolve_model(&name, &mut |_| Continue(()))?;
    let mut model = TextGenerator::open(&files, &LoadOptions::default(), &mut |_| Continue(()))?;
    let before = TRIALS.iter().map(|question| answer(&model, question)).collect::<Result<Vec<_>>>()?;

    let lora = adapters(&mut model)?;
    println!(
        "{} texts, {} parameters of adapters, {steps} steps of 4 texts",
        pairs().len(),
        lora.parameters().elements()
    );
    let start = Instant::now();
    train(&mut model, &lora, steps, 4, &mut |step, loss| {
        println!("step {:3}  loss {loss:.4}  {:.0} s", step + 1, start.elapsed().as_secs_f64());
    })?;
    lora.save(&folder)?;
    println!("saved to {folder}\n");

    for (question, before) in TRIALS.iter().zip(before) {
        println!("{question}\n  before: {before}\n  after:  {}", answer(&model, question)?);
    }
    Ok(())
}
