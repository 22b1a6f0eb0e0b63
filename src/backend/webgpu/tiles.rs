//! Products of many rows with weights of any format, in tiles: weights are read once for many rows.

use super::{
    WebGpuBackend,
    device::AdapterInfo,
    elementwise::activation,
    memory::{Encoding, Memory},
    memory_of,
    norm::BIAS_STRIDE,
    params::Params,
    product::TILE,
    recorder::{Groups, Job},
    rows::{Finish, Products, rows_of},
    shader::{self, Class, pieces},
    units::Units,
};
use crate::{
    backend::{Meta, View},
    dtype::DType,
    error::Result,
    layout::Layout,
};

/// How a GPU multiplies many rows with weights, as when it reads a prompt. What it lacks for one of them is left: it computes as
/// [`Tiles::Float`] then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tiles {
    /// Weights become f32 where they are read; products and sums of f32.
    Float,
    /// Weights of block formats stay integers, rows become integers of 16 bits, and their bytes are multiplied four at a time.
    Packed,
    /// Weights and rows become f16, whose products matrix units (tensor cores) sum up in f32. wgpu and browsers call them
    /// experimental: they are used where they pass a trial.
    Matrices,
}

/// Which kernel computes products of so many rows with weights that are held so.
///
/// Matrix units of GPUs multiply several times as many f16 as other units multiply f32 or bytes. How much of that is left by what
/// brings the numbers was not measured: there was no GPU at hand. A tile has 64 rows, so it is not for less than a quarter of
/// them. Whoever keeps weights in f32 expects products of f32.
fn policy(
    info: &AdapterInfo,
    units: Option<Units>,
    forced: Option<Tiles>,
    weights: Encoding,
    rows: usize,
    depth: usize,
) -> Tiles {
    let exact = weights == Encoding::F32 && units.is_some_and(|units| units.halves);
    let best = match () {
        () if units.is_some() && rows >= 16 && depth >= 32 && !exact => Tiles::Matrices,
        () if info.packed_dot => Tiles::Packed,
        () => Tiles::Float,
    };
    match (forced.unwrap_or(best), weights) {
        (Tiles::Matrices, _) if units.is_some() => Tiles::Matrices,
        (Tiles::Packed, Encoding::Blocks(_)) => Tiles::Packed,
        _ => Tiles::Float,
    }
}

/// Elements of a row that are packed together, and the words that they become.
const BLOCK: usize = 32;
const BLOCK_WORDS: usize = 20;

/// How many neighbouring weights have one scale, and have they an offset?
fn groups(format: DType) -> (u32, bool) {
    match format {
        DType::Q2_K => (16, true),
        DType::Q3_K | DType::Q6_K => (16, false),
        DType::Q4_1 | DType::Q5_1 | DType::Q4_K | DType::Q5_K => (32, true),
        _ => (32, false),
    }
}

/// Rows to multiply: as they are, and packed once that is wanted.
struct Rows<'a> {
    view: View<'a>,
    count: usize,
    distance: usize,
    packed: Option<Memory>,
    /// As matrix units take them.
    halved: Option<Memory>,
}

/// What stands behind one of the products.
enum End<'a> {
    Plain,
    Bias(&'a View<'a>),
    Residual(&'a View<'a>),
    Gate(&'a Memory, &'static str),
}

impl WebGpuBackend {
    /// `None`: operands lie in another way than the kernels take them.
    pub(super) fn tiles(&self, products: &Products<'_>, out: &Meta) -> Result<Option<Memory>> {
        let Products { op, x, norm, weights, finish } = products;
        let normed;
        let layout = Layout::contiguous(x.layout.shape());
        let view = match norm {
            Some((scale, eps)) => {
                let like = Meta { shape: x.layout.shape().clone(), dtype: x.dtype };
                let inputs = [(*x).clone(), (*scale).clone()];
                normed = super::stored(self.norm("rms_norm", *eps, &inputs, &like)?);
                View { storage: &normed, layout: &layout, dtype: x.dtype }
            }
            None => (*x).clone(),
        };
        let Some((count, distance)) = rows_of(view.layout) else { return Ok(None) };
        let mut rows = Rows { view, count, distance, packed: None, halved: None };
        let result = self.fresh(op, out.dtype, out.shape.elements())?;
        match (finish, weights) {
            (Finish::Gate(gate), [first, second]) => {
                let before = self.fresh(op, out.dtype, out.shape.elements())?;
                self.tile(op, &mut rows, first, &End::Plain, (&before, 0), out)?;
                let end = End::Gate(&before, activation(*gate).name());
                self.tile(op, &mut rows, second, &end, (&result, 0), out)?;
            }
            _ => {
                let end = match finish {
                    Finish::Bias(bias) => End::Bias(bias),
                    Finish::Residual(residual) => End::Residual(residual),
                    _ => End::Plain,
                };
                let mut column = 0;
                for weight in *weights {
                    self.tile(op, &mut rows, weight, &end, (&result, column), out)?;
                    column += weight.layout.dims()[0];
                }
            }
        }
        Ok(Some(result))
    }

    /// Products with one weight, written from a column of the result on.
    fn tile(
        &self,
        op: &'static str,
        rows: &mut Rows<'_>,
        w: &View<'_>,
        end: &End<'_>,
        (result, column): (&Memory, usize),
        out: &Meta,
    ) -> Result<()> {
        let weights = memory_of(w)?;
        let (m, n, k) = (rows.count, w.layout.dims()[0], w.layout.dims()[1]);
        let all = out.shape.dims()[out.shape.rank() - 1];
        let kernel = policy(&self.gpu.info, self.gpu.units, self.gpu.tiles, weights.encoding, m, k);
        let units = self.gpu.units.filter(|_| kernel == Tiles::Matrices);
        let halves = units.is_some_and(|units| units.halves);
        let distance = if halves { halved_words(k) } else { rows.distance };
        let distances = [distance, w.layout.strides()[0], column];
        let mut params = Params::new(op, m * n)?.k(op, [m, n, k, all])?.inner_words(op, 0, &distances)?;
        params.start(op, 1, w.layout.start())?;
        let x = match kernel {
            Tiles::Matrices if halves => self.halved(op, rows, k)?,
            Tiles::Float | Tiles::Matrices => {
                params.start(op, 0, rows.view.layout.start())?;
                memory_of(&rows.view)?
            }
            Tiles::Packed => self.packed(op, rows, k)?,
        };
        let (mut operands, mut names) = (vec![x, weights], vec!["a", "b"]);
        let piece = match end {
            End::Plain => pieces::PLAIN,
            End::Bias(bias) => {
                params.start(op, 2, bias.layout.start())?;
                params = params.inner_words(op, BIAS_STRIDE, &[bias.layout.strides()[0]])?;
                operands.push(memory_of(bias)?);
                names.push("bias");
                pieces::BIASED
            }
            End::Residual(residual) => {
                params.start(op, 2, residual.layout.start())?;
                operands.push(memory_of(residual)?);
                names.push("residual");
                pieces::RESIDUAL
            }
            End::Gate(gate, _) => {
                operands.push(gate);
                names.push("gate");
                pieces::GATED_BEFORE
            }
        };
        let program = match kernel {
            Tiles::Float => &shader::LINEAR_TILE,
            Tiles::Packed => &shader::LINEAR_PACKED,
            Tiles::Matrices => &shader::LINEAR_MATRIX,
        };
        let mut job = Job::threads(op, program, Class::Float, &operands, out.dtype, params);
        if let End::Gate(_, function) = end {
            job = job.piece(pieces::FUNCTIONS).word("OP", function);
        }
        job = match (kernel, weights.encoding) {
            (Tiles::Packed, Encoding::Blocks(format)) => {
                let (group, offsets) = groups(format);
                job.number("GROUP", group).flag("OFFSETS", offsets)
            }
            (Tiles::Matrices, _) => match units {
                Some(units) => units.job(&self.gpu, job),
                None => job,
            },
            // What is f16 in the file stays exact; what other weights would lose is more than sums in f32 lose.
            (_, Encoding::F16) if self.gpu.info.shader_f16 => job.piece(pieces::HELD_F16),
            _ => job.piece(pieces::HELD_F32),
        };
        job = job.piece(piece);
        job.names = names;
        match kernel {
            Tiles::Float => job.eights = 0b11,
            Tiles::Packed => job.quads = 0b01,
            Tiles::Matrices if halves => (job.eights, job.quads) = (0b10, 0b01),
            Tiles::Matrices => job.eights = 0b11,
        }
        job.groups = Groups::Grid(n.div_ceil(TILE), m.div_ceil(TILE), 1);
        self.recorder.record(job, result)
    }

    /// The rows as `linear_packed.wgsl` takes them.
    fn packed<'a>(&self, op: &'static str, rows: &'a mut Rows<'_>, depth: usize) -> Result<&'a Memory> {
        let memory = match rows.packed.take() {
            Some(memory) => memory,
            None => {
                let memory = self.fresh(op, DType::U32, rows.count * depth / BLOCK * BLOCK_WORDS)?;
                let mut params =
                    Params::new(op, rows.count * depth / 4)?.k(op, [rows.count, depth, 0, rows.distance])?;
                params.start(op, 0, rows.view.layout.start())?;
                let x = [memory_of(&rows.view)?];
                let job = Job::threads(op, &shader::PACK_ROWS, Class::Float, &x, DType::U32, params);
                self.recorder.record(job, &memory)?;
                memory
            }
        };
        Ok(rows.packed.insert(memory))
    }

    /// The rows as `linear_matrix.wgsl` takes them.
    fn halved<'a>(&self, op: &'static str, rows: &'a mut Rows<'_>, depth: usize) -> Result<&'a Memory> {
        let memory = match rows.halved.take() {
            Some(memory) => memory,
            None => {
                let words = halved_words(depth);
                let memory = self.fresh(op, DType::U32, rows.count * words)?;
                let mut params = Params::new(op, rows.count)?.k(op, [words, 0, depth, rows.distance])?;
                params.start(op, 0, rows.view.layout.start())?;
                let x = [memory_of(&rows.view)?];
                let job = Job::threads(op, &shader::HALVE_ROWS, Class::Float, &x, DType::U32, params).lines();
                self.recorder.record(job, &memory)?;
                memory
            }
        };
        Ok(rows.halved.insert(memory))
    }
}

/// Words of a row of so many elements as f16, to a whole slice, with the factor before them.
fn halved_words(depth: usize) -> usize {
    4 + depth.div_ceil(32) * 16
}
