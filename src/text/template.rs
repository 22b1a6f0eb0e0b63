//! Chat templates: from messages to the text that a model was trained on.

use super::{Tokenizer, template_functions as functions};
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
use std::collections::BTreeMap;

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

/// A chat template in Jinja, with what transformers offers to templates: `raise_exception`, `strftime_now`, its
/// `tojson`, loop controls, Python's methods of strings, lists and dicts, and the `generation` tag (which has no
/// effect on the text).
///
/// A template is code from a stranger's file: it can reach nothing but its arguments, and ends after a bounded number
/// of steps.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: Option<String>,
    eos: Option<String>,
}

/// Name of the template that is rendered unless there are tools and [`TOOL_USE`] exists.
const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";
/// Steps of the template engine; a long conversation with many tools needs a few hundred thousand.
const FUEL: u64 = 5_000_000;
/// Depth of macros and blocks: real templates nest a handful, and WebAssembly's stack is small.
const DEPTH: usize = 120;

impl ChatTemplate {
    /// Compiles a template; `bos` and `eos` are what `bos_token` and `eos_token` stand for in it.
    ///
    /// # Errors
    /// [`Error::Text`] with the line where the template is wrong.
    pub fn new(source: impl Into<String>, bos: Option<String>, eos: Option<String>) -> Result<Self> {
        Self::with_templates([(DEFAULT.to_owned(), source.into())], bos, eos)
    }

    fn with_templates(
        templates: impl IntoIterator<Item = (String, String)>,
        bos: Option<String>,
        eos: Option<String>,
    ) -> Result<Self> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(template_error)?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(functions::format_as_python);
        environment.add_function("raise_exception", functions::raise_exception);
        environment.add_test("iterable", functions::is_iterable);
        environment.add_filter("tojson", functions::tojson);
        for (name, source) in templates {
            let source = functions::without_generation_tags(&source);
            environment.add_template_owned(name, source).map_err(template_error)?;
        }
        Ok(Self { environment, bos, eos })
    }

    /// The template of a GGUF file (`tokenizer.chat_template`), if it has one.
    ///
    /// # Errors
    /// As [`ChatTemplate::new`].
    pub fn from_gguf(metadata: &Metadata, tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let Some(source) = metadata.string("tokenizer.chat_template") else { return Ok(None) };
        let tool_use = metadata.string("tokenizer.chat_template.tool_use").map(|s| (TOOL_USE.to_owned(), s.to_owned()));
        let text = |id: Option<u32>| tokenizer.id_to_token(id?);
        let templates = [(DEFAULT.to_owned(), source.to_owned())].into_iter().chain(tool_use);
        Self::with_templates(templates, text(tokenizer.bos_id()), text(tokenizer.eos_id())).map(Some)
    }

    /// The template of a model's folder, if it has one. `template` is the text of chat_template.jinja or
    /// chat_template.json; without it, the one in tokenizer_config.json is taken: a string, or a list of named ones, of
    /// which `default` and `tool_use` are used. `bos_token` and `eos_token` are the config's, else the tokenizer's.
    ///
    /// # Errors
    /// [`Error::Format`] when a file is not JSON or the list has no `default`; as [`ChatTemplate::new`].
    pub fn from_files(
        tokenizer_config: Option<&str>,
        template: Option<&str>,
        tokenizer: &Tokenizer,
    ) -> Result<Option<Self>> {
        let parse = |file: &str, json: &str| {
            serde_json::from_str::<Value>(json).map_err(|e| Error::format(file, e.to_string()))
        };
        let config = tokenizer_config.map(|c| parse("tokenizer_config.json", c)).transpose()?.unwrap_or_default();
        let token = |name: &str, id: Option<u32>| {
            let token = &config[name];
            let text = token.as_str().or_else(|| token["content"].as_str()).map(str::to_owned);
            text.or_else(|| tokenizer.id_to_token(id?))
        };
        let source = match template {
            // A Jinja template may begin with a brace, but never with one that begins a JSON object's key.
            Some(text) if text.trim_start().strip_prefix('{').is_some_and(|t| t.trim_start().starts_with('"')) => {
                parse("chat_template.json", text)?["chat_template"].take()
            }
            Some(text) => Value::String(text.to_owned()),
            None => config["chat_template"].clone(),
        };
        let templates = match source {
            Value::String(source) => vec![(DEFAULT.to_owned(), source)],
            Value::Array(named) => {
                let text = |t: &Value, key: &str| t[key].as_str().map(str::to_owned);
                named.iter().filter_map(|t| Some((text(t, "name")?, text(t, "template")?))).collect()
            }
            _ => return Ok(None),
        };
        if !templates.iter().any(|(name, _)| name == DEFAULT) {
            let names: Vec<_> = templates.iter().map(|t| t.0.as_str()).collect();
            let message = format!("chat_template has no template called default, only {names:?}");
            return Err(Error::format("tokenizer_config.json", message));
        }
        let (bos, eos) = (token("bos_token", tokenizer.bos_id()), token("eos_token", tokenizer.eos_id()));
        Self::with_templates(templates, bos, eos).map(Some)
    }

    /// Renders a conversation. The text already has the tokens that begin it: encode it with `add_special: false`.
    ///
    /// # Errors
    /// [`Error::Text`] when the template refuses the conversation (`raise_exception`) or fails.
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String> {
        let mut context: BTreeMap<&str, Jinja> = BTreeMap::new();
        context.extend(options.variables.iter().map(|(k, v)| (k.as_str(), Serde(v).into())));
        context.insert("messages", Serde(messages).into());
        context.insert("add_generation_prompt", options.add_generation_prompt.into());
        context.insert("bos_token", self.bos.as_deref().unwrap_or_default().into());
        context.insert("eos_token", self.eos.as_deref().unwrap_or_default().into());
        context.insert("tools", Serde(&options.tools).into());
        context.entry("documents").or_insert(().into());
        let now = options.now.unwrap_or_else(functions::now);
        context.insert("strftime_now", Jinja::from_function(move |format: &str| functions::strftime(now, format)));

        let tool_use = options.tools.as_ref().and_then(|_| self.environment.get_template(TOOL_USE).ok());
        let template = match tool_use {
            Some(template) => template,
            None => self.environment.get_template(DEFAULT).map_err(template_error)?,
        };
        template.render(Serde(context)).map_err(template_error)
    }
}

fn template_error(error: minijinja::Error) -> Error {
    match functions::refusal(&error) {
        Some(message) => Error::Text(format!("the chat template refuses this conversation: {message}")),
        None => Error::Text(format!("chat template: {error}")),
    }
}
