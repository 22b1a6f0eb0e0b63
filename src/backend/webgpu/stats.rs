//! What a device did: costs that do not depend on the hardware.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the device was made.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub dispatches: AtomicU64,
    pub submits: AtomicU64,
    pub buffers: AtomicU64,
    pub bind_groups: AtomicU64,
    pub pipelines: AtomicU64,
    pub uploads: AtomicU64,
    pub reads: AtomicU64,
    /// Most uploaded bytes that were under way at once.
    pub staged: AtomicU64,
    pub weight_bytes: AtomicU64,
    pub encode_microseconds: AtomicU64,
}

/// What a GPU device has done since it was made. The difference of two of these is the cost of what lies between, whatever
/// the hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeviceStats {
    /// Kernels recorded.
    pub dispatches: u64,
    /// Batches of commands handed to the queue.
    pub submits: u64,
    /// Buffers created.
    pub buffers: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Tensors uploaded.
    pub uploads: u64,
    /// Tensors read back.
    pub reads: u64,
    /// Bytes of weights that products of few rows are made with, counted once for each time that they are read.
    pub weight_bytes: u64,
    /// Microseconds in which commands were encoded and handed to the queue.
    pub encode_microseconds: u64,
}

impl Stats {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
    pub fn most(counter: &AtomicU64, n: u64) {
        counter.fetch_max(n, Ordering::Relaxed);
    }
    pub fn now(&self) -> DeviceStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DeviceStats {
            dispatches: get(&self.dispatches),
            submits: get(&self.submits),
            buffers: get(&self.buffers),
            bind_groups: get(&self.bind_groups),
            pipelines: get(&self.pipelines),
            uploads: get(&self.uploads),
            reads: get(&self.reads),
            weight_bytes: get(&self.weight_bytes),
            encode_microseconds: get(&self.encode_microseconds),
        }
    }
}

impl std::ops::Sub for DeviceStats {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            dispatches: self.dispatches - before.dispatches,
            submits: self.submits - before.submits,
            buffers: self.buffers - before.buffers,
            bind_groups: self.bind_groups - before.bind_groups,
            pipelines: self.pipelines - before.pipelines,
            uploads: self.uploads - before.uploads,
            reads: self.reads - before.reads,
            weight_bytes: self.weight_bytes - before.weight_bytes,
            encode_microseconds: self.encode_microseconds - before.encode_microseconds,
        }
    }
}
