//! Live sound: voice activity against Silero's own network, partial and committed text, and memory that does not grow.
#![cfg(feature = "whisper")]

mod common;

use common::{golden, golden_json, model};
use pollster::block_on;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    ops::ControlFlow,
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use votive::{
    Device,
    audio::AudioFile,
    format::{Checkpoint, FileSource},
    models::silero::SileroVad,
    nn::Weights,
    task::{
        LiveOptions, Segment, Timestamps, TranscribeOptions, TranscribeStep, Transcriber, TranscriberOptions,
        Transcription,
    },
};

/// Counts the bytes that are in use.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
/// One test at a time, so that the bytes are its own.
static ALONE: Mutex<()> = Mutex::new(());

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn megabytes() -> f64 {
    USED.load(Ordering::Relaxed) as f64 / 1e6
}

fn tiny() -> Transcriber {
    let files = ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"];
    let paths: Vec<PathBuf> = files.iter().map(|f| model(&format!("whisper-tiny.en/{f}"))).collect();
    Transcriber::open(&paths, &Device::cpu(), &TranscriberOptions::default(), &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

fn silero() -> Arc<SileroVad> {
    let source = FileSource::open(model("silero-vad/silero_vad_16k.safetensors")).unwrap();
    let checkpoint = block_on(Checkpoint::open(vec![Box::new(source)])).unwrap();
    let weights = Weights::from_checkpoint(Rc::new(checkpoint), &Device::cpu());
    Arc::new(block_on(SileroVad::load(&weights)).unwrap())
}

fn jfk() -> Vec<f32> {
    let (mut file, mut samples) = (AudioFile::open(golden("audio/jfk.wav")).unwrap(), Vec::new());
    while file.next(&mut samples).unwrap() {}
    samples
}

fn words(text: &str) -> Vec<String> {
    let plain = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    text.chars().map(plain).collect::<String>().split_whitespace().map(str::to_owned).collect()
}

/// Runs a transcription, a piece of sound at a time, and gives each step that brings something to `on_step`.
fn run<'a>(
    mut transcription: Transcription,
    mut pieces: impl Iterator<Item = &'a [f32]>,
    on_step: &mut dyn FnMut(&TranscribeStep, &Transcription),
) {
    loop {
        let step = block_on(transcription.step()).unwrap();
        on_step(&step, &transcription);
        match step {
            TranscribeStep::NeedAudio => match pieces.next() {
                Some(piece) => transcription.push(piece).unwrap(),
                None => transcription.finish(),
            },
            TranscribeStep::Done(_) => return,
            _ => {}
        }
    }
}

/// Live sound in pieces of a tenth of a second: its segments. On the way, what was committed must stay.
fn live(
    tiny: &Transcriber,
    samples: &[f32],
    options: &TranscribeOptions,
    voice: Option<Arc<SileroVad>>,
) -> Vec<Segment> {
    let transcription = tiny.start_live(options, &LiveOptions::default(), voice).unwrap();
    let (mut segments, mut committed, mut drafts) = (Vec::new(), String::new(), 0);
    run(transcription, samples.chunks(1600), &mut |step, transcription| match step {
        TranscribeStep::Partial(partial) => {
            println!("{:.1}–{:.1} {} [{}]", partial.start, partial.end, partial.committed, partial.text);
            assert!(partial.committed.starts_with(&committed), "{committed:?} became {:?}", partial.committed);
            committed.clone_from(&partial.committed);
            assert!(partial.end <= transcription.duration() && partial.start < partial.end);
            drafts += 1;
        }
        TranscribeStep::Segment(segment) => {
            println!("{:.1}–{:.1}{}", segment.start, segment.end, segment.text);
            assert!(segment.text.starts_with(&committed), "{committed:?} became {:?}", segment.text);
            committed.clear();
            segments.push(segment.clone());
        }
        _ => {}
    });
    assert!(drafts >= 5, "{drafts} drafts of {} seconds", samples.len() / 16_000);
    segments
}

#[test]
fn silero_is_the_reference() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let expected = golden_json("whisper/silero.json");
    let expected = expected["probabilities"].as_array().unwrap();
    let silence = vec![0.0; 16_000];
    let samples = [&silence[..], &jfk(), &silence].concat();
    let model = silero();
    let mut state = model.start().unwrap();
    for (i, (chunk, expected)) in samples.chunks_exact(SileroVad::CHUNK).zip(expected).enumerate() {
        let got = f64::from(model.hear(chunk, &mut state).unwrap());
        let expected = expected.as_f64().unwrap();
        // Sums in another order, carried on over four hundred steps.
        assert!((got - expected).abs() < 1e-4, "chunk {i}: {got}, expected {expected}");
    }
    assert!(model.hear(&samples[..100], &mut state).is_err());
}

/// An utterance after silence: the words of a hearing of the whole, at the times at which they are said. The smallest model
/// hears "asked" for "ask" when its window begins elsewhere.
#[test]
fn utterances_are_heard_while_they_are_said() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tiny = tiny();
    let silence = vec![0.0; 2 * 16_000];
    let speech = jfk();
    let samples = [&silence[..], &speech, &silence].concat();
    let expected = words(golden_json("whisper/tiny.en_reference_jfk.json")["text"].as_str().unwrap());
    let options = TranscribeOptions { timestamps: Timestamps::Word, ..TranscribeOptions::default() };
    for voice in [Some(silero()), None] {
        let segments = live(&tiny, &samples, &options, voice);
        let text: String = segments.iter().map(|s| s.text.as_str()).collect();
        assert!(errors(&words(&text), &expected) <= 2, "{text}");
        assert!((segments[0].start - 2.2).abs() < 0.4, "{}", segments[0].start);
        let end = segments.last().unwrap().end;
        assert!((12.2..13.2).contains(&end), "{end}");
        for segment in &segments {
            let words = segment.words.as_ref().unwrap();
            assert_eq!(words.iter().map(|w| w.text.as_str()).collect::<String>(), segment.text);
            assert!(words.windows(2).all(|w| w[0].end <= w[1].start + 1e-9 && w[0].start >= segment.start));
        }
    }
}

/// Speech without a pause is cut between two words, and nothing is lost.
#[test]
fn running_speech_is_cut_between_words() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tiny = tiny();
    let options = TranscribeOptions::default();
    // Pauses as short as those inside the speech; cut after 9 of 22 seconds.
    let speech = [jfk(), jfk()].concat();
    let settings = LiveOptions { longest: 9.0, pause: 2.0, interval: 4.0, ..LiveOptions::default() };
    let mut segments = Vec::new();
    let transcription = tiny.start_live(&options, &settings, None).unwrap();
    // All at once: it must be worked off in order.
    run(transcription, std::iter::once(&speech[..]), &mut |step, _| {
        if let TranscribeStep::Segment(segment) = step {
            println!("{:.1}–{:.1}{}", segment.start, segment.end, segment.text);
            segments.push(segment.clone());
        }
    });
    assert!(segments.len() >= 3, "{}", segments.len());
    assert!(segments.windows(2).all(|s| s[0].end <= s[1].start + 0.01 && s[0].id + 1 == s[1].id));
    let text: String = segments.iter().map(|s| s.text.as_str()).collect();
    let expected = words(golden_json("whisper/tiny.en_reference_jfk.json")["text"].as_str().unwrap());
    let got = words(&text);
    let wrong = errors(&got, &[&expected[..], &expected].concat());
    assert!(wrong <= 4, "{wrong} of 44 words differ: {text}");
}

/// Words to change, add and take away (Levenshtein).
fn errors(got: &[String], expected: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=expected.len()).collect();
    for (i, word) in got.iter().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, wanted) in expected.iter().enumerate() {
            let here = row[j + 1];
            row[j + 1] = (before + usize::from(word != wanted)).min(here.min(row[j]) + 1);
            before = here;
        }
    }
    row[expected.len()]
}

/// Ten minutes of clips joined give the text of the clips, and memory does not grow on the way. They are one clip again and
/// again, so that repetitions must count as speech here: otherwise each window is decoded at every temperature.
#[test]
fn ten_minutes_are_heard_as_their_pieces() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tiny = tiny();
    let speech = jfk();
    let pause = vec![0.0; 12_000];
    let options = TranscribeOptions {
        language: Some("en".into()),
        compression_ratio_threshold: None,
        ..TranscribeOptions::default()
    };
    let one = words(&block_on(tiny.transcribe(&speech, &options)).unwrap().text);
    let count = 600 * 16_000 / (speech.len() + pause.len()) + 1;
    let mut text = String::new();
    let (mut early, mut late) = (0f64, 0f64);
    let pieces = (0..count).flat_map(|_| speech.chunks(16_000).chain(pause.chunks(16_000)));
    run(tiny.start(&options).unwrap(), pieces, &mut |step, transcription| {
        let most = if transcription.duration() < 120.0 { &mut early } else { &mut late };
        *most = most.max(megabytes());
        if let TranscribeStep::Segment(segment) = step {
            text.push_str(&segment.text);
        }
    });
    let expected: Vec<String> = (0..count).flat_map(|_| one.clone()).collect();
    let wrong = errors(&words(&text), &expected);
    println!("{wrong} of {} words; {early:.1} MB, then {late:.1} MB", expected.len());
    assert!(wrong as f64 <= 0.02 * expected.len() as f64, "{wrong} of {} words differ: {text}", expected.len());
    // A text that is longer than those before takes a little more; sixteen windows that are not let go of would take 15 MB.
    assert!(late < early + 3.0, "{early} MB in the first two minutes, {late} MB later");
}

/// An hour of silence and clicks costs the detection of speech only, and holds nothing.
#[test]
fn an_hour_without_speech_is_forgotten() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tiny = tiny();
    let transcription = tiny.start_live(&TranscribeOptions::default(), &LiveOptions::default(), None).unwrap();
    let mut quiet: Vec<f32> = (0..160_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 * 1e-8).collect();
    quiet[8000] = 0.5;
    let before = megabytes();
    let (mut most, mut said) = (0f64, 0);
    run(transcription, (0..360).map(|_| &quiet[..]), &mut |step, transcription| {
        most = most.max(megabytes() - before);
        said += usize::from(matches!(step, TranscribeStep::Segment(_)));
        assert!(transcription.position() + 12.0 > transcription.duration());
    });
    assert_eq!(said, 0);
    assert!(most < 12.0, "{most} MB");
}
