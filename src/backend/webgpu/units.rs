//! Matrix units: what multiplies small matrices that the threads of a subgroup hold together, where the GPU has it. Natively wgpu
//! calls them cooperative matrices, browsers subgroup matrices; both are experimental, so what they do is tried before it is
//! trusted.

use super::{
    device::Gpu,
    read::Arriving,
    recorder::Job,
    shader::{self, Class, Value, Variant, pieces},
};
use crate::{dtype::DType, error::Result};

/// Rows and columns of what a workgroup makes, and how deep it is made of.
const TILE: u32 = 64;
const DISTANCE: u64 = 40;

/// Matrices that the adapter multiplies: `[rows, depth]` x `[depth, columns]`, summed up in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units {
    pub rows: u32,
    pub columns: u32,
    pub depth: u32,
    /// Of f16, or else of f32.
    pub halves: bool,
}

impl Units {
    /// Those of an adapter, if they may be used.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn of(adapter: &wgpu::Adapter, features: wgpu::Features, wanted: bool) -> Option<Self> {
        use wgpu::CooperativeScalarType::{F16, F32};
        // wgpu knows numbers of subgroups where it knows subgroups.
        let known = adapter.features().contains(NATIVE | wgpu::Features::SUBGROUP);
        let offered = if wanted && known { adapter.cooperative_matrix_properties() } else { Vec::new() };
        // Those of WGSL as wgpu has it are square.
        let square = offered.iter().filter(|p| p.m_size == p.n_size && p.m_size == p.k_size && p.cr_type == F32);
        let known = square.filter_map(|p| {
            let halves =
                [(F16, true), (F32, false)].into_iter().find_map(|(ty, halves)| (p.ab_type == ty).then_some(halves))?;
            Some(Self { rows: p.m_size, columns: p.n_size, depth: p.k_size, halves })
        });
        Self::best(known, features)
    }

    /// The best of those that kernels can use: f16 before f32, then the largest.
    pub fn best(offered: impl IntoIterator<Item = Self>, features: wgpu::Features) -> Option<Self> {
        let known = |size| [8, 16].contains(&size);
        offered
            .into_iter()
            .filter(|u| known(u.rows) && known(u.columns) && known(u.depth))
            .filter(|u| !u.halves || features.contains(wgpu::Features::SHADER_F16))
            .max_by_key(|u| (u.halves, u.rows * u.columns * u.depth))
    }

    /// How many matrices a subgroup sums up, along a side.
    fn side(self) -> u32 {
        if self.rows * self.columns == 256 { 2 } else { 4 }
    }

    /// Threads of a workgroup: a subgroup for each piece of a tile, if subgroups are as large as they may be. Browsers ask for a
    /// multiple of that size. `None`: there cannot be as many, or not as much memory.
    pub fn threads(self, gpu: &Gpu) -> Option<u32> {
        let (limits, subgroup) = (&gpu.limits, gpu.largest_subgroup.max(1));
        let pieces = TILE / (self.side() * self.rows) * (TILE / (self.side() * self.columns));
        let most = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        let element = if self.halves { 2 } else { 4 };
        let held = 2 * u64::from(TILE) * DISTANCE * element + u64::from(pieces * self.rows * self.columns) * 4 + 4;
        let fits = held <= u64::from(limits.max_compute_workgroup_storage_size);
        Some((pieces * subgroup).min(most / subgroup * subgroup)).filter(|&threads| fits && threads > 0)
    }

    /// What is filled in for words in capitals.
    pub fn values(self) -> Vec<(&'static str, Value)> {
        let side = self.side();
        vec![
            ("MATRIX_ROWS", Value::Number(self.rows)),
            ("MATRIX_COLUMNS", Value::Number(self.columns)),
            ("MATRIX_DEPTH", Value::Number(self.depth)),
            ("PIECE_ROWS", Value::Number(side)),
            ("PIECE_COLUMNS", Value::Number(side)),
            ("ELEMENT", Value::Word(if self.halves { "f16" } else { "f32" })),
            ("COOP", Value::Word(if self.rows == 8 { "coop_mat8x8" } else { "coop_mat16x16" })),
        ]
    }

    /// The pieces of a product.
    pub fn pieces(self) -> [shader::Piece; 3] {
        let left = if self.halves { pieces::LEFT_HALVES } else { pieces::LEFT_FLOATS };
        let sums = if self.side() == 2 { pieces::SUMS_2X2 } else { pieces::SUMS_4X4 };
        [left, sums, pieces::MATRICES]
    }

    /// A job of `linear_matrix.wgsl`, on a GPU that was tried.
    pub fn job<'a>(self, gpu: &Gpu, mut job: Job<'a>) -> Job<'a> {
        job.values.extend(self.values());
        job.pieces.extend(self.pieces());
        job.workgroup = self.threads(gpu).unwrap_or(job.workgroup);
        job
    }

    /// The program of the trial.
    pub fn trial(self, threads: u32) -> Variant {
        let mut values = self.values();
        values.extend([("STRIDED", Value::Flag(false)), ("WORKGROUP", Value::Number(threads))]);
        Variant {
            kernel: shader::MATRIX_TRIAL.name,
            class: Class::Float,
            inputs: Vec::new(),
            names: Vec::new(),
            eights: 0,
            quads: 0,
            result: DType::F32,
            values,
            pieces: vec![pieces::MATRICES],
        }
    }

    /// What the trial should give: whole numbers, so that nothing is rounded.
    fn expected(self) -> Vec<f32> {
        let element = |line: u32, i: u32, factor: u32, period: u32, middle: i32| {
            ((line * DISTANCE as u32 + i) * factor % period) as i32 - middle
        };
        let mut all = Vec::new();
        for row in 0..self.rows {
            for column in 0..self.columns {
                let products = (0..2 * self.depth).map(|i| element(row, i, 7, 31, 15) * element(column, i, 5, 29, 14));
                all.push((products.sum::<i32>() + (row * self.columns + column) as i32) as f32);
            }
        }
        all
    }

    /// Does the adapter take a program that uses them, and is its result right?
    ///
    /// # Errors
    /// When the device was lost.
    pub async fn are_right(self, gpu: &Gpu) -> Result<bool> {
        let Some(threads) = self.threads(gpu) else { return Ok(false) };
        let text = shader::compose(&shader::MATRIX_TRIAL, &self.trial(threads));
        let (device, bytes) = (&gpu.device, u64::from(self.rows * self.columns) * 4);
        let refused = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal].map(|f| device.push_error_scope(f));
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader::MATRIX_TRIAL.name),
            layout: None,
            module: &gpu.module(shader::MATRIX_TRIAL.name, &text),
            entry_point: Some("main"),
            compilation_options: Default::default(),
            cache: None,
        });
        let buffer = |usage| {
            let usage = usage | wgpu::BufferUsages::COPY_DST;
            device.create_buffer(&wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false })
        };
        let result = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let seen = buffer(wgpu::BufferUsages::MAP_READ);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 1, resource: result.as_entire_binding() }],
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        encoder.copy_buffer_to_buffer(&result, 0, &seen, 0, Some(bytes));
        let submission = gpu.queue.submit([encoder.finish()]);
        let mut taken = true;
        for scope in refused.into_iter().rev() {
            taken &= scope.pop().await.is_none();
        }
        if !taken {
            gpu.alive()?;
            return Ok(false);
        }
        let expected = self.expected();
        let read = |bytes: &[u8]| {
            Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).eq(expected.iter().copied()))
        };
        Ok(Arriving::new(seen, bytes, Some(submission)).read(gpu, read).await?.0)
    }
}

/// What wgpu calls them.
#[cfg(not(target_arch = "wasm32"))]
pub(super) const NATIVE: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;

/// Says to wgpu whether features that it calls experimental are wanted.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn experimental(wanted: bool) -> wgpu::ExperimentalFeatures {
    if !wanted {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: of these only matrix units are asked for. wgpu's text tells of no condition but that it may still have bugs
    // there; what kernels load and store by them lies within workgroup memory whose size is a constant beside.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}
