//! Futures as promises that settle even when the engine panics.
//!
//! A panic aborts (the module is built so): the trap leaves promises pending for ever, and the caller waiting. So the
//! panic hook, which still runs, rejects all that are pending with an error that says what happened.

use super::convert::{error_object, to_js};
use crate::error::Result;
use js_sys::{Function, Promise};
use std::{cell::RefCell, collections::HashMap, future::Future};
use wasm_bindgen::JsValue;

#[derive(Default)]
struct Pending {
    rejects: HashMap<u64, Function>,
    next: u64,
    /// What the panic said; the instance is of no use any more.
    panic: Option<String>,
}

thread_local! {
    static PENDING: RefCell<Pending> = RefCell::default();
}

/// Runs the future; the promise settles with its result.
pub fn promise(future: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    let mut future = Some(future);
    Promise::new(&mut |resolve, reject| {
        // The executor is called exactly once, before `Promise::new` returns.
        let Some(future) = future.take() else { return };
        if let Err(error) = alive() {
            let _ = reject.call1(&JsValue::UNDEFINED, &error);
            return;
        }
        let id = PENDING.with_borrow_mut(|p| {
            p.next += 1;
            p.rejects.insert(p.next, reject.clone());
            p.next
        });
        wasm_bindgen_futures::spawn_local(async move {
            let result = future.await;
            PENDING.with_borrow_mut(|p| p.rejects.remove(&id));
            // Settling functions do not throw.
            let _ = match result {
                Ok(value) => resolve.call1(&JsValue::UNDEFINED, &value),
                Err(error) => reject.call1(&JsValue::UNDEFINED, &to_js(error)),
            };
        });
    })
}

/// An error once the engine has panicked: its memory may be in any state.
pub fn alive() -> std::result::Result<(), JsValue> {
    match PENDING.with_borrow(|p| p.panic.clone()) {
        None => Ok(()),
        Some(message) => Err(error_object("panic", &message)),
    }
}

/// Installs the panic hook.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message =
            format!("Votive's engine failed ({info}); it must be started anew. This is a bug: please report it");
        let error = error_object("panic", &message);
        web_sys::console::error_1(&error);
        // The panic may have come while PENDING was borrowed; then there is nothing more to be done.
        let rejects = PENDING.with(|p| {
            let Ok(mut p) = p.try_borrow_mut() else { return HashMap::new() };
            p.panic = Some(message);
            std::mem::take(&mut p.rejects)
        });
        for reject in rejects.values() {
            let _ = reject.call1(&JsValue::UNDEFINED, &error);
        }
    }));
}
