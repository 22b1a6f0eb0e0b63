//! The machine that runs pickles: the opcodes that Python's picklers of protocol 2 to 5 write for PyTorch.
//!
//! Everything that it makes lies in flat lists and is named by index: values that contain each other or nest deeply cost
//! nothing to drop, and how many there can be is bounded by the pickle's length.

use super::{Kind, globals::Global};
use crate::error::Error;
use std::collections::HashMap;

/// Most values on the stack; Python's picklers put at most a few thousand there at a time.
const MAX_STACK: usize = 1 << 14;
/// An allowance for lists, tuples, dictionaries and memo entries beside what the pickle's length allows.
const SPARE: usize = 1024;

/// A value. Texts are ranges of the pickle; what has parts is an index into the machine's lists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text {
        at: u32,
        len: u32,
    },
    /// Bytes, and whole numbers of more than 64 bits.
    Bytes,
    Tuple(u32),
    List(u32),
    Dict(u32),
    Storage(u32),
    Tensor(u32),
    Global(Global),
    /// Something that is allowed and says nothing about tensors (a device).
    Opaque,
}

/// Elements in the file that tensors are views of.
#[derive(Debug)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub kind: &'static Kind,
    /// Where it begins in the elements under `key`.
    pub base: u64,
}

/// A view of a storage.
#[derive(Debug)]
pub(super) struct Tensor {
    pub storage: u32,
    /// Its own element type, where the storage is of bytes.
    pub kind: Option<&'static Kind>,
    pub offset: u64,
    pub sizes: Vec<u64>,
    pub strides: Vec<u64>,
}

/// Why a pickle could not be run.
pub(super) enum Failure {
    /// It goes on behind the bytes given.
    Short,
    Bad(String),
    Error(Error),
}

impl Failure {
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Bad(message.into())
    }
}

pub(super) struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Where on the stack the parts of something begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    /// Parts of tuples and lists; dictionaries have key, value, key, value …
    lists: Vec<Vec<Value>>,
    pub storages: Vec<Storage<'a>>,
    pub tensors: Vec<Tensor>,
    /// How many parts and memo entries there may yet be.
    budget: usize,
}

type Step = Result<(), Failure>;

impl<'a> Machine<'a> {
    pub fn new(pickle: &'a [u8]) -> Self {
        Self {
            pickle,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            lists: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
            budget: pickle.len() / 2 + SPARE,
        }
    }

    /// Runs the pickle to its end; gives its value and length.
    pub fn run(&mut self) -> Result<(Value, usize), Failure> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                let value = self.pop()?;
                return Ok((value, self.at));
            }
            self.step(opcode)?;
            if self.stack.len() > MAX_STACK || self.marks.len() > MAX_STACK {
                return Err(self.bad(format!("puts more than {MAX_STACK} values on the stack")));
            }
        }
    }

    /// The bytes behind the pickle.
    pub fn rest(&self) -> &'a [u8] {
        &self.pickle[self.at..]
    }
    /// Bytes of the pickle.
    pub fn len(&self) -> usize {
        self.pickle.len()
    }
    /// The parts of a tuple or list.
    pub fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(at) | Value::List(at) => Some(&self.lists[at as usize]),
            _ => None,
        }
    }
    /// Keys and values of a dictionary.
    pub fn pairs(&self, value: Value) -> Option<impl Iterator<Item = (Value, Value)> + '_> {
        match value {
            Value::Dict(at) => Some(self.lists[at as usize].chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => None,
        }
    }
    /// A text.
    pub fn text(&self, value: Value) -> Option<&'a str> {
        match value {
            // Checked when the value was made.
            Value::Text { at, len } => std::str::from_utf8(&self.pickle[at as usize..][..len as usize]).ok(),
            _ => None,
        }
    }
    pub fn bad(&self, message: impl std::fmt::Display) -> Failure {
        Failure::Bad(format!("the pickle, at byte {}: {message}", self.at))
    }

    fn step(&mut self, opcode: u8) -> Step {
        match opcode {
            0x80 => match self.take(1)?[0] {
                version @ 6.. => Err(self.bad(format!("protocol {version}; at most 5 is known"))),
                _ => Ok(()),
            },
            0x95 => self.take(8).map(|_| ()),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.pop_to_mark().map(|_| ()),
            b'2' => {
                let top = self.top()?;
                self.push(top)
            }
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))
            }
            b'K' => {
                let number = self.take(1)?[0];
                self.push(Value::Int(number.into()))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()))
            }
            0x8a => {
                let len = self.take(1)?[0];
                self.long(len.into())
            }
            0x8b => {
                let len = self.len32()?;
                self.long(len)
            }
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(number))
            }
            0x8c | b'U' => {
                let len = self.take(1)?[0];
                self.string(len.into(), opcode == 0x8c)
            }
            b'X' | b'T' => {
                let len = self.len32()?;
                self.string(len, opcode == b'X')
            }
            0x8d => {
                let len = self.len64()?;
                self.string(len, true)
            }
            b'C' => {
                let len = self.take(1)?[0];
                self.bytes(len.into())
            }
            b'B' => {
                let len = self.len32()?;
                self.bytes(len)
            }
            0x8e | 0x96 => {
                let len = self.len64()?;
                self.bytes(len)
            }
            b')' => self.tuple(0),
            0x85..=0x87 => self.tuple((opcode - 0x84).into()),
            b't' => {
                let count = self.stack.len() - self.mark()?;
                self.tuple(count)
            }
            b']' | 0x8f => {
                let list = self.list(Vec::new())?;
                self.push(Value::List(list))
            }
            b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                let list = self.list(items)?;
                self.push(Value::List(list))
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item], false)
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items, false)
            }
            b'}' => {
                let dict = self.list(Vec::new())?;
                self.push(Value::Dict(dict))
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                let dict = self.list(Vec::new())?;
                self.push(Value::Dict(dict))?;
                self.extend(items, true)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.extend(vec![key, value], true)
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend(items, true)
            }
            b'q' => {
                let index = self.take(1)?[0];
                self.put(index.into())
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.put(index)
            }
            0x94 => self.put(self.memo.len() as u32),
            b'h' => {
                let index = self.take(1)?[0];
                self.get(index.into())
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.get(index)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.text(module), self.text(name)) {
                    (Some(module), Some(name)) => self.global(module, name),
                    _ => Err(self.bad("a global whose name is no text")),
                }
            }
            b'Q' => self.persistent(),
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let Value::Global(global) = callable else {
                    return Err(self.bad("calls what it did not import; only tensors can be built"));
                };
                let value = self.call(global, arguments)?;
                self.push(value)
            }
            // Attributes of an OrderedDict or a tensor: nothing that is kept.
            b'b' => {
                self.pop()?;
                match self.top()? {
                    Value::Dict(_) | Value::Tensor(_) | Value::Opaque => Ok(()),
                    _ => Err(self.bad("sets attributes of what is neither a dictionary nor a tensor")),
                }
            }
            other => Err(self.bad(format!("opcode {other:#04x} is none that PyTorch writes"))),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Failure> {
        let bytes = self.pickle.get(self.at..).and_then(|rest| rest.get(..len)).ok_or(Failure::Short)?;
        self.at += len;
        Ok(bytes)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        self.take(N)?.first_chunk().copied().ok_or(Failure::Short)
    }
    fn len32(&mut self) -> Result<usize, Failure> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }
    fn len64(&mut self) -> Result<usize, Failure> {
        // What does not fit is longer than the pickle.
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| Failure::Short)
    }
    fn line(&mut self) -> Result<&'a str, Failure> {
        let rest = self.rest();
        let len = rest.iter().take(512).position(|&b| b == b'\n');
        let Some(len) = len else {
            return Err(if rest.len() < 512 { Failure::Short } else { self.bad("a global with an endless name") });
        };
        self.at += len + 1;
        std::str::from_utf8(&rest[..len]).map_err(|_| self.bad("a global whose name is not UTF-8"))
    }
    pub fn push(&mut self, value: Value) -> Step {
        self.stack.push(value);
        Ok(())
    }
    fn top(&self) -> Result<Value, Failure> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack[floor..].last().copied().ok_or_else(|| self.bad("takes from an empty stack"))
    }
    fn pop(&mut self) -> Result<Value, Failure> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }
    /// Removes the last mark; everything above where it stood belongs together.
    fn mark(&mut self) -> Result<usize, Failure> {
        self.marks.pop().ok_or_else(|| self.bad("there is no mark"))
    }
    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Failure> {
        let mark = self.mark()?;
        Ok(self.stack.split_off(mark))
    }
    pub fn spend(&mut self, count: usize) -> Step {
        match self.budget.checked_sub(count) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.bad("makes more values than a pickle of its length should")),
        }
    }
    /// A new list of parts.
    pub fn list(&mut self, items: Vec<Value>) -> Result<u32, Failure> {
        self.spend(1)?;
        self.lists.push(items);
        Ok((self.lists.len() - 1) as u32)
    }
    fn tuple(&mut self, count: usize) -> Step {
        let floor = self.marks.last().copied().unwrap_or(0);
        let Some(start) = self.stack.len().checked_sub(count).filter(|&s| s >= floor) else {
            return Err(self.bad("takes from an empty stack"));
        };
        let items = self.stack.split_off(start);
        let tuple = self.list(items)?;
        self.push(Value::Tuple(tuple))
    }
    /// Adds items to the list, or keys and values to the dictionary, on top of the stack.
    fn extend(&mut self, items: Vec<Value>, pairs: bool) -> Step {
        let at = match self.top()? {
            Value::List(at) if !pairs => at,
            Value::Dict(at) if pairs && items.len().is_multiple_of(2) => at,
            _ => return Err(self.bad("adds items to what is no list or dictionary")),
        };
        self.lists[at as usize].extend(items);
        Ok(())
    }
    fn long(&mut self, len: usize) -> Step {
        let bytes = self.take(len)?;
        if len > 8 {
            return self.push(Value::Bytes);
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut number = [if negative { 0xff } else { 0 }; 8];
        number[..len].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(number)))
    }
    /// Text; what Python 2 wrote as bytes too, as long as it is UTF-8.
    fn string(&mut self, len: usize, must: bool) -> Step {
        let at = self.at as u32;
        let bytes = self.take(len)?;
        match std::str::from_utf8(bytes) {
            Ok(_) => self.push(Value::Text { at, len: len as u32 }),
            Err(_) if must => Err(self.bad("a text is not UTF-8")),
            Err(_) => self.push(Value::Bytes),
        }
    }
    fn bytes(&mut self, len: usize) -> Step {
        self.take(len)?;
        self.push(Value::Bytes)
    }
    fn put(&mut self, index: u32) -> Step {
        let top = self.top()?;
        if self.memo.insert(index, top).is_none() {
            self.spend(1)?;
        }
        Ok(())
    }
    fn get(&mut self, index: u32) -> Step {
        match self.memo.get(&index) {
            Some(&value) => self.push(value),
            None => Err(self.bad(format!("memo {index} is empty"))),
        }
    }
    fn global(&mut self, module: &str, name: &str) -> Step {
        match Global::find(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => Err(self.bad(format!(
                "asks for {module}.{name}, which is refused: only tensors, numbers, texts, lists and dictionaries are \
                 read, and nothing is run. Save the state_dict() alone"
            ))),
        }
    }
    fn persistent(&mut self) -> Step {
        let id = self.pop()?;
        let storage = self.storage_of(id)?;
        self.push(storage)
    }
}
