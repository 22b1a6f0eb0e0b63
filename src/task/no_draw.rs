//! In builds for browsers without WebGPU the host draws: nothing of what a device would need is compiled.

use crate::{device::Device, error::Result, tensor::Tensor, text::SamplingOptions};

/// There is none; see `draw.rs`, which other builds have.
pub(super) enum DeviceSampler {}

impl DeviceSampler {
    /// `None`.
    #[expect(clippy::unnecessary_wraps, reason = "as in other builds")]
    pub fn new(_: &SamplingOptions, _: &[u32], _: usize, _: &Device) -> Result<Option<Self>> {
        Ok(None)
    }
    pub fn ahead(&self) -> usize {
        match *self {}
    }
    pub fn last(&self) -> Option<&Tensor> {
        match *self {}
    }
    pub fn draw(&mut self, _: &Tensor) -> Result<()> {
        match *self {}
    }
    pub async fn next(&mut self) -> Result<u32> {
        match *self {}
    }
}
