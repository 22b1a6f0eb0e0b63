//! Products of few rows with weights, which are read once for each row (of many: `tiles.rs`): with several weights in one
//! dispatch, the norm of the input before them, and bias, residual or gate behind them.

use super::{
    WebGpuBackend,
    elementwise::{activation, row_distance},
    memory::Memory,
    memory_of,
    norm::BIAS_STRIDE,
    params::Params,
    recorder::{Groups, Job},
    shader::{self, Class, pieces},
    stats::Stats,
};
use crate::{
    backend::{Meta, View},
    error::Result,
    layout::Layout,
    op::Gate,
};

/// Up to so many rows are multiplied one by one.
pub(crate) const FEW_ROWS: usize = 8;
/// Most weights of one dispatch.
const WEIGHTS: usize = 3;
/// Names of the weights in the shader.
const NAMES: [&str; WEIGHTS] = ["u", "v", "w"];

/// Threads of a workgroup, and how many results it makes: a thread takes eight elements at a time, and none should be idle
/// for short rows.
fn policy(depth: usize) -> (u32, u32) {
    match depth {
        0..=1024 => (32, 4),
        _ => (64, 4),
    }
}

/// What becomes of the products.
pub(super) enum Finish<'a> {
    Plain,
    Bias(&'a View<'a>),
    Residual(&'a View<'a>),
    /// The first is the gate of the second.
    Gate(Gate),
}

/// Products of the rows of `x`, behind an RMS norm if there is one, with the rows of `weights`.
pub(super) struct Products<'a> {
    pub op: &'static str,
    pub x: &'a View<'a>,
    pub norm: Option<(&'a View<'a>, f64)>,
    pub weights: &'a [View<'a>],
    pub finish: Finish<'a>,
}

/// Number of rows, and how far apart they are, of a view whose rows' elements adjoin.
pub(super) fn rows_of(x: &Layout) -> Option<(usize, usize)> {
    let last = x.dims().len().checked_sub(1)?;
    let size = x.dims()[last];
    let rows = Layout::new(x.dims()[..last].into(), x.strides()[..last].to_vec(), 0);
    let adjoin = x.strides()[last] == 1 || size == 1;
    row_distance(&rows, size).filter(|_| adjoin).map(|distance| (rows.shape().elements(), distance))
}

impl WebGpuBackend {
    /// `None`: too many weights, or operands lie in another way than the kernels take them.
    pub(super) fn products(&self, products: Products<'_>, out: &Meta) -> Result<Option<Memory>> {
        let Products { x, norm, weights, finish, .. } = &products;
        let Some((m, distance)) = rows_of(x.layout) else { return Ok(None) };
        let fits = |view: &View<'_>| view.layout.is_contiguous();
        let laid_out = norm.is_none_or(|(scale, _)| fits(scale))
            && !matches!(finish, Finish::Residual(residual) if !fits(residual))
            && weights.iter().all(|w| rows_of(w.layout).is_some());
        if !laid_out || out.shape.elements() == 0 {
            return Ok(None);
        }
        if m > FEW_ROWS {
            return self.tiles(&products, out);
        }
        let Products { op, x, norm, weights, finish } = products;
        if weights.len() > WEIGHTS {
            return Ok(None);
        }
        let depth = x.layout.dims()[x.layout.dims().len() - 1];
        let columns = out.shape.dims()[out.shape.rank() - 1];
        let (threads, at_once) = policy(depth);
        let gated = matches!(finish, Finish::Gate(_));
        let (mut operands, mut names, mut eights) = (vec![memory_of(x)?], vec!["a"], 0b1);
        let mut params = Params::new(op, 0)?.k(op, [m, depth, columns, distance])?;
        params.start(op, 0, x.layout.start())?;
        let (mut first, mut tiles) = (0, 0);
        for (j, weight) in weights.iter().enumerate() {
            let rows = weight.layout.dims()[0];
            let distance = rows_of(weight.layout).map_or(depth, |(_, distance)| distance);
            params = params.strides(op, j, [weight.layout.start(), distance, rows, if gated { 0 } else { first }])?;
            first += rows;
            if !gated || j == 0 {
                tiles += rows.div_ceil(at_once as usize);
            }
            eights |= 1 << operands.len();
            operands.push(memory_of(weight)?);
            names.push(NAMES[j]);
            let bytes = operands[operands.len() - 1].encoding.bytes(rows * depth);
            Stats::add(&self.stats.weight_bytes, (m * bytes) as u64);
        }
        if let Some((scale, eps)) = norm {
            params.start(op, 1, scale.layout.start())?;
            params = params.f([eps as f32, 0.0]);
            eights |= 1 << operands.len();
            operands.push(memory_of(scale)?);
            names.push("norm");
        }
        let mut word = None;
        let piece = match finish {
            Finish::Plain => pieces::PLAIN,
            Finish::Bias(bias) => {
                operands.push(memory_of(bias)?);
                names.push("bias");
                params.start(op, 2, bias.layout.start())?;
                params = params.inner_words(op, BIAS_STRIDE, &[bias.layout.strides()[0]])?;
                pieces::BIASED
            }
            Finish::Residual(residual) => {
                operands.push(memory_of(residual)?);
                names.push("residual");
                params.start(op, 2, residual.layout.start())?;
                pieces::RESIDUAL
            }
            Finish::Gate(gate) => {
                word = Some(activation(gate).name());
                pieces::GATED
            }
        };
        let params = params.count(op, tiles * m)?;
        let products = if gated { 2 * at_once } else { at_once };
        let mut job = Job::threads(op, &shader::LINEAR_ROW, Class::Float, &operands, out.dtype, params)
            .number("COLUMNS", at_once)
            .sums(products + u32::from(norm.is_some()), self.gpu.info.subgroups)
            .number("WEIGHTS", if gated { 1 } else { weights.len() as u32 })
            .flag("GATED", gated)
            .flag("NORM", norm.is_some())
            .piece([pieces::ONE_WEIGHT, pieces::TWO_WEIGHTS, pieces::THREE_WEIGHTS][weights.len() - 1])
            .piece(if norm.is_some() { pieces::WITH_NORM } else { pieces::WITHOUT_NORM });
        if let Some(word) = word {
            job = job.piece(pieces::FUNCTIONS).word("OP", word);
        }
        job = job.piece(piece);
        (job.names, job.eights, job.workgroup) = (names, eights, threads);
        job.groups = Groups::Lines(tiles * m);
        self.run(job, out).map(Some)
    }
}
