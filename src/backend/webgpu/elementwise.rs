//! Copies, casts and functions of one, two and three operands, over any layout.

use super::{
    WebGpuBackend,
    memory::{Encoding, Memory},
    memory_of,
    params::Params,
    recorder::Job,
    shader::{self, Class, pieces},
    unheld,
};
use crate::{
    backend::{Meta, Storage, View},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    op::{Binary, Compare, Gate, Unary},
};
use std::sync::Arc;

/// The function that converts between what dtypes are computed in.
pub(super) fn conversion(from: DType, to: DType) -> &'static str {
    match (Class::of(from), Class::of(to)) {
        (Class::Float, Class::Float) => "float_to_float",
        (Class::Float, Class::Int) => "float_to_int",
        (Class::Float, Class::Uint) => "float_to_uint",
        (Class::Int, Class::Float) => "int_to_float",
        (Class::Int, Class::Int) => "int_to_int",
        (Class::Int, Class::Uint) => "int_to_uint",
        (Class::Uint, Class::Float) => "uint_to_float",
        (Class::Uint, Class::Int) if to == DType::I64 => "uint_to_wide",
        (Class::Uint, Class::Int) => "uint_to_int",
        (Class::Uint, Class::Uint) => "uint_to_uint",
    }
}

/// The function that a gate is made of.
pub(super) fn activation(gate: Gate) -> Unary {
    match gate {
        Gate::Silu => Unary::Silu,
        Gate::Gelu => Unary::Gelu,
        Gate::GeluTanh => Unary::GeluTanh,
        Gate::Relu => Unary::Relu,
    }
}

/// The largest number of an unsigned dtype.
pub(super) fn limit(dtype: DType) -> u32 {
    if dtype == DType::U8 { u8::MAX.into() } else { u32::MAX }
}

impl WebGpuBackend {
    /// A job with one thread for each element of the operands, which have one shape.
    fn each<'a>(
        op: &'static str,
        kernel: &'static shader::Kernel,
        operands: &[&View<'a>],
        result: DType,
    ) -> Result<Job<'a>> {
        let layouts: Vec<_> = operands.iter().map(|v| v.layout).enumerate().collect();
        let memories = operands.iter().map(|v| memory_of(v)).collect::<Result<Vec<_>>>()?;
        let class = Class::of(operands[operands.len() - 1].dtype);
        Ok(Job::threads(op, kernel, class, &memories, result, Params::over(op, &layouts)?))
    }

    pub(super) fn unary(&self, op: Unary, x: &View<'_>, out: &Meta) -> Result<Memory> {
        let functions = if out.dtype.is_float() { pieces::FUNCTIONS } else { pieces::FUNCTIONS_INT };
        let job = Self::each(op.name(), &shader::UNARY, &[x], out.dtype)?;
        self.run(job.word("OP", op.name()).piece(functions), out)
    }

    pub(super) fn gated(&self, gate: Gate, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Memory> {
        let job = Self::each("gated", &shader::GATED, &[a, b], out.dtype)?;
        self.run(job.word("OP", activation(gate).name()), out)
    }

    pub(super) fn binary(&self, op: Binary, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Memory> {
        let functions = if out.dtype.is_float() { pieces::BINARY_FLOAT } else { pieces::BINARY_INT };
        let mut job = Self::each(op.name(), &shader::BINARY, &[a, b], out.dtype)?;
        if out.dtype.is_float() {
            job = job.piece(pieces::FUNCTIONS);
        }
        self.run(job.word("OP", op.name()).piece(functions), out)
    }

    pub(super) fn compare(&self, op: Compare, a: &View<'_>, b: &View<'_>, out: &Meta) -> Result<Memory> {
        self.run(Self::each(op.name(), &shader::COMPARE, &[a, b], out.dtype)?.word("OP", op.name()), out)
    }

    pub(super) fn choose(&self, inputs: &[View<'_>], out: &Meta) -> Result<Memory> {
        let operands: Vec<_> = inputs.iter().collect();
        self.run(Self::each("where_cond", &shader::CHOOSE, &operands, out.dtype)?, out)
    }

    pub(super) fn affine(&self, mul: f64, add: f64, x: &View<'_>, out: &Meta) -> Result<Memory> {
        let float = out.dtype.is_float();
        let kernel = if float { &shader::AFFINE_FLOAT } else { &shader::AFFINE_INT };
        let mut job = Self::each("affine", kernel, &[x], out.dtype)?;
        job.params = if float {
            job.params.f([mul as f32, add as f32])
        } else {
            // Wrapping arithmetic: -1 as u32 subtracts 1.
            job.params.bits([mul, add].map(|v| v.round_ties_even() as i64 as u32))
        };
        self.run(job, out)
    }

    pub(super) fn clamp(&self, min: f64, max: f64, x: &View<'_>, out: &Meta) -> Result<Memory> {
        let float = out.dtype.is_float();
        let kernel = if float { &shader::CLAMP_FLOAT } else { &shader::CLAMP_INT };
        let mut job = Self::each("clamp", kernel, &[x], out.dtype)?;
        job.params = match Class::of(out.dtype) {
            Class::Float => job.params.f([min as f32, max as f32]),
            Class::Int => job.params.bits([min, max].map(|v| v.round_ties_even() as i32 as u32)),
            Class::Uint => job.params.bits([min, max].map(|v| (v.round_ties_even() as u32).min(limit(out.dtype)))),
        };
        self.run(job, out)
    }

    /// Elements, converted, into the layout `to` of `target`.
    pub(super) fn copy_into(
        &self,
        op: &'static str,
        x: &View<'_>,
        target: &Memory,
        dtype: DType,
        to: &Layout,
    ) -> Result<()> {
        if x.layout.shape().elements() == 0 {
            return Ok(());
        }
        let params = Params::over(op, &[(0, x.layout), (3, to)])?;
        let job = Job::threads(op, &shader::COPY, Class::of(dtype), &[memory_of(x)?], dtype, params)
            .word("CONVERT", conversion(x.dtype, dtype))
            .number("LIMIT", limit(dtype));
        self.recorder.record(job, target)
    }

    /// The same elements in memory of their own, in row-major order.
    pub(super) fn copy(&self, op: &'static str, x: &View<'_>, out: &Meta) -> Result<Memory> {
        if x.dtype.is_quantized() {
            return self.copy_blocks(op, std::slice::from_ref(x), out);
        }
        let memory = self.fresh(op, out.dtype, out.shape.elements())?;
        self.copy_into(op, x, &memory, out.dtype, &Layout::contiguous(&out.shape))?;
        Ok(memory)
    }

    /// Blocks one after the other: contiguous parts that begin and end at words.
    fn copy_blocks(&self, op: &'static str, parts: &[View<'_>], out: &Meta) -> Result<Memory> {
        let encoding = Encoding::Blocks(out.dtype);
        let memory = self.result(op, encoding, out.shape.elements())?;
        let mut to = 0;
        for part in parts {
            let range = part.layout.contiguous_range();
            let bytes = range.map(|r| (encoding.bytes(r.start), encoding.bytes(r.end)));
            let Some((start, end)) = bytes.filter(|(a, b)| [*a, *b, to].iter().all(|n| n.is_multiple_of(4))) else {
                let message = format!("WebGPU copies {} only as whole rows that fill words", out.dtype);
                return Err(Error::Device { op, message });
            };
            let mut params = Params::new(op, (end - start) / 4)?;
            params.start(op, 0, start / 4)?;
            params.start(op, 3, to / 4)?;
            let source = memory_of(part)?;
            let job = Job::threads(op, &shader::COPY, Class::Uint, &[source], DType::U32, params)
                .word("CONVERT", "uint_to_uint")
                .number("LIMIT", u32::MAX)
                .read_as_words();
            self.recorder.record(job, &memory)?;
            to += end - start;
        }
        Ok(memory)
    }

    pub(super) fn cast(&self, op: &'static str, x: &View<'_>, out: &Meta) -> Result<Memory> {
        if !x.dtype.is_quantized() {
            return self.copy(op, x, out);
        }
        if x.dtype == out.dtype {
            return self.copy_blocks(op, std::slice::from_ref(x), out);
        }
        // Rows of whole blocks, which may lie apart.
        let (dims, strides) = (x.layout.dims(), x.layout.strides());
        let columns = dims.last().copied().unwrap_or(1);
        let rows = Layout::new(
            dims[..dims.len().saturating_sub(1)].into(),
            strides[..dims.len().saturating_sub(1)].to_vec(),
            x.layout.start(),
        );
        let Some(distance) = row_distance(&rows, columns).filter(|_| strides.last() == Some(&1) || columns == 1) else {
            let message = format!("WebGPU dequantizes rows that follow each other; {} does not", x.layout.shape());
            return Err(Error::Device { op, message });
        };
        let mut params = Params::new(op, out.shape.elements() / 8)?.k(op, [columns, distance, 0, 0])?;
        params.start(op, 0, x.layout.start())?;
        let mut job = Job::threads(op, &shader::DEQUANTIZE, Class::of(out.dtype), &[memory_of(x)?], out.dtype, params)
            .word("CONVERT", conversion(DType::F32, out.dtype))
            .number("LIMIT", limit(out.dtype));
        job.eights = 0b1;
        self.run(job, out)
    }

    pub(super) fn cat(&self, dim: usize, inputs: &[View<'_>], out: &Meta) -> Result<Memory> {
        if out.dtype.is_quantized() {
            if dim == 0 {
                return self.copy_blocks("cat", inputs, out);
            }
            return Err(unheld("cat", out.dtype));
        }
        let memory = self.fresh("cat", out.dtype, out.shape.elements())?;
        let (whole, mut start) = (Layout::contiguous(&out.shape), 0);
        for x in inputs {
            let size = x.layout.dims()[dim];
            self.copy_into("cat", x, &memory, out.dtype, &whole.narrow(dim, start, size)?)?;
            start += size;
        }
        Ok(memory)
    }

    /// In place if nobody else holds the target, and it is held as kernels write it; else in a copy.
    pub(super) fn write(&self, target: Storage, layout: &Layout, source: &View<'_>) -> Result<Storage> {
        const OP: &str = "write_slice";
        let wrong = |_| Error::Device { op: OP, message: "the target is not in memory of the GPU".into() };
        let mut target: Arc<Memory> = target.into_any().downcast().map_err(wrong)?;
        let written = Encoding::written(source.dtype).ok_or_else(|| unheld(OP, source.dtype))?;
        if Arc::strong_count(&target) > 1 || target.encoding != written {
            let fresh = self.fresh(OP, source.dtype, target.elements)?;
            let whole = Layout::contiguous(target.elements);
            let storage: Storage = target;
            let all = View { storage: &storage, layout: &whole, dtype: source.dtype };
            self.copy_into(OP, &all, &fresh, source.dtype, &whole)?;
            target = Arc::new(fresh);
        }
        self.copy_into(OP, source, &target, source.dtype, layout)?;
        Ok(target)
    }
}

/// How far apart rows are, if that is the same for all.
pub(super) fn row_distance(rows: &Layout, columns: usize) -> Option<usize> {
    let mut expected = None;
    for (&size, &stride) in rows.dims().iter().zip(rows.strides()).rev().filter(|(size, _)| **size != 1) {
        match expected {
            None => expected = Some((stride, stride * size)),
            Some((first, above)) if above == stride => expected = Some((first, stride * size)),
            Some(_) => return None,
        }
    }
    Some(expected.map_or(columns, |(first, _)| first))
}
