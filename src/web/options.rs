//! Values between Rust and JavaScript.

use crate::{
    error::{Error, Result},
    task::{GenerateOptions, Prompt},
    text::Message,
};
use js_sys::{Array, Object, Reflect, Uint32Array};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};

/// What JavaScript threw while it read `file`, as our error: `AbortError`s are aborts.
pub fn from_js(file: &str, thrown: &JsValue) -> Error {
    let text = |key: &str| Reflect::get(thrown, &key.into()).ok().and_then(|v| v.as_string());
    if thrown.is_object() && text("name").as_deref() == Some("AbortError") {
        return Error::Aborted;
    }
    let message = if thrown.is_object() { text("message") } else { thrown.as_string() };
    let message = message.unwrap_or_else(|| "reading failed, and the error thrown says nothing".into());
    Error::Io { path: file.into(), source: std::io::Error::other(message) }
}

/// Plain data as JavaScript objects, arrays and numbers (never `Map` or `BigInt`).
pub fn to_value(value: &impl Serialize) -> Result<JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    value.serialize(&serializer).map_err(|e| Error::argument("convert", e.to_string()))
}

/// What to answer to: a string, an array of messages, or a `Uint32Array`.
pub fn prompt(value: JsValue) -> Result<Prompt> {
    if let Some(text) = value.as_string() {
        return Ok(Prompt::Text(text));
    }
    if let Some(ids) = value.dyn_ref::<Uint32Array>() {
        return Ok(Prompt::Ids(ids.to_vec()));
    }
    if Array::is_array(&value) {
        return Ok(Prompt::Messages(messages(value)?));
    }
    Err(Error::argument("prompt", "must be a string, an array of messages, or a Uint32Array of token ids"))
}

/// Chat messages: objects with `role` and `content`.
pub fn messages(value: JsValue) -> Result<Vec<Message>> {
    serde_wasm_bindgen::from_value(value).map_err(|e| {
        Error::argument("messages", format!("must be an array of objects like {{role: \"user\", content: \"…\"}}: {e}"))
    })
}

/// Options of a generation; `undefined` and `null` fields are as if not given.
pub fn generate_options(value: &JsValue) -> Result<GenerateOptions> {
    let known = serde_json::to_value(GenerateOptions::default()).unwrap_or_default();
    let known: Vec<&str> = known.as_object().into_iter().flat_map(|o| o.keys()).map(String::as_str).collect();
    options("generate", value, &known)
}

/// An options object of which only `known` fields are allowed; `undefined` and `null` stand for an empty one.
pub fn options<T: DeserializeOwned + Default>(op: &'static str, value: &JsValue, known: &[&str]) -> Result<T> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    let Some(object) = value.dyn_ref::<Object>().filter(|o| !Array::is_array(o)) else {
        return Err(Error::argument(op, "options must be an object"));
    };
    let given = Object::new();
    for entry in Object::entries(object) {
        let entry: Array = entry.unchecked_into();
        let (key, field) = (entry.get(0), entry.get(1));
        let name = key.as_string().unwrap_or_default();
        if !known.contains(&name.as_str()) {
            return Err(Error::argument(op, format!("unknown option {name:?}; known are {}", known.join(", "))));
        }
        if field.is_undefined() || field.is_null() {
            continue;
        }
        // Each by itself first, since the deserializer does not say which field is wrong.
        let single = Object::new();
        let _ = Reflect::set(&single, &key, &field);
        serde_wasm_bindgen::from_value::<T>(single.into())
            .map_err(|e| Error::argument(op, format!("option {name}: {e}")))?;
        let _ = Reflect::set(&given, &key, &field);
    }
    serde_wasm_bindgen::from_value(given.into()).map_err(|e| Error::argument(op, e.to_string()))
}
