//! Which tensors JavaScript holds. Its objects carry a number; the tensors are kept here until they are released.

use crate::{
    error::{Error, Result},
    tensor::Tensor,
};
use js_sys::{Function, Reflect};
use std::{cell::RefCell, collections::HashMap};
use wasm_bindgen::JsValue;

#[derive(Default)]
struct Handles {
    tensors: HashMap<u64, Tensor>,
    /// Numbers are never used again.
    last: u64,
    /// Makes JavaScript's object of a number.
    make: Option<Function>,
}

thread_local! {
    static HANDLES: RefCell<Handles> = RefCell::default();
}

/// Says how JavaScript's objects are made.
pub(super) fn made_by(make: Function) {
    HANDLES.with_borrow_mut(|handles| handles.make = Some(make));
}

/// A tensor as an object of JavaScript's.
pub(super) fn give(tensor: Tensor) -> Result<JsValue> {
    let (id, make) = HANDLES.with_borrow_mut(|handles| {
        handles.last += 1;
        handles.tensors.insert(handles.last, tensor);
        (handles.last, handles.make.clone())
    });
    let make = make.ok_or_else(|| Error::argument("tensor", "the module was not set up"))?;
    let thrown = |_| Error::argument("tensor", "the object could not be made");
    make.call1(&JsValue::UNDEFINED, &(id as f64).into()).map_err(thrown)
}

/// The tensor of an object.
pub(super) fn tensor_of(object: &JsValue) -> Option<Tensor> {
    if !object.is_object() {
        return None;
    }
    let id = Reflect::get(object, &"handle".into()).ok()?.as_f64()?;
    HANDLES.with_borrow(|handles| handles.tensors.get(&(id as u64)).cloned())
}

/// Lets go of the tensor of a number.
pub(super) fn release(id: f64) {
    // Dropped after the borrow: what a tensor holds may be much.
    let tensor = HANDLES.with_borrow_mut(|handles| handles.tensors.remove(&(id as u64)));
    drop(tensor);
}

/// How many tensors JavaScript holds.
pub(super) fn count() -> usize {
    HANDLES.with_borrow(|handles| handles.tensors.len())
}
