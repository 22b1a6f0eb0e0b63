//! Chat templates: from messages to the text that a model was trained on.

use super::Tokenizer;
use crate::{
    error::{Error, Result},
    format::Metadata,
};
use minijinja::{
    Environment,
    syntax::SyntaxConfig,
    value::{Serde, Value as Jinja},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation. Fields other than `role` and `content` (`tool_calls`, `name` …) reach the template
/// as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or what the template knows.
    pub role: String,
    /// A string, or a list of parts (`{"type": "text", "text": …}`), or null.
    #[serde(default)]
    pub content: Value,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message of plain text.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: Value::String(content.into()), extra: Map::new() }
    }
}

/// What a template is given besides the messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RenderOptions {
    /// Ends the text with what begins the assistant's answer.
    pub add_generation_prompt: bool,
    /// Tools that the model may call, as JSON schemas.
    pub tools: Option<Vec<Value>>,
    /// Seconds since 1970 that `strftime_now` shows, in the zone that the caller wants; now in UTC if `None`.
    pub now: Option<i64>,
    /// More variables (`enable_thinking`, `documents` …).
    pub variables: Map<String, Value>,
}

/// A chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: Option<String>,
    eos: Option<String>,
}

const NAME: &str = "chat_template";

impl ChatTemplate {
    /// Compiles a template; `bos` and `eos` are what `bos_token` and `eos_token` stand for in it.
    ///
    /// # Errors
    /// [`Error::Text`] with the line where the template is wrong.
    pub fn new(source: impl Into<String>, bos: Option<String>, eos: Option<String>) -> Result<Self> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(template_error)?;
        environment.set_syntax(syntax);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(5_000_000));
        environment.add_template_owned(NAME, source.into()).map_err(template_error)?;
        Ok(Self { environment, bos, eos })
    }

    /// The template of a GGUF file (`tokenizer.chat_template`), if it has one.
    ///
    /// # Errors
    /// As [`ChatTemplate::new`].
    pub fn from_gguf(metadata: &Metadata, tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let Some(source) = metadata.string("tokenizer.chat_template") else { return Ok(None) };
        let text = |id: Option<u32>| tokenizer.id_to_token(id?);
        Self::new(source, text(tokenizer.bos_id()), text(tokenizer.eos_id())).map(Some)
    }

    /// The template of a tokenizer_config.json: a string, or the one called `default` of a list of named templates.
    ///
    /// # Errors
    /// [`Error::Format`] when it is not JSON; as [`ChatTemplate::new`].
    pub fn from_tokenizer_config(json: &str) -> Result<Option<Self>> {
        let config: Value =
            serde_json::from_str(json).map_err(|e| Error::format("tokenizer_config.json", e.to_string()))?;
        let source = match &config["chat_template"] {
            Value::String(source) => Some(source.as_str()),
            Value::Array(named) => {
                named.iter().find(|t| t["name"] == "default").or(named.first()).and_then(|t| t["template"].as_str())
            }
            _ => None,
        };
        let Some(source) = source else { return Ok(None) };
        let token = |name: &str| {
            let token = &config[name];
            token.as_str().or_else(|| token["content"].as_str()).map(str::to_owned)
        };
        Self::new(source, token("bos_token"), token("eos_token")).map(Some)
    }

    /// Renders a conversation. The text already has the tokens that begin it: encode it with `add_special: false`.
    ///
    /// # Errors
    /// [`Error::Text`] when the template refuses the conversation (`raise_exception`) or fails.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String> {
        let mut context: std::collections::BTreeMap<&str, Jinja> = std::collections::BTreeMap::new();
        context.extend(options.variables.iter().map(|(k, v)| (k.as_str(), Serde(v).into())));
        context.insert("messages", Serde(messages).into());
        context.insert("add_generation_prompt", options.add_generation_prompt.into());
        context.insert("bos_token", self.bos.as_deref().unwrap_or_default().into());
        context.insert("eos_token", self.eos.as_deref().unwrap_or_default().into());
        if let Some(tools) = &options.tools {
            context.insert("tools", Serde(tools).into());
        }
        let template = self.environment.get_template(NAME).map_err(template_error)?;
        template.render(Serde(context)).map_err(template_error)
    }
}

fn template_error(error: minijinja::Error) -> Error {
    Error::Text(format!("chat template: {error}"))
}
