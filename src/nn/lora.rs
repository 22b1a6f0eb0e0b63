//! Low-rank adapters (Hu et al. 2021, "LoRA"), read and written as the PEFT library does.

use super::{Dropout, Init, Linear, Module, Parameter, Parameters, StateDict};
use crate::{
    device::Device,
    dtype::DType,
    error::{Error, Result},
    format::ByteSource,
    tensor::{Generator, Tensor},
};
use serde_json::{Value, json};
use std::io::{Seek, Write};

/// What PEFT puts before the names of a model's modules.
const PREFIX: &str = "base_model.model.";
/// Stands for all linear layers in `target_modules`.
const ALL: &str = "all-linear";

/// Which layers get adapters, and of which kind: PEFT's `adapter_config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// Rank: rows of A, columns of B.
    pub r: usize,
    /// The change is multiplied by `alpha / r`.
    pub alpha: f64,
    /// Dropout on the input of A while training.
    pub dropout: f64,
    /// Ends of the names of the layers (`q_proj`), or `all-linear`.
    pub target_modules: Vec<String>,
    /// Multiply by `alpha / sqrt(r)` instead (Kalajdzievski 2023).
    pub use_rslora: bool,
    /// The adapted modules of the original model keep their weights transposed (GPT-2). Weights are `[outputs, inputs]`
    /// here in any case and A and B are the same for both, so this is only kept for saving.
    pub fan_in_fan_out: bool,
    /// The model that the adapters are for.
    pub base_model: Option<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            r: 8,
            alpha: 8.0,
            dropout: 0.0,
            target_modules: vec!["q_proj".into(), "v_proj".into()],
            use_rslora: false,
            fan_in_fan_out: false,
            base_model: None,
        }
    }
}

impl LoraConfig {
    /// Reads `adapter_config.json`.
    ///
    /// # Errors
    /// When it is of another method, or asks for a variant that is not known here (DoRA, trained biases or whole modules,
    /// ranks that differ between layers).
    pub fn from_json(text: &str) -> Result<Self> {
        const FILE: &str = "adapter_config.json";
        let json: Value = serde_json::from_str(text).map_err(|e| Error::format(FILE, e.to_string()))?;
        let unknown = |what: String| Err(Error::Unsupported(format!("{FILE}: {what}")));
        if let Some(kind) = json["peft_type"].as_str().filter(|kind| *kind != "LORA") {
            return unknown(format!("peft_type is {kind}; LORA can be read"));
        }
        if let Some(bias) = json["bias"].as_str().filter(|bias| *bias != "none") {
            return unknown(format!("trained biases ({bias:?})"));
        }
        let set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => true,
        };
        for key in ["use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "megatron_config", "lora_bias"] {
            if set(&json[key]) {
                return unknown(format!("{key} is {}", json[key]));
            }
        }
        let flag = |key: &str| json[key].as_bool().unwrap_or(false);
        let default = Self::default();
        let r = json["r"].as_u64().and_then(|r| usize::try_from(r).ok()).filter(|r| (1..=1 << 16).contains(r));
        let Some(r) = r else {
            return Err(Error::format(FILE, format!("r is {}; wanted a rank of 1 to 65536", json["r"])));
        };
        let target_modules = match &json["target_modules"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(list) => list.iter().filter_map(|v| v.as_str().map(str::to_string)).collect(),
            _ => default.target_modules,
        };
        Self {
            r,
            alpha: json["lora_alpha"].as_f64().unwrap_or(default.alpha),
            dropout: json["lora_dropout"].as_f64().unwrap_or(0.0),
            target_modules,
            use_rslora: flag("use_rslora"),
            fan_in_fan_out: flag("fan_in_fan_out"),
            base_model: json["base_model_name_or_path"].as_str().map(str::to_string),
        }
        .checked()
    }
    /// As PEFT writes it.
    pub fn to_json(&self) -> String {
        let targets = match self.target_modules.as_slice() {
            [all] if all == ALL => json!(all),
            list => json!(list),
        };
        let json = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": self.base_model,
            "r": self.r, "lora_alpha": self.alpha, "lora_dropout": self.dropout, "target_modules": targets,
            "use_rslora": self.use_rslora, "fan_in_fan_out": self.fan_in_fan_out, "bias": "none",
            "inference_mode": true, "init_lora_weights": true,
        });
        format!("{json:#}\n")
    }
    /// The factor of the change.
    pub fn scale(&self) -> f64 {
        let r = self.r as f64;
        self.alpha / if self.use_rslora { r.sqrt() } else { r }
    }
    fn checked(self) -> Result<Self> {
        Dropout::new(self.dropout)?;
        if self.r == 0 || !self.alpha.is_finite() {
            return Err(Error::argument("lora", format!("rank {} and alpha {}", self.r, self.alpha)));
        }
        Ok(self)
    }
    fn targets(&self, name: &str) -> bool {
        let fits =
            |t: &String| t == ALL || name.strip_suffix(t.as_str()).is_some_and(|s| s.is_empty() || s.ends_with('.'));
        self.target_modules.iter().any(fits)
    }
}

/// A low-rank change of one layer: `y += scale · x · Aᵀ · Bᵀ`.
#[derive(Clone, Debug)]
pub struct LoraAdapter {
    a: Parameter,
    b: Parameter,
    scale: f64,
    dropout: Dropout,
    /// Row `i` of the layer's weight is row `order[i]` of B, where the model keeps its rows otherwise than PEFT's.
    order: Option<Tensor>,
}

impl LoraAdapter {
    /// From A `[r, inputs]` and B `[outputs, r]`, both f32.
    ///
    /// # Errors
    /// When the ranks differ.
    pub fn new(a: Parameter, b: Parameter, scale: f64) -> Result<Self> {
        let ((r, _), (_, columns)) = (a.get().dims2()?, b.get().dims2()?);
        if r != columns {
            return Err(Error::shapes(
                "lora",
                a.get().shape(),
                b.get().shape(),
                format!("ranks {r} and {columns} differ"),
            ));
        }
        Ok(Self { a, b, scale, dropout: Dropout::new(0.0)?, order: None })
    }
    /// `[.., inputs]` → what is added to the layer's result, `[.., outputs]`.
    pub(super) fn forward(&self, x: &Tensor, training: bool) -> Result<Tensor> {
        let x = self.dropout.forward_t(x, training)?;
        x.linear(&self.a.get(), None)?.mul_scalar(self.scale)?.linear(&self.b_rows()?, None)
    }
    /// What is added to the layer's weight, `[outputs, inputs]`.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn delta(&self) -> Result<Tensor> {
        self.b_rows()?.matmul(&self.a.get())?.mul_scalar(self.scale)
    }
    /// B in the order of the layer's rows.
    fn b_rows(&self) -> Result<Tensor> {
        match &self.order {
            Some(order) => self.b.get().index_select(0, order),
            None => Ok(self.b.get()),
        }
    }
    /// An error unless it fits a weight `[outputs, inputs]`.
    pub(super) fn check(&self, weight: &Tensor) -> Result<()> {
        let (outputs, inputs) = weight.dims2()?;
        let (a, b) = (self.a.get(), self.b.get());
        if (b.dims()[0], a.dims()[1]) == (outputs, inputs) {
            return Ok(());
        }
        let message = format!("A {} and B {} do not fit a weight {}", a.shape(), b.shape(), weight.shape());
        Err(Error::shape("lora", message))
    }
}

/// One linear layer of a model, as [`Adaptable`] shows it.
pub struct AdapterSite<'a> {
    /// The layer's name in the original model: `model.layers.0.self_attn.q_proj`.
    pub name: &'a str,
    /// The layer.
    pub linear: &'a mut Linear,
    /// Row `i` of the layer's weight is row `order[i]` of the original model's; `None` when they are the same.
    pub order: Option<Vec<u32>>,
}

/// A model whose linear layers can be adapted.
pub trait Adaptable {
    /// Calls `visit` for each layer that may get an adapter.
    ///
    /// # Errors
    /// When `visit` fails.
    fn visit_linears(&mut self, visit: &mut dyn FnMut(AdapterSite<'_>) -> Result<()>) -> Result<()>;
}

/// The adapters of a model. They sit in its [`Linear`] layers; this holds their parameters and saves them.
///
/// ```
/// use votive::{Device, Generator, Result, Tensor, nn::{Adaptable, AdapterSite, Linear, Lora, LoraConfig}};
/// struct Model(Linear);
/// impl Adaptable for Model {
///     fn visit_linears(&mut self, visit: &mut dyn FnMut(AdapterSite<'_>) -> Result<()>) -> Result<()> {
///         visit(AdapterSite { name: "head", linear: &mut self.0, order: None })
///     }
/// }
/// let cpu = Device::cpu();
/// let mut model = Model(Linear::new(Tensor::new([[1.0f32, 2.0]], &cpu)?, None));
/// let config = LoraConfig { r: 1, target_modules: vec!["head".into()], ..LoraConfig::default() };
/// let lora = Lora::create(&mut model, config, &cpu, &Generator::new(0))?;
/// assert_eq!(lora.parameters().names(), ["base_model.model.head.lora_A.weight", "base_model.model.head.lora_B.weight"]);
/// let x = Tensor::new([[1.0f32, 1.0]], &cpu)?;
/// let gradients = model.0.forward(&x)?.sum(..)?.backward()?; // of the adapters only
/// assert_eq!(gradients.len(), 2);
/// lora.merge(&mut model)?;
/// assert_eq!(model.0.forward(&x)?.to_vec_sync::<f32>()?, [3.0]); // B is zero before training
/// lora.unmerge(&mut model)?;
/// # Ok::<(), votive::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lora {
    config: LoraConfig,
    parameters: Parameters,
}

impl Lora {
    /// Puts new adapters, to be trained, into the layers that `config` names: A is uniform between `±1/sqrt(inputs)` and B
    /// zero, as PEFT's, so that nothing changes before training.
    ///
    /// # Errors
    /// When a target is no layer of the model.
    pub fn create(
        model: &mut impl Adaptable,
        config: LoraConfig,
        device: &Device,
        generator: &Generator,
    ) -> Result<Self> {
        let config = config.checked()?;
        let lora = Self { config, parameters: Parameters::new() };
        let mut missing = lora.config.target_modules.clone();
        model.visit_linears(&mut |site| {
            if !lora.config.targets(site.name) {
                return Ok(());
            }
            missing.retain(|t| t != ALL && !site.name.ends_with(t.as_str()));
            let (outputs, inputs) = site.linear.weight().dims2()?;
            let make = |init: Init, shape: [usize; 2]| init.tensor(shape, DType::F32, device, generator);
            let a = Parameter::new(make(Init::fan_in_uniform(inputs), [lora.config.r, inputs])?);
            let b = Parameter::new(make(Init::ZEROS, [outputs, lora.config.r])?);
            lora.attach(site, a, b)
        })?;
        match missing.first() {
            Some(target) => Err(Error::argument("lora", format!("the model has no layer called {target:?}"))),
            None => Ok(lora),
        }
    }

    /// Puts the adapters of a PEFT checkpoint into a model: `adapter_config.json` and `adapter_model.safetensors` (or
    /// `.bin`). They are frozen; to train on, `lora.parameters().set_trainable(true, |_| true)`.
    ///
    /// # Errors
    /// When a file is wrong, or holds anything but adapters that fit the model. The model is as before then.
    pub async fn load(
        model: &mut impl Adaptable,
        config: &str,
        weights: Box<dyn ByteSource>,
        device: &Device,
    ) -> Result<Self> {
        let file = weights.name().to_string();
        let lora = Self { config: LoraConfig::from_json(config)?, parameters: Parameters::new() };
        let mut tensors = StateDict::read(weights, device).await?.tensors;
        // Named as the model names them, with or without the outermost module.
        let mut take = |layer: &str, part: &str| {
            let short = layer.split_once('.').map_or(layer, |(_, rest)| rest);
            [layer, short].iter().find_map(|layer| tensors.shift_remove(&format!("{PREFIX}{layer}.{part}.weight")))
        };
        let mut found = Vec::new();
        model.visit_linears(&mut |site| {
            let (Some(a), Some(b)) = (take(site.name, "lora_A"), take(site.name, "lora_B")) else { return Ok(()) };
            let parameter = |t: Tensor| Ok(Parameter::frozen(t.to_dtype(DType::F32)?));
            let (a, b) = (parameter(a)?, parameter(b)?);
            if a.get().dims2()?.0 != lora.config.r {
                let message = format!("A has shape {}; the configuration says r = {}", a.get().shape(), lora.config.r);
                return Err(Error::weight(site.name, message));
            }
            LoraAdapter::new(a.clone(), b.clone(), 1.0)?.check(&site.linear.weight())?;
            found.push((site.name.to_string(), a, b));
            Ok(())
        })?;
        if let Some(name) = tensors.keys().next() {
            let message = format!("of {file} belongs to no layer of this model that takes adapters");
            return Err(Error::weight(name, message));
        }
        if found.is_empty() {
            return Err(Error::format(file, "holds no adapters"));
        }
        let mut found = found.into_iter().peekable();
        model.visit_linears(&mut |site| match found.next_if(|f| f.0 == site.name) {
            Some((_, a, b)) => lora.attach(site, a, b),
            None => Ok(()),
        })?;
        Ok(lora)
    }

    /// [`Lora::load`] from a folder as PEFT's `save_pretrained` writes it.
    ///
    /// # Errors
    /// As [`Lora::load`]; when the folder lacks a file.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(model: &mut impl Adaptable, folder: impl AsRef<std::path::Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("adapter_config.json");
        let config = std::fs::read_to_string(&path);
        let config = config.map_err(|source| Error::Io { path: path.display().to_string(), source })?;
        let binary = folder.join("adapter_model.bin");
        let weights = if binary.is_file() { binary } else { folder.join("adapter_model.safetensors") };
        crate::block_on(Self::load(model, &config, Box::new(crate::format::FileSource::open(weights)?), device))
    }

    fn attach(&self, site: AdapterSite<'_>, a: Parameter, b: Parameter) -> Result<()> {
        for (part, parameter) in [("lora_A", &a), ("lora_B", &b)] {
            self.parameters.insert(format!("{PREFIX}{}.{part}.weight", site.name), parameter.clone());
        }
        let device = a.get().device().clone();
        let order = site.order.map(|order| Tensor::from_slice(&order, [order.len()], &device)).transpose()?;
        let adapter = LoraAdapter::new(a, b, self.config.scale())?;
        let dropout = Dropout::new(self.config.dropout)?;
        site.linear.set_adapter(Some(LoraAdapter { order, dropout, ..adapter }))
    }

    /// Rank, scale and targets.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }
    /// A and B of each layer, under PEFT's names: what an optimiser is given.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
    /// Adds the changes to the weights of all adapted layers, which then cost what they cost without adapters.
    ///
    /// # Errors
    /// When a weight is quantized (see [`Linear::merge_adapter`]); nothing is merged then.
    pub fn merge(&self, model: &mut impl Adaptable) -> Result<()> {
        let done = model.visit_linears(&mut |site| {
            site.linear.merge_adapter().map_err(|e| Error::weight(site.name, e.to_string()))
        });
        if done.is_err() {
            self.unmerge(model)?;
        }
        done
    }
    /// Undoes [`Lora::merge`]: the weights are exactly what they were.
    ///
    /// # Errors
    /// When the model cannot be visited.
    pub fn unmerge(&self, model: &mut impl Adaptable) -> Result<()> {
        model.visit_linears(&mut |site| {
            site.linear.unmerge_adapter();
            Ok(())
        })
    }
    /// Takes the adapters out of the model, merged or not.
    ///
    /// # Errors
    /// When the model cannot be visited.
    pub fn remove(&self, model: &mut impl Adaptable) -> Result<()> {
        model.visit_linears(&mut |site| site.linear.set_adapter(None))
    }
    /// Writes the tensors as PEFT's `adapter_model.safetensors`; `file` is its name, for messages.
    ///
    /// # Errors
    /// When writing fails.
    pub async fn write<W: Write + Seek>(&self, out: W, file: &str) -> Result<W> {
        self.state().write(out, file).await
    }
    fn state(&self) -> StateDict {
        let mut state = self.parameters.state();
        state.values.insert("format".into(), "pt".into());
        state
    }
    /// Writes a folder that PEFT and [`Lora::open`] read.
    ///
    /// # Errors
    /// When writing fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save(&self, folder: impl AsRef<std::path::Path>) -> Result<()> {
        let folder = folder.as_ref();
        let at = |path: &std::path::Path| {
            let path = path.display().to_string();
            move |source| Error::Io { path, source }
        };
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        let path = folder.join("adapter_config.json");
        std::fs::write(&path, self.config.to_json()).map_err(at(&path))?;
        self.state().save(folder.join("adapter_model.safetensors"))
    }
}
