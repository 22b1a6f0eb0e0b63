//! What a case's operation name and arguments mean: a call of the tensor API, or a fused operation. One file per room.

mod autograd;
mod base;
mod conv;
mod fused;
mod index;
mod nn;

use crate::{
    error::{Error, Result},
    op::Op,
    tensor::Tensor,
};
use serde_json::Value;

/// A golden file and what its operations mean: `None` for a name that the room does not know.
type Room = (&'static str, &'static [u8], fn(&str, &Args<'_>, &[&Tensor]) -> Result<Option<Call>>);

macro_rules! room {
    ($name:ident) => {
        (
            stringify!($name),
            include_bytes!(concat!("../../../tests/golden/conformance/", stringify!($name), ".safetensors")),
            $name::call,
        )
    };
}

/// Every golden file, in the order in which names are looked up.
pub(super) static ROOMS: &[Room] = &[room!(autograd), room!(base), room!(conv), room!(fused), room!(index), room!(nn)];

/// What a case calls.
pub(super) enum Call {
    /// The result of a method.
    Result(Tensor),
    /// The result of a method that is one operation, whose decomposition gives the same.
    Fused(Tensor, Op),
}

/// Results of one case.
pub(super) struct Results {
    pub direct: Tensor,
    /// Of fused operations.
    pub decomposed: Option<Tensor>,
}

/// Typed access to a case's arguments.
pub(super) struct Args<'a>(pub &'a Value);

impl Args<'_> {
    pub fn get<T>(&self, name: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let found = self.0.get(name).and_then(read);
        found.ok_or_else(|| Error::argument("conformance", format!("no argument {name} in {}", self.0)))
    }
    pub fn number(&self, name: &str) -> Result<f64> {
        self.get(name, Value::as_f64)
    }
    pub fn size(&self, name: &str) -> Result<usize> {
        self.get(name, |v| v.as_u64().map(|v| v as usize))
    }
    pub fn dim(&self, name: &str) -> Result<isize> {
        self.get(name, |v| v.as_i64().map(|v| v as isize))
    }
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
    pub fn text(&self, name: &str) -> Result<String> {
        self.get(name, |v| v.as_str().map(str::to_string))
    }
    pub fn list(&self, name: &str) -> Result<Vec<usize>> {
        self.get(name, |v| v.as_array()?.iter().map(|v| v.as_u64().map(|v| v as usize)).collect())
    }
    /// A list of numbers that may be negative.
    pub fn dims(&self, name: &str) -> Result<Vec<isize>> {
        self.get(name, |v| v.as_array()?.iter().map(|v| v.as_i64().map(|v| v as isize)).collect())
    }
    pub fn optional(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }
}

/// Runs a case.
pub(super) async fn run(op: &str, args: &Value, inputs: &[&Tensor]) -> Result<Results> {
    let args = Args(args);
    if let Some(direct) = index::awaited(op, inputs).await? {
        return Ok(Results { direct, decomposed: None });
    }
    for (_, _, call) in ROOMS {
        match call(op, &args, inputs)? {
            Some(Call::Result(direct)) => return Ok(Results { direct, decomposed: None }),
            Some(Call::Fused(direct, op)) => {
                return Ok(Results { direct, decomposed: op.decompose(inputs).transpose()? });
            }
            None => {}
        }
    }
    Err(Error::argument("conformance", format!("no call for the operation {op}")))
}
