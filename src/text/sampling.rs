//! How the next token is chosen: the options.

use crate::error::{Error, Result};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use std::collections::BTreeMap;

/// How the next token is chosen. The names in JavaScript and JSON are the same in camelCase; unknown names are
/// ignored, so that the options can be part of a larger object.
///
/// The options work in this order (that of transformers): `logit_bias`, `repetition_penalty`, `frequency_penalty` and
/// `presence_penalty`, `temperature`, `top_k`, `top_p`, `min_p`, `typical_p`; then one of the tokens that are left is
/// drawn by its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SamplingOptions {
    /// Divides the logits, ≥ 0. 0, the default, takes the likeliest token always, and the filters do nothing.
    pub temperature: f32,
    /// Keeps this many of the likeliest tokens; 0, the default, keeps all.
    pub top_k: u32,
    /// Keeps the likeliest tokens that together reach this probability, 0 < p ≤ 1; 1, the default, keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this times as likely as the likeliest, 0 ≤ p ≤ 1; 0, the default, keeps all.
    pub min_p: f32,
    /// Keeps the tokens whose surprise is nearest to the expected one and which together reach this probability
    /// (Meister et al. 2022), 0 < p ≤ 1; 1, the default, keeps all.
    pub typical_p: f32,
    /// Divides positive logits, and multiplies negative ones, of tokens in the prompt or the answer (Keskar et al.
    /// 2019), > 0; 1, the default, does nothing.
    pub repetition_penalty: f32,
    /// How many of the last tokens `repetition_penalty` looks at; 0, the default, is all.
    pub repetition_window: u32,
    /// Taken from the logit of a token for each time that it is in the answer (OpenAI's), finite; default 0.
    pub frequency_penalty: f32,
    /// Taken from the logit of a token that is in the answer (OpenAI's), finite; default 0.
    pub presence_penalty: f32,
    /// Added to the logits of tokens, by id; −∞ forbids one.
    #[serde(deserialize_with = "logit_bias")]
    pub logit_bias: BTreeMap<u32, f32>,
    /// Seed of the random draw: the same seed and logits give the same tokens. `None` takes a new one each time.
    pub seed: Option<u64>,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            repetition_window: 0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: BTreeMap::new(),
            seed: None,
        }
    }
}

impl SamplingOptions {
    /// Checks every option's range.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the option, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let check = |name: &str, value: f32, ok: bool, range: &str| {
            let message = format!("{name} is {value}, must be {range}");
            if ok { Ok(()) } else { Err(Error::argument("sampling options", message)) }
        };
        let Self { temperature, top_p, min_p, typical_p, repetition_penalty, .. } = *self;
        check("temperature", temperature, temperature.is_finite() && temperature >= 0.0, "a finite number, 0 or more")?;
        check("topP", top_p, top_p > 0.0 && top_p <= 1.0, "over 0 and at most 1")?;
        check("minP", min_p, (0.0..=1.0).contains(&min_p), "from 0 to 1")?;
        check("typicalP", typical_p, typical_p > 0.0 && typical_p <= 1.0, "over 0 and at most 1")?;
        let ok = repetition_penalty.is_finite() && repetition_penalty > 0.0;
        check("repetitionPenalty", repetition_penalty, ok, "a finite number over 0")?;
        check("frequencyPenalty", self.frequency_penalty, self.frequency_penalty.is_finite(), "a finite number")?;
        check("presencePenalty", self.presence_penalty, self.presence_penalty.is_finite(), "a finite number")?;
        for (id, &bias) in &self.logit_bias {
            let ok = !bias.is_nan() && bias != f32::INFINITY;
            check(&format!("logitBias of token {id}"), bias, ok, "a finite number or -Infinity")?;
        }
        Ok(())
    }
}

/// Token ids as keys: JSON and JavaScript objects write them as strings, and a flattened struct hands them on so.
fn logit_bias<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u32, f32>, D::Error> {
    struct Map;
    impl<'de> Visitor<'de> for Map {
        type Value = BTreeMap<u32, f32>;
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("an object of token ids and numbers")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = BTreeMap::new();
            while let Some((TokenKey(id), bias)) = map.next_entry()? {
                out.insert(id, bias);
            }
            Ok(out)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }
        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }
    }
    deserializer.deserialize_any(Map)
}

/// A token id, as a number or as its digits.
struct TokenKey(u32);
impl<'de> Deserialize<'de> for TokenKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = TokenKey;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a token id")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TokenKey, E> {
                text.parse().map(TokenKey).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
            fn visit_u64<E: serde::de::Error>(self, id: u64) -> Result<TokenKey, E> {
                let id = u32::try_from(id);
                id.map(TokenKey).map_err(|_| E::custom("token id over 32 bits"))
            }
            fn visit_i64<E: serde::de::Error>(self, id: i64) -> Result<TokenKey, E> {
                let id = u32::try_from(id);
                id.map(TokenKey).map_err(|_| E::invalid_value(serde::de::Unexpected::Other("negative id"), &self))
            }
            fn visit_f64<E: serde::de::Error>(self, id: f64) -> Result<TokenKey, E> {
                let whole = id.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&id);
                if whole {
                    Ok(TokenKey(id as u32))
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Float(id), &self))
                }
            }
        }
        deserializer.deserialize_any(Key)
    }
}
