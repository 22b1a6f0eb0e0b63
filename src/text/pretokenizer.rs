//! How BPE models cut text into words before merging, by the name that GGUF files give (`tokenizer.ggml.pre`).
//!
//! The expressions are those published in the models' own tokenizer.json files; the names are llama.cpp's.

use crate::error::{Error, Result};
use fancy_regex::Regex;

/// Contractions, words with one leading space, digit runs, punctuation runs, spaces: GPT-2's own expression.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";
const DEEPSEEK_LETTERS: &str = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";
const DEEPSEEK_V3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

/// What a pre-tokenizer name stands for.
pub(super) struct Preset {
    /// Applied one after the other: each cuts the pieces of the one before into its matches and what lies between.
    pub expressions: &'static [&'static str],
    /// A word that is a token as a whole is taken without merging.
    pub whole_words: bool,
    /// The default of `tokenizer.ggml.add_bos_token`.
    pub add_bos: bool,
}

/// The preset of a `tokenizer.ggml.pre` name; files without the key use `default`. Names that are not known are an
/// error: a wrong guess would give ids that are only sometimes right.
pub(super) fn preset(name: &str) -> Result<Preset> {
    let expressions: &'static [&'static str] = match name {
        "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "gigachat" | "roberta-bpe" | "exaone4" | "mellum" | "a.x-4.0"
        | "modern-bert" | "jina-es" | "jina-de" | "jina-v1-en" | "jina-v2-es" | "jina-v2-de" | "jina-v2-code"
        | "granite-docling" => &[GPT2],
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" | "dbrx"
        | "smaug-bpe" | "chatglm-bpe" | "glm4" => &[LLAMA3],
        "qwen2" | "stablelm2" | "megrez" | "deepseek-r1-qwen" | "kormo" => &[QWEN2],
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => &[r"\p{N}", GPT2],
        "tekken" => &[TEKKEN],
        "gpt-4o" | "llama4" => &[GPT4O],
        "falcon" => &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"],
        "deepseek-llm" => {
            &[r"[\r\n]", DEEPSEEK_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}+"]
        }
        "deepseek-coder" => &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
        "deepseek-v3" => &[r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK_V3],
        "bloom" | "poro-chat" | "gpt3-finnish" => &[BLOOM],
        "viking" => &[BLOOM, r"\p{N}"],
        "default" => &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"],
        _ => {
            return Err(Error::Unsupported(format!(
                "pre-tokenizer {name:?} of this GGUF file; give the model's tokenizer.json beside it"
            )));
        }
    };
    let llama3 = matches!(
        name,
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" | "tekken"
    );
    Ok(Preset { expressions, whole_words: llama3, add_bos: llama3 })
}

/// Cuts text into words.
pub(super) struct PreTokenizer(Vec<Regex>);

impl PreTokenizer {
    /// Compiles a preset's expressions.
    pub fn new(expressions: &[&str]) -> Result<Self> {
        let compile = |e: &&str| Regex::new(e).map_err(|e| Error::Text(format!("pre-tokenizer expression: {e}")));
        Ok(Self(expressions.iter().map(compile).collect::<Result<_>>()?))
    }

    /// Calls `each` with the words of `text`, in order; together they are the text.
    pub fn words<'a>(&self, text: &'a str, each: &mut dyn FnMut(&'a str) -> Result<()>) -> Result<()> {
        cut(&self.0, text, each)
    }
}

fn cut<'a>(expressions: &[Regex], text: &'a str, each: &mut dyn FnMut(&'a str) -> Result<()>) -> Result<()> {
    let Some((first, rest)) = expressions.split_first() else {
        return if text.is_empty() { Ok(()) } else { each(text) };
    };
    let mut end = 0;
    for found in first.find_iter(text) {
        let found = found.map_err(|e| Error::Text(format!("cutting text into words: {e}")))?;
        cut(rest, &text[end..found.start()], each)?;
        cut(rest, found.as_str(), each)?;
        end = found.end();
    }
    cut(rest, &text[end..], each)
}
