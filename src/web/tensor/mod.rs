//! Tensors for JavaScript: the module that the package ships as `votive/tensor`. The friendly class is TypeScript; its methods
//! are made from the table of [`operations`], which is the one place that lists them.

mod args;
mod gradients;
mod handles;
mod operations;

pub use gradients::WasmGradients;

use super::{
    convert::to_js,
    promise::{alive, promise},
};
use crate::{
    autograd,
    backend::cpu::Buffer,
    device::Device,
    dtype::DType,
    error::{Error, Result},
    tensor::Tensor,
};
use args::{Args, IntoJs};
use js_sys::{
    Array, BigInt64Array, Float32Array, Float64Array, Function, Int32Array, Promise, Uint8Array, Uint32Array,
};
use operations::{FUNCTIONS, METHODS};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** The type of a tensor's elements; block formats (q…) are for weights. */
export type DType = 'f32' | 'f16' | 'bf16' | 'f64' | 'i64' | 'i32' | 'u32' | 'u8' | 'q4_0' | 'q4_1' | 'q5_0' | 'q5_1' |
  'q8_0' | 'q8_1' | 'q2_k' | 'q3_k' | 'q4_k' | 'q5_k' | 'q6_k' | 'q8_k';
/** One part of `x.i(…)`: an index, a range, indices, a new dimension (null), or as many whole dimensions as are left. */
export type Index<T> = number | { start?: number; end?: number; step?: number } | T | null | '...';
/** What lies outside of a tensor. */
export type PadMode = 'constant' | 'reflect' | 'replicate' | 'circular';
type Each = number | readonly number[];
export interface ConvOptions { stride?: Each; padding?: Each | 'same'; dilation?: Each; groups?: number }
export interface ConvTransposeOptions { stride?: Each; padding?: Each; outputPadding?: Each; dilation?: Each; groups?: number }
export interface MaxPoolOptions { stride?: Each; padding?: Each; dilation?: Each; ceilMode?: boolean }
export interface AvgPoolOptions { stride?: Each; padding?: Each; ceilMode?: boolean; countIncludePad?: boolean; divisorOverride?: number }
export interface WindowOptions { stride?: Each; padding?: Each; dilation?: Each }
export interface AttentionOptions { /** 1 / sqrt(size of a head) if absent. */ scale?: number; causal?: boolean; window?: number; softcap?: number }
export interface StftOptions { nFft: number; hopLength?: number; winLength?: number; center?: boolean; padMode?: PadMode;
  normalized?: boolean; onesided?: boolean }
"#;

/// Says how JavaScript's objects are made of their numbers; to be called first.
#[wasm_bindgen(js_name = setUp)]
pub fn set_up(make: Function) {
    handles::made_by(make);
}

/// Names of the methods, by index.
#[wasm_bindgen(js_name = methodNames)]
pub fn method_names() -> Vec<String> {
    METHODS.iter().map(|op| op.name.to_owned()).collect()
}

/// Names of the functions, by index.
#[wasm_bindgen(js_name = functionNames)]
pub fn function_names() -> Vec<String> {
    FUNCTIONS.iter().map(|op| op.name.to_owned()).collect()
}

/// Calls a method; the tensor is the first of the arguments.
#[wasm_bindgen(js_name = callMethod)]
pub fn call_method(index: usize, args: Array) -> Result<JsValue, JsValue> {
    call(METHODS, index, args)
}

/// Calls a function.
#[wasm_bindgen(js_name = callFunction)]
pub fn call_function(index: usize, args: Array) -> Result<JsValue, JsValue> {
    call(FUNCTIONS, index, args)
}

fn call(table: &[operations::Operation], index: usize, args: Array) -> Result<JsValue, JsValue> {
    alive()?;
    let op = table.get(index).ok_or_else(|| to_js(Error::argument("call", "no such operation")))?;
    (op.run)(&mut Args::new(op.name, args)).map_err(to_js)
}

/// A tensor of the elements that `bytes` hold.
#[wasm_bindgen(js_name = fromBytes)]
pub fn from_bytes(bytes: &Uint8Array, dtype: &str, shape: Vec<usize>) -> Result<JsValue, JsValue> {
    alive()?;
    let make = || {
        let mut buffer = Buffer::zeroed(bytes.length() as usize)?;
        bytes.copy_to(buffer.bytes_mut());
        Tensor::from_buffer(buffer, DType::from_name(dtype)?, shape, &Device::cpu())?.into_js()
    };
    make().map_err(to_js)
}

fn tensor(object: &JsValue) -> Result<Tensor> {
    handles::tensor_of(object).ok_or_else(|| Error::argument("tensor", "not a tensor"))
}

/// Lets go of a tensor.
#[wasm_bindgen]
pub fn release(handle: f64) {
    handles::release(handle);
}

/// How many tensors JavaScript holds.
#[wasm_bindgen(js_name = tensorCount)]
pub fn tensor_count() -> usize {
    handles::count()
}

/// The sizes of its dimensions.
#[wasm_bindgen(js_name = shapeOf)]
pub fn shape_of(object: &JsValue) -> Result<Vec<usize>, JsValue> {
    Ok(tensor(object).map_err(to_js)?.dims().to_vec())
}

/// The name of its dtype.
#[wasm_bindgen(js_name = dtypeOf)]
pub fn dtype_of(object: &JsValue) -> Result<String, JsValue> {
    Ok(tensor(object).map_err(to_js)?.dtype().name().to_owned())
}

/// Does a gradient flow through it?
#[wasm_bindgen(js_name = isTracked)]
pub fn is_tracked(object: &JsValue) -> Result<bool, JsValue> {
    Ok(tensor(object).map_err(to_js)?.is_tracked())
}

/// As PyTorch prints it.
#[wasm_bindgen]
pub fn print(object: &JsValue) -> Result<String, JsValue> {
    alive()?;
    Ok(tensor(object).map_err(to_js)?.to_string())
}

/// The elements as a typed array: f16, bf16 and block formats as f32.
#[wasm_bindgen]
pub fn data(object: &JsValue) -> Promise {
    let tensor = tensor(object);
    promise(async move {
        let x = tensor?;
        Ok(match x.dtype() {
            DType::F64 => Float64Array::from(&x.to_vec().await?[..]).into(),
            DType::I64 => BigInt64Array::from(&x.to_vec().await?[..]).into(),
            DType::I32 => Int32Array::from(&x.to_vec().await?[..]).into(),
            DType::U32 => Uint32Array::from(&x.to_vec().await?[..]).into(),
            DType::U8 => Uint8Array::from(&x.to_vec().await?[..]).into(),
            _ => Float32Array::from(&x.to_dtype(DType::F32)?.to_vec().await?[..]).into(),
        })
    })
}

/// Gradients of a tensor of one element (or of any shape, given its own) with respect to all leaves.
#[wasm_bindgen]
pub fn backward(object: &JsValue, grad: &JsValue) -> Result<WasmGradients, JsValue> {
    alive()?;
    let run = || {
        let x = tensor(object)?;
        if grad.is_undefined() { x.backward() } else { x.backward_with(&tensor(grad)?) }
    };
    run().map(WasmGradients::new).map_err(to_js)
}

/// Calls a function whose operations are not recorded; what it throws comes out.
#[wasm_bindgen(js_name = noGrad)]
pub fn no_grad(function: &Function) -> Result<JsValue, JsValue> {
    autograd::no_grad(|| function.call0(&JsValue::UNDEFINED))
}
