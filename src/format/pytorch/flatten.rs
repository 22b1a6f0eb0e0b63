//! From nested dictionaries and lists to names joined by dots.

use super::pickle::{Machine, Value};
use crate::format::{self, Metadata};
use std::{collections::HashSet, fmt::Write};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Bytes of all names, beside what the pickle's length allows: parts that are in several places are named in each.
const SPARE: usize = 64 << 10;

/// The tensors in `root` by name; numbers and texts go to `metadata`. A tensor that is everything is called `tensor`.
pub(super) fn flatten(
    machine: &Machine<'_>,
    root: Value,
    metadata: &mut Metadata,
) -> Result<Vec<(String, u32)>, String> {
    let budget = 4 * machine.len() + SPARE;
    let mut walk = Walk { machine, metadata, tensors: Vec::new(), seen: HashSet::new(), path: String::new(), budget };
    walk.visit(root, 0)?;
    Ok(walk.tensors)
}

struct Walk<'a, 'p> {
    machine: &'a Machine<'p>,
    metadata: &'a mut Metadata,
    tensors: Vec<(String, u32)>,
    seen: HashSet<String>,
    path: String,
    budget: usize,
}

impl Walk<'_, '_> {
    fn visit(&mut self, value: Value, depth: usize) -> Result<(), String> {
        // Each visit costs: a list in a list in a list, each several times, would be visited without end.
        let cost = self.path.len() + 4;
        self.budget = self.budget.checked_sub(cost).ok_or("the pickle holds the same parts in too many places")?;
        if depth > MAX_DEPTH {
            return Err(format!("dictionaries and lists nest deeper than {MAX_DEPTH}"));
        }
        let (machine, len) = (self.machine, self.path.len());
        if let Some(pairs) = machine.pairs(value) {
            for (key, value) in pairs {
                // Writing to a String cannot fail.
                let _ = match (key, machine.text(key)) {
                    (_, Some(text)) => write!(self.path, "{}{text}", self.dot()),
                    (Value::Int(n), _) => write!(self.path, "{}{n}", self.dot()),
                    (Value::Bool(b), _) => write!(self.path, "{}{b}", self.dot()),
                    _ if matches!(value, Value::Tensor(_) | Value::Dict(_) | Value::List(_) | Value::Tuple(_)) => {
                        return Err(format!("{:?} has a key that is neither text nor a whole number", self.path));
                    }
                    _ => continue,
                };
                self.visit(value, depth + 1)?;
                self.path.truncate(len);
            }
            return Ok(());
        }
        if let Some(items) = machine.items(value) {
            for (index, &item) in items.iter().enumerate() {
                let _ = write!(self.path, "{}{index}", self.dot());
                self.visit(item, depth + 1)?;
                self.path.truncate(len);
            }
            return Ok(());
        }
        self.leaf(value)
    }

    fn dot(&self) -> &'static str {
        if self.path.is_empty() { "" } else { "." }
    }

    fn leaf(&mut self, value: Value) -> Result<(), String> {
        let name = if self.path.is_empty() { "tensor".to_string() } else { self.path.clone() };
        let kept = match value {
            Value::Tensor(index) => {
                if !self.seen.insert(name.clone()) {
                    return Err(format!("tensor {name:?} appears twice"));
                }
                self.tensors.push((name, index));
                return Ok(());
            }
            Value::Bool(v) => format::Value::Bool(v),
            Value::Int(v) => format::Value::I64(v),
            Value::Float(v) => format::Value::F64(v),
            Value::Text { len, .. } => {
                self.budget = self.budget.checked_sub(len as usize).ok_or("the pickle repeats long texts")?;
                format::Value::String(self.machine.text(value).unwrap_or_default().to_string())
            }
            _ => return Ok(()),
        };
        self.metadata.0.insert(name, kept);
        Ok(())
    }
}
