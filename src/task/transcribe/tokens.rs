//! The tokens by which Whisper is told what to do, and those that it must not say.

use crate::{
    error::{Error, Result},
    text::Tokenizer,
};
use serde::Deserialize;

/// Seconds from one timestamp token to the next.
pub(super) const TIMESTAMP_STEP: f64 = 0.02;

/// Languages that Whisper knows: codes as in its tokens, and English names.
pub const LANGUAGES: [(&str, &str); 100] = [
    ("en", "english"),
    ("zh", "chinese"),
    ("de", "german"),
    ("es", "spanish"),
    ("ru", "russian"),
    ("ko", "korean"),
    ("fr", "french"),
    ("ja", "japanese"),
    ("pt", "portuguese"),
    ("tr", "turkish"),
    ("pl", "polish"),
    ("ca", "catalan"),
    ("nl", "dutch"),
    ("ar", "arabic"),
    ("sv", "swedish"),
    ("it", "italian"),
    ("id", "indonesian"),
    ("hi", "hindi"),
    ("fi", "finnish"),
    ("vi", "vietnamese"),
    ("he", "hebrew"),
    ("uk", "ukrainian"),
    ("el", "greek"),
    ("ms", "malay"),
    ("cs", "czech"),
    ("ro", "romanian"),
    ("da", "danish"),
    ("hu", "hungarian"),
    ("ta", "tamil"),
    ("no", "norwegian"),
    ("th", "thai"),
    ("ur", "urdu"),
    ("hr", "croatian"),
    ("bg", "bulgarian"),
    ("lt", "lithuanian"),
    ("la", "latin"),
    ("mi", "maori"),
    ("ml", "malayalam"),
    ("cy", "welsh"),
    ("sk", "slovak"),
    ("te", "telugu"),
    ("fa", "persian"),
    ("lv", "latvian"),
    ("bn", "bengali"),
    ("sr", "serbian"),
    ("az", "azerbaijani"),
    ("sl", "slovenian"),
    ("kn", "kannada"),
    ("et", "estonian"),
    ("mk", "macedonian"),
    ("br", "breton"),
    ("eu", "basque"),
    ("is", "icelandic"),
    ("hy", "armenian"),
    ("ne", "nepali"),
    ("mn", "mongolian"),
    ("bs", "bosnian"),
    ("kk", "kazakh"),
    ("sq", "albanian"),
    ("sw", "swahili"),
    ("gl", "galician"),
    ("mr", "marathi"),
    ("pa", "punjabi"),
    ("si", "sinhala"),
    ("km", "khmer"),
    ("sn", "shona"),
    ("yo", "yoruba"),
    ("so", "somali"),
    ("af", "afrikaans"),
    ("oc", "occitan"),
    ("ka", "georgian"),
    ("be", "belarusian"),
    ("tg", "tajik"),
    ("sd", "sindhi"),
    ("gu", "gujarati"),
    ("am", "amharic"),
    ("yi", "yiddish"),
    ("lo", "lao"),
    ("uz", "uzbek"),
    ("fo", "faroese"),
    ("ht", "haitian creole"),
    ("ps", "pashto"),
    ("tk", "turkmen"),
    ("nn", "nynorsk"),
    ("mt", "maltese"),
    ("sa", "sanskrit"),
    ("lb", "luxembourgish"),
    ("my", "myanmar"),
    ("bo", "tibetan"),
    ("tl", "tagalog"),
    ("mg", "malagasy"),
    ("as", "assamese"),
    ("tt", "tatar"),
    ("haw", "hawaiian"),
    ("ln", "lingala"),
    ("ha", "hausa"),
    ("ba", "bashkir"),
    ("jw", "javanese"),
    ("su", "sundanese"),
    ("yue", "cantonese"),
];

/// What `generation_config.json` says that matters here; everything in it may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GenerationConfig {
    pub alignment_heads: Option<Vec<(usize, usize)>>,
    pub suppress_tokens: Option<Vec<i64>>,
    pub begin_suppress_tokens: Option<Vec<i64>>,
    pub max_initial_timestamp_index: Option<u32>,
}

/// Ids of the special tokens of one model.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub start: u32,
    pub end: u32,
    /// Absent in models that know English only, as the languages are.
    pub tasks: Option<Tasks>,
    pub languages: Vec<(&'static str, u32)>,
    pub previous: Option<u32>,
    pub no_speech: Option<u32>,
    pub no_timestamps: u32,
    /// The timestamp 0.00; the others follow.
    pub first_timestamp: u32,
    /// Never said: what is not speech, and the special tokens.
    pub suppressed: Vec<u32>,
    /// Not said first: a space, the end.
    pub suppressed_first: Vec<u32>,
    pub max_initial_timestamp: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tasks {
    pub transcribe: u32,
    pub translate: u32,
}

impl Tokens {
    pub fn new(tokenizer: &Tokenizer, vocab_size: usize, config: &GenerationConfig) -> Result<Self> {
        let find = |token: &str| tokenizer.token_id(token).filter(|&id| (id as usize) < vocab_size);
        let need = |token: &str| {
            let missing = || Error::Unsupported(format!("a tokenizer without {token}: it is not Whisper's"));
            find(token).ok_or_else(missing)
        };
        let (start, end) = (need("<|startoftranscript|>")?, need("<|endoftext|>")?);
        let no_timestamps = need("<|notimestamps|>")?;
        // English-only models have the tokens of languages in their vocabulary, but were not trained on them.
        let multilingual = vocab_size >= 51_865;
        let languages = LANGUAGES.iter().filter(|_| multilingual);
        let languages: Vec<_> =
            languages.filter_map(|&(code, _)| Some((code, find(&format!("<|{code}|>"))?))).collect();
        let task_ids = (find("<|transcribe|>"), find("<|translate|>"));
        let tasks = match task_ids {
            (Some(transcribe), Some(translate)) if multilingual => Some(Tasks { transcribe, translate }),
            _ => None,
        };
        let previous = find("<|startofprev|>");
        let no_speech = find("<|nospeech|>").or_else(|| find("<|nocaptions|>"));
        let stated = |list: &Option<Vec<i64>>| {
            let valid = |&id: &i64| u32::try_from(id).ok().filter(|&id| (id as usize) < vocab_size);
            list.as_ref().map(|ids| ids.iter().filter_map(valid).collect::<Vec<_>>()).filter(|ids| !ids.is_empty())
        };
        let mut suppressed = match stated(&config.suppress_tokens) {
            Some(ids) => ids,
            None => not_speech(tokenizer)?,
        };
        suppressed.extend(
            [Some(start), task_ids.0, task_ids.1, previous, find("<|startoflm|>"), no_speech].into_iter().flatten(),
        );
        suppressed.sort_unstable();
        suppressed.dedup();
        let suppressed_first = match stated(&config.begin_suppress_tokens) {
            Some(ids) => ids,
            None => tokenizer.encode(" ", false)?.into_iter().chain([end]).collect(),
        };
        Ok(Self {
            start,
            end,
            tasks,
            languages,
            previous,
            no_speech,
            no_timestamps,
            first_timestamp: no_timestamps + 1,
            suppressed,
            suppressed_first,
            max_initial_timestamp: config.max_initial_timestamp_index.unwrap_or(50),
        })
    }

    /// The code of a language given by code (`de`, `de-AT`) or English name.
    pub fn language(&self, wanted: &str) -> Result<&'static str> {
        let lower = wanted.trim().to_ascii_lowercase();
        let code = lower.split(['-', '_']).next().unwrap_or_default();
        let known = LANGUAGES.iter().find(|(c, name)| *c == code || *name == lower).map(|l| l.0);
        match known {
            Some(code) if self.languages.iter().any(|l| l.0 == code) => Ok(code),
            Some("en") if self.languages.is_empty() => Ok("en"),
            Some(code) => Err(Error::argument("language", format!("{code}: this model knows {}", self.known()))),
            None => {
                Err(Error::argument("language", format!("{wanted:?} is no language that Whisper knows (en, german …)")))
            }
        }
    }

    fn known(&self) -> String {
        match self.languages.len() {
            0 => "English only".into(),
            n => format!("{n} others"),
        }
    }

    pub fn language_id(&self, code: &str) -> Option<u32> {
        self.languages.iter().find(|l| l.0 == code).map(|l| l.1)
    }

    /// Seconds that a timestamp token stands for.
    pub fn seconds(&self, id: u32) -> Option<f64> {
        Some(f64::from(id.checked_sub(self.first_timestamp)?) * TIMESTAMP_STEP)
    }
}

/// Tokens of notes, brackets and speakers' marks, which subtitles have and speech has not; chosen as OpenAI's tokenizer does.
fn not_speech(tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    const NOTES: &str = "♩♪♫♬♭♮♯";
    const MARKS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) \
                         [[ ]] {{ }} ♪♪ ♪♪♪";
    let mut found = Vec::new();
    for dash in [" -", " '"] {
        found.extend(tokenizer.encode(dash, false)?.first());
    }
    let notes = NOTES.chars().map(String::from);
    for mark in MARKS.split(' ').map(str::to_owned).chain(notes) {
        for text in [mark.clone(), format!(" {mark}")] {
            let ids = tokenizer.encode(&text, false)?;
            if ids.len() == 1 || NOTES.contains(&mark) {
                found.extend(ids.first());
            }
        }
    }
    Ok(found)
}
