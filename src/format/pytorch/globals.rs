//! What a pickle may import, and what calling it makes.

use super::{
    Kind, Raw,
    pickle::{Failure, Machine, Storage, Tensor, Value},
};
use crate::dtype::DType;

/// Most dimensions of a tensor (PyTorch's limit).
const MAX_DIMS: usize = 64;

/// An imported name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    /// `_rebuild_tensor`, `_v2` and `_v3`.
    Rebuild(u8),
    /// `_rebuild_parameter`, with and without state, and `Parameter` itself.
    Parameter,
    /// `_rebuild_from_type_v2`.
    RebuildFromType,
    Size,
    Device,
    /// A storage's or tensor's element type.
    Kind(&'static Kind),
    /// `torch.Tensor`, named as the type of a tensor.
    Type,
}

const fn kind(dtype: &'static str, storage: &'static str, raw: Option<Raw>, size: usize) -> Kind {
    Kind { dtype, storage, raw, size }
}
static KINDS: [Kind; 19] = [
    kind("float32", "FloatStorage", Some(Raw::Same(DType::F32)), 4),
    kind("float16", "HalfStorage", Some(Raw::Same(DType::F16)), 2),
    kind("bfloat16", "BFloat16Storage", Some(Raw::Same(DType::BF16)), 2),
    kind("float64", "DoubleStorage", Some(Raw::Same(DType::F64)), 8),
    kind("int64", "LongStorage", Some(Raw::Same(DType::I64)), 8),
    kind("int32", "IntStorage", Some(Raw::Same(DType::I32)), 4),
    kind("int16", "ShortStorage", Some(Raw::I16), 2),
    kind("int8", "CharStorage", Some(Raw::I8), 1),
    kind("uint8", "ByteStorage", Some(Raw::Same(DType::U8)), 1),
    kind("bool", "BoolStorage", Some(Raw::Same(DType::U8)), 1),
    kind("uint16", "", Some(Raw::U16), 2),
    kind("uint32", "", Some(Raw::Same(DType::U32)), 4),
    kind("uint64", "", None, 8),
    kind("complex64", "ComplexFloatStorage", None, 8),
    kind("complex128", "ComplexDoubleStorage", None, 16),
    kind("float8_e4m3fn", "", None, 1),
    kind("float8_e5m2", "", None, 1),
    kind("float8_e4m3fnuz", "", None, 1),
    kind("float8_e5m2fnuz", "", None, 1),
];
/// A storage that does not say what it holds.
static BYTES: Kind = kind("uint8", "UntypedStorage", Some(Raw::Same(DType::U8)), 1);

impl Global {
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor") => Self::Rebuild(1),
            ("torch._utils", "_rebuild_tensor_v2") => Self::Rebuild(2),
            ("torch._utils", "_rebuild_tensor_v3") => Self::Rebuild(3),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::Parameter,
            ("torch.nn.parameter", "Parameter" | "Buffer") => Self::Parameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Self::RebuildFromType,
            ("torch", "Tensor") => Self::Type,
            ("torch", "Size") => Self::Size,
            ("torch", "device") => Self::Device,
            ("torch" | "torch.storage", "UntypedStorage" | "_UntypedStorage") => Self::Kind(&BYTES),
            ("torch" | "torch.cuda", _) => {
                Self::Kind(KINDS.iter().find(|k| name == k.dtype || (name == k.storage && !name.is_empty()))?)
            }
            _ => return None,
        })
    }
}

impl<'a> Machine<'a> {
    /// What calling an imported name makes. Nothing is called: the machine makes it itself.
    pub(super) fn call(&mut self, global: Global, arguments: Value) -> Result<Value, Failure> {
        let Some(items) = self.items(arguments).map(<[Value]>::to_vec) else {
            return Err(self.bad("a call whose arguments are no tuple"));
        };
        match (global, items.as_slice()) {
            (Global::OrderedDict, []) => Ok(Value::Dict(self.list(Vec::new())?)),
            (Global::OrderedDict, &[pairs]) => {
                let pairs = self.items(pairs).map(<[Value]>::to_vec).unwrap_or_default();
                let mut flat = Vec::new();
                for pair in pairs {
                    match self.items(pair) {
                        Some(&[key, value]) => flat.extend([key, value]),
                        _ => return Err(self.bad("an OrderedDict of what are no pairs")),
                    }
                }
                self.spend(flat.len())?;
                Ok(Value::Dict(self.list(flat)?))
            }
            (Global::Rebuild(version), &[Value::Storage(storage), offset, sizes, strides, ..]) => {
                let kind = match (version, items.get(6)) {
                    (3, Some(&Value::Global(Global::Kind(kind)))) => Some(kind),
                    (3, _) => return Err(self.bad("a tensor without an element type")),
                    _ => None,
                };
                let (offset, sizes, strides) = (self.number(offset)?, self.numbers(sizes)?, self.numbers(strides)?);
                if sizes.len() != strides.len() {
                    return Err(self.bad(format!("a tensor of sizes {sizes:?} and strides {strides:?}")));
                }
                self.spend(1)?;
                self.tensors.push(Tensor { storage, kind, offset, sizes, strides });
                Ok(Value::Tensor((self.tensors.len() - 1) as u32))
            }
            (Global::Parameter, &[tensor @ Value::Tensor(_), ..]) => Ok(tensor),
            (Global::RebuildFromType, &[Value::Global(inner @ Global::Rebuild(_)), _, arguments, ..]) => {
                self.call(inner, arguments)
            }
            (Global::Size, &[sizes]) if self.items(sizes).is_some() => Ok(sizes),
            (Global::Device, _) => Ok(Value::Opaque),
            _ => Err(self.bad(format!("a call of {global:?} with arguments that it does not take"))),
        }
    }

    fn number(&self, value: Value) -> Result<u64, Failure> {
        match value {
            Value::Int(n) if n >= 0 => Ok(n as u64),
            _ => Err(self.bad("a tensor with a size, stride or offset that is no number from 0")),
        }
    }
    fn numbers(&self, value: Value) -> Result<Vec<u64>, Failure> {
        match self.items(value) {
            Some(items) if items.len() <= MAX_DIMS => items.iter().map(|&v| self.number(v)).collect(),
            Some(items) => Err(self.bad(format!("a tensor of {} dimensions; {MAX_DIMS} are possible", items.len()))),
            None => Err(self.bad("a tensor whose sizes or strides are no list")),
        }
    }

    /// The storage that `('storage', type, key, location, count[, (view key, offset, count)])` names.
    pub(super) fn storage_of(&mut self, id: Value) -> Result<Value, Failure> {
        let Some(&[tag, Value::Global(Global::Kind(kind)), key, _, count, ref view @ ..]) = self.items(id) else {
            return Err(self.bad("a reference to what is no storage"));
        };
        let (Some("storage"), Some(key)) = (self.text(tag), self.text(key)) else {
            return Err(self.bad("a reference to what is no storage"));
        };
        self.number(count)?;
        let base = match view {
            [] | [Value::None] => 0,
            &[view] => match self.items(view) {
                Some(&[_, offset, _]) => self.number(offset)?,
                _ => return Err(self.bad("a view of a storage that is none")),
            },
            _ => return Err(self.bad("a reference to what is no storage")),
        };
        self.spend(1)?;
        self.storages.push(Storage { key, kind, base });
        Ok(Value::Storage((self.storages.len() - 1) as u32))
    }
}
