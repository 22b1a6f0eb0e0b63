//! Arguments and results of the operations: JavaScript's values as Rust's, and back.

use super::handles::{self, tensor_of};
use crate::{
    dtype::DType,
    error::{Error, Result},
    nn::loss::Reduction,
    op::{Gate, RopeLayout},
    shape::{HOLE, Shape},
    tensor::{
        AttentionOptions, AvgPoolOptions, ConvOptions, ConvTransposeOptions, Dims, Index, Indexing, InterpolateSize,
        Interpolation, MaxPoolOptions, PadMode, Padding, StftOptions, Tensor, Value, WindowOptions,
    },
};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// The arguments of a call, taken one after the other.
pub(super) struct Args {
    op: &'static str,
    values: Array,
    next: u32,
}

impl Args {
    pub fn new(op: &'static str, values: Array) -> Self {
        Self { op, values, next: 0 }
    }
    /// The next argument; the default, if there is one, when it is `undefined`.
    pub fn next<T: FromJs>(&mut self, name: &str, default: Option<T>) -> Result<T> {
        let value = T::take(&self.values, &mut self.next);
        if let (true, Some(default)) = (value.is_undefined(), default) {
            return Ok(default);
        }
        let wrong = || Error::argument(self.op, format!("{name} must be {}, not {}", T::WHAT, describe(&value)));
        T::from_js(&value).ok_or_else(wrong)
    }
    /// Refuses arguments that are too many.
    pub fn end(&self) -> Result<()> {
        let surplus = (self.next..self.values.length()).find(|&i| !self.values.get(i).is_undefined());
        match surplus {
            None => Ok(()),
            Some(i) => Err(Error::argument(self.op, format!("too many arguments: {}", describe(&self.values.get(i))))),
        }
    }
}

/// A value for messages.
fn describe(value: &JsValue) -> String {
    match (value.as_string(), value.as_f64()) {
        (Some(text), _) => format!("{text:?}"),
        (_, Some(number)) => number.to_string(),
        _ if value.is_null() => "null".into(),
        _ if Array::is_array(value) => "an array".into(),
        _ => value.js_typeof().as_string().unwrap_or_default(),
    }
}

/// What an argument can be.
pub(super) trait FromJs: Sized {
    /// For messages.
    const WHAT: &'static str;
    /// `None` when it is something else.
    fn from_js(value: &JsValue) -> Option<Self>;
    /// Takes it out of the arguments.
    fn take(values: &Array, next: &mut u32) -> JsValue {
        *next += 1;
        values.get(*next - 1)
    }
}

macro_rules! from_js {
    ($($t:ty, $what:literal: $v:ident => $body:expr;)*) => { $(
        impl FromJs for $t {
            const WHAT: &'static str = $what;
            fn from_js($v: &JsValue) -> Option<Self> {
                $body
            }
        }
    )* };
}

/// A name that one of a few things has.
pub(super) struct Name(pub &'static str);

/// Dimensions to reduce; all if there are none.
pub(super) struct Axes(pub Option<Vec<isize>>);

impl Dims for Axes {
    fn indices(&self, op: &'static str, shape: &Shape) -> Result<Vec<usize>> {
        match &self.0 {
            Some(dims) => dims.as_slice().indices(op, shape),
            None => (..).indices(op, shape),
        }
    }
}

/// How to split: a size for each part, or all sizes.
pub(super) enum Split {
    Each(usize),
    Sizes(Vec<usize>),
}

/// A size or factors to interpolate to.
pub(super) enum Resize {
    Size(Vec<usize>),
    Scale(Vec<f64>),
}

impl Resize {
    pub fn as_size(&self) -> InterpolateSize<'_> {
        match self {
            Self::Size(size) => InterpolateSize::Size(size),
            Self::Scale(scale) => InterpolateSize::Scale(scale),
        }
    }
}

/// Options of attention, whose scale may be left out.
#[derive(Default)]
pub(super) struct AttentionSpec {
    scale: Option<f64>,
    causal: bool,
    window: Option<usize>,
    softcap: Option<f64>,
}

impl AttentionSpec {
    /// The scale is that of the head's size if none was given.
    pub fn for_head(self, size: usize) -> AttentionOptions {
        let Self { scale, causal, window, softcap } = self;
        let scale = scale.unwrap_or_else(|| (size as f64).powf(-0.5)) as f32;
        AttentionOptions { scale, causal, window, softcap: softcap.map(|cap| cap as f32) }
    }
}

/// Whole numbers from -2^53 to 2^53.
fn whole(value: &JsValue) -> Option<f64> {
    value.as_f64().filter(|v| v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0)
}

fn array<T: FromJs>(value: &JsValue) -> Option<Vec<T>> {
    Array::is_array(value).then(|| value.unchecked_ref::<Array>().iter().map(|v| T::from_js(&v)).collect())?
}

/// The fields of an options object, of which each may be absent and no other may be there.
struct Fields<'a>(&'a Object);

impl<'a> Fields<'a> {
    fn new(value: &'a JsValue, known: &[&str]) -> Option<Self> {
        let object = value.dyn_ref::<Object>().filter(|_| !Array::is_array(value))?;
        let known = |key: JsValue| key.as_string().is_some_and(|key| known.contains(&key.as_str()));
        Object::keys(object).iter().all(known).then_some(Self(object))
    }
    fn get<T: FromJs>(&self, key: &str, default: T) -> Option<T> {
        match Reflect::get(self.0, &key.into()).ok()? {
            value if value.is_undefined() => Some(default),
            value => T::from_js(&value),
        }
    }
}

from_js! {
    Tensor, "a tensor": v => tensor_of(v);
    f64, "a number": v => v.as_f64();
    isize, "a whole number": v => whole(v).map(|v| v as isize);
    usize, "a whole number from 0": v => whole(v).filter(|&v| v >= 0.0).map(|v| v as usize);
    bool, "true or false": v => v.as_bool();
    String, "a string": v => v.as_string();
    DType, "the name of a dtype (\"f32\", \"i64\" …)": v => DType::from_name(&v.as_string()?).ok();
    Value, "a tensor or a number": v => match v.as_f64() {
        Some(number) => Some(Value::Number(number)),
        None => tensor_of(v).map(Value::Tensor),
    };
    Vec<Tensor>, "an array of tensors": v => array(v);
    Vec<isize>, "an array of whole numbers": v => array(v);
    Vec<usize>, "an array of whole numbers from 0": v => array(v);
    Vec<f64>, "an array of numbers": v => array(v);
    Shape, "an array of sizes": v => {
        // -1 is the size to be found.
        let size = |d: isize| if d == -1 { Some(HOLE) } else { usize::try_from(d).ok() };
        let dims = isize::from_js(v).map(|d| vec![d]).or_else(|| array(v))?;
        dims.into_iter().map(size).collect::<Option<Vec<_>>>().map(Shape::from)
    };
    Axes, "a dimension or an array of dimensions": v => {
        isize::from_js(v).map(|d| vec![d]).or_else(|| array(v)).map(|dims| Self(Some(dims)))
    };
    Split, "a size or an array of sizes": v => match usize::from_js(v) {
        Some(size) => Some(Self::Each(size)),
        None => array(v).map(Self::Sizes),
    };
    Resize, "{ size: [..] } or { scale: [..] }": v => {
        let fields = Fields::new(v, &["size", "scale"])?;
        match (fields.get("size", None)?, fields.get("scale", None)?) {
            (Some(size), None) => Some(Self::Size(size)),
            (None, Some(scale)) => Some(Self::Scale(scale)),
            _ => None,
        }
    };
    Name, "\"constant\", \"reflect\", \"replicate\" or \"circular\"": v => {
        let name = v.as_string()?;
        ["constant", "reflect", "replicate", "circular"].into_iter().find(|&known| known == name).map(Self)
    };
    Reduction, "\"mean\", \"sum\" or \"none\"": v => match v.as_string()?.as_str() {
        "mean" => Some(Self::Mean),
        "sum" => Some(Self::Sum),
        "none" => Some(Self::None),
        _ => None,
    };
    Gate, "\"silu\", \"gelu\", \"gelu_tanh\" or \"relu\"": v => match v.as_string()?.as_str() {
        "silu" => Some(Self::Silu),
        "gelu" => Some(Self::Gelu),
        "gelu_tanh" => Some(Self::GeluTanh),
        "relu" => Some(Self::Relu),
        _ => None,
    };
    RopeLayout, "\"half\" or \"interleaved\"": v => match v.as_string()?.as_str() {
        "half" => Some(Self::Half),
        "interleaved" => Some(Self::Interleaved),
        _ => None,
    };
    Interpolation, "\"nearest\", \"bilinear\" or \"bicubic\"": v => match v.as_string()?.as_str() {
        "nearest" => Some(Self::Nearest),
        "linear" | "bilinear" => Some(Self::Bilinear),
        "bicubic" => Some(Self::Bicubic),
        _ => None,
    };
    Indexing, "\"ij\" or \"xy\"": v => match v.as_string()?.as_str() {
        "ij" => Some(Self::Ij),
        "xy" => Some(Self::Xy),
        _ => None,
    };
    AttentionSpec, "{ scale?, causal?, window?, softcap? }": v => {
        let fields = Fields::new(v, &["scale", "causal", "window", "softcap"])?;
        Some(Self {
            scale: fields.get("scale", None)?,
            causal: fields.get("causal", false)?,
            window: fields.get("window", None)?,
            softcap: fields.get("softcap", None)?,
        })
    };
    WindowOptions, "{ stride?, padding?, dilation? }": v => {
        let fields = Fields::new(v, &["stride", "padding", "dilation"])?;
        let Self { stride, padding, dilation } = Self::default();
        let (stride, padding) = (fields.get("stride", stride)?, fields.get("padding", padding)?);
        Some(Self { stride, padding, dilation: fields.get("dilation", dilation)? })
    };
    StftOptions, "{ nFft, hopLength?, winLength?, center?, padMode?, normalized?, onesided? }": v => {
        let known = ["nFft", "hopLength", "winLength", "center", "padMode", "normalized", "onesided"];
        let fields = Fields::new(v, &known)?;
        let default = Self::default();
        Some(Self {
            n_fft: fields.get::<Option<usize>>("nFft", None)??,
            hop_length: fields.get("hopLength", None)?,
            win_length: fields.get("winLength", None)?,
            center: fields.get("center", default.center)?,
            pad_mode: pad_mode(fields.get("padMode", Name("reflect"))?, 0.0),
            normalized: fields.get("normalized", default.normalized)?,
            onesided: fields.get("onesided", default.onesided)?,
        })
    };
}

impl<T: FromJs> FromJs for Option<T> {
    const WHAT: &'static str = T::WHAT;
    fn from_js(value: &JsValue) -> Option<Self> {
        if value.is_null() || value.is_undefined() { Some(None) } else { T::from_js(value).map(Some) }
    }
}

/// One number for every dimension, or a number for each.
impl<const N: usize> FromJs for [usize; N] {
    const WHAT: &'static str = "a whole number from 0, or an array of one for each dimension";
    fn from_js(value: &JsValue) -> Option<Self> {
        match usize::from_js(value) {
            Some(size) => Some([size; N]),
            None => array(value)?.try_into().ok(),
        }
    }
}

impl<const N: usize> FromJs for ConvOptions<N> {
    const WHAT: &'static str = "{ stride?, padding?, dilation?, groups? }";
    fn from_js(value: &JsValue) -> Option<Self> {
        let fields = Fields::new(value, &["stride", "padding", "dilation", "groups"])?;
        let padding = match fields.get::<Option<String>>("padding", None) {
            Some(Some(name)) if name == "same" => Padding::Same,
            Some(Some(_)) => return None,
            _ => Padding::Zeros(fields.get("padding", [0; N])?),
        };
        let (stride, dilation) = (fields.get("stride", [1; N])?, fields.get("dilation", [1; N])?);
        Some(Self { stride, padding, dilation, groups: fields.get("groups", 1)? })
    }
}

impl<const N: usize> FromJs for ConvTransposeOptions<N> {
    const WHAT: &'static str = "{ stride?, padding?, outputPadding?, dilation?, groups? }";
    fn from_js(value: &JsValue) -> Option<Self> {
        let fields = Fields::new(value, &["stride", "padding", "outputPadding", "dilation", "groups"])?;
        Some(Self {
            stride: fields.get("stride", [1; N])?,
            padding: fields.get("padding", [0; N])?,
            output_padding: fields.get("outputPadding", [0; N])?,
            dilation: fields.get("dilation", [1; N])?,
            groups: fields.get("groups", 1)?,
        })
    }
}

impl<const N: usize> FromJs for MaxPoolOptions<N> {
    const WHAT: &'static str = "{ stride?, padding?, dilation?, ceilMode? }";
    fn from_js(value: &JsValue) -> Option<Self> {
        let fields = Fields::new(value, &["stride", "padding", "dilation", "ceilMode"])?;
        Some(Self {
            stride: fields.get("stride", None)?,
            padding: fields.get("padding", [0; N])?,
            dilation: fields.get("dilation", [1; N])?,
            ceil_mode: fields.get("ceilMode", false)?,
        })
    }
}

impl<const N: usize> FromJs for AvgPoolOptions<N> {
    const WHAT: &'static str = "{ stride?, padding?, ceilMode?, countIncludePad?, divisorOverride? }";
    fn from_js(value: &JsValue) -> Option<Self> {
        let known = ["stride", "padding", "ceilMode", "countIncludePad", "divisorOverride"];
        let fields = Fields::new(value, &known)?;
        Some(Self {
            stride: fields.get("stride", None)?,
            padding: fields.get("padding", [0; N])?,
            ceil_mode: fields.get("ceilMode", false)?,
            count_include_pad: fields.get("countIncludePad", true)?,
            divisor_override: fields.get("divisorOverride", None)?,
        })
    }
}

/// What stands between square brackets: all arguments that are left.
pub(super) struct Indices(pub Vec<Index>);

impl FromJs for Indices {
    const WHAT: &'static str = "whole numbers, { start?, end?, step? }, tensors, null or \"...\"";
    fn from_js(value: &JsValue) -> Option<Self> {
        let index = |v: JsValue| {
            if v.is_null() {
                return Some(Index::NewAxis);
            }
            if v.as_string().as_deref() == Some("...") {
                return Some(Index::Ellipsis);
            }
            if let Some(at) = isize::from_js(&v) {
                return Some(Index::At(at));
            }
            if let Some(tensor) = tensor_of(&v) {
                return Some(Index::Tensor(tensor));
            }
            let fields = Fields::new(&v, &["start", "end", "step"])?;
            let (start, end) = (fields.get("start", None)?, fields.get("end", None)?);
            Some(Index::Range { start, end, step: fields.get("step", 1)? })
        };
        value.unchecked_ref::<Array>().iter().map(index).collect::<Option<_>>().map(Self)
    }
    fn take(values: &Array, next: &mut u32) -> JsValue {
        let rest = values.slice(*next, values.length());
        *next = values.length();
        rest.into()
    }
}

/// The operand as a tensor in the dtype of `x`, if it is a number.
pub(super) fn beside(operand: &Value, x: &Tensor) -> Result<Tensor> {
    match operand {
        Value::Tensor(tensor) => Ok(tensor.clone()),
        Value::Number(number) => x.scalar_like(*number),
    }
}

/// The mode that a name means.
pub(super) fn pad_mode(name: Name, value: f64) -> PadMode {
    match name.0 {
        "reflect" => PadMode::Reflect,
        "replicate" => PadMode::Replicate,
        "circular" => PadMode::Circular,
        _ => PadMode::Constant(value),
    }
}

/// What an operation gives.
pub(super) trait IntoJs {
    fn into_js(self) -> Result<JsValue>;
}

impl IntoJs for Tensor {
    fn into_js(self) -> Result<JsValue> {
        handles::give(self)
    }
}
impl IntoJs for () {
    fn into_js(self) -> Result<JsValue> {
        Ok(JsValue::UNDEFINED)
    }
}
impl IntoJs for bool {
    fn into_js(self) -> Result<JsValue> {
        Ok(self.into())
    }
}
impl<T: IntoJs> IntoJs for Option<T> {
    fn into_js(self) -> Result<JsValue> {
        self.map_or(Ok(JsValue::NULL), T::into_js)
    }
}
impl<T: IntoJs> IntoJs for Vec<T> {
    fn into_js(self) -> Result<JsValue> {
        Ok(self.into_iter().map(T::into_js).collect::<Result<Array>>()?.into())
    }
}
impl IntoJs for (Tensor, Tensor) {
    fn into_js(self) -> Result<JsValue> {
        vec![self.0, self.1].into_js()
    }
}
impl IntoJs for (Tensor, Tensor, Tensor) {
    fn into_js(self) -> Result<JsValue> {
        vec![self.0, self.1, self.2].into_js()
    }
}

/// The default of an argument, if it has one.
macro_rules! parameter {
    () => {
        None
    };
    ($default:expr) => {
        Some($default)
    };
}
pub(super) use parameter;

/// For each kind of argument its Rust type and, after `@type`, its declaration in TypeScript.
macro_rules! kind {
    (@type indices $arg:ident) => { "...at: Index<T>[]" };
    (@type $kind:ident $arg:ident) => { concat!(stringify!($arg), ": ", kind!(@ts $kind)) };
    (@type $kind:ident $arg:ident $default:expr) => { concat!(stringify!($arg), "?: ", kind!(@ts $kind), " | undefined") };
    (@ts tensor) => { "T" };
    (@ts maybe_tensor) => { "T | null" };
    (@ts operand) => { "T | number" };
    (@ts tensors) => { "readonly T[]" };
    (@ts maybe_tensors) => { "readonly T[] | null" };
    (@ts number) => { "number" };
    (@ts maybe_number) => { "number | null" };
    (@ts int) => { "number" };
    (@ts maybe_int) => { "number | null" };
    (@ts size) => { "number" };
    (@ts maybe_size) => { "number | null" };
    (@ts flag) => { "boolean" };
    (@ts text) => { "string" };
    (@ts dtype) => { "DType" };
    (@ts ints) => { "readonly number[]" };
    (@ts sizes) => { "readonly number[]" };
    (@ts shape) => { "number | readonly number[]" };
    (@ts dims) => { "number | readonly number[]" };
    (@ts split) => { "number | readonly number[]" };
    (@ts size1) => { "number | readonly [number]" };
    (@ts size2) => { "number | readonly [number, number]" };
    (@ts pad_mode) => { "PadMode" };
    (@ts reduction) => { "'mean' | 'sum' | 'none'" };
    (@ts gate) => { "'silu' | 'gelu' | 'gelu_tanh' | 'relu'" };
    (@ts rope_layout) => { "'half' | 'interleaved'" };
    (@ts interpolation) => { "'nearest' | 'linear' | 'bilinear' | 'bicubic'" };
    (@ts interpolate_size) => { "{ size: readonly number[] } | { scale: readonly number[] }" };
    (@ts indexing) => { "'ij' | 'xy'" };
    (@ts attention) => { "AttentionOptions" };
    (@ts conv1) => { "ConvOptions" };
    (@ts conv2) => { "ConvOptions" };
    (@ts conv_transpose1) => { "ConvTransposeOptions" };
    (@ts conv_transpose2) => { "ConvTransposeOptions" };
    (@ts max_pool1) => { "MaxPoolOptions" };
    (@ts max_pool2) => { "MaxPoolOptions" };
    (@ts avg_pool1) => { "AvgPoolOptions" };
    (@ts avg_pool2) => { "AvgPoolOptions" };
    (@ts window) => { "WindowOptions" };
    (@ts stft) => { "StftOptions" };
    (tensor) => { Tensor };
    (maybe_tensor) => { Option<Tensor> };
    (operand) => { crate::tensor::Value };
    (tensors) => { Vec<Tensor> };
    (maybe_tensors) => { Option<Vec<Tensor>> };
    (number) => { f64 };
    (maybe_number) => { Option<f64> };
    (int) => { isize };
    (maybe_int) => { Option<isize> };
    (size) => { usize };
    (maybe_size) => { Option<usize> };
    (flag) => { bool };
    (text) => { String };
    (dtype) => { DType };
    (ints) => { Vec<isize> };
    (sizes) => { Vec<usize> };
    (shape) => { crate::shape::Shape };
    (dims) => { Axes };
    (split) => { Split };
    (size1) => { [usize; 1] };
    (size2) => { [usize; 2] };
    (pad_mode) => { Name };
    (reduction) => { loss::Reduction };
    (gate) => { crate::op::Gate };
    (rope_layout) => { RopeLayout };
    (interpolation) => { Interpolation };
    (interpolate_size) => { super::args::Resize };
    (indexing) => { Indexing };
    (indices) => { super::args::Indices };
    (attention) => { AttentionSpec };
    (conv1) => { ConvOptions<1> };
    (conv2) => { ConvOptions<2> };
    (conv_transpose1) => { ConvTransposeOptions<1> };
    (conv_transpose2) => { ConvTransposeOptions<2> };
    (max_pool1) => { MaxPoolOptions<1> };
    (max_pool2) => { MaxPoolOptions<2> };
    (avg_pool1) => { AvgPoolOptions<1> };
    (avg_pool2) => { AvgPoolOptions<2> };
    (window) => { WindowOptions };
    (stft) => { crate::tensor::StftOptions };
}
pub(super) use kind;

/// What TypeScript calls a result.
macro_rules! result {
    (tensor) => {
        "T"
    };
    (pair) => {
        "[T, T]"
    };
    (triple) => {
        "[T, T, T]"
    };
    (list) => {
        "T[]"
    };
    (maybe_list) => {
        "(T | null)[]"
    };
    (nothing) => {
        "void"
    };
    (read) => {
        "Promise<T>"
    };
    (read_pair) => {
        "Promise<[T, T]>"
    };
    (read_flag) => {
        "Promise<boolean>"
    };
}
pub(super) use result;
