//! The feed-forward half of a block.

use super::{config::DecoderConfig, decoder::Loader, names::Part};
use crate::{
    error::Result,
    nn::{AdapterSite, Linear, Norm, gated_linears, linears},
    op::Gate,
    tensor::Tensor,
};

pub(super) struct Mlp {
    input: Input,
    down: Linear,
    activation: Gate,
}

/// The projections into the MLP.
enum Input {
    /// `act(up(x))`
    Plain { up: Linear },
    /// `act(gate(x)) * up(x)`
    Gated { gate: Linear, up: Linear },
    /// The same with one weight, gate's rows first.
    Fused { gate_up: Linear, size: usize },
}

impl Mlp {
    pub async fn load(loader: &mut Loader<'_>, config: &DecoderConfig, layer: usize) -> Result<Self> {
        let (hidden, size, bias) = (config.hidden_size, config.intermediate_size, config.mlp_bias);
        let input = if config.fused_gate_up {
            Input::Fused { gate_up: loader.linear(layer, Part::GateUp, hidden, 2 * size, bias).await?, size }
        } else if config.gated {
            Input::Gated {
                gate: loader.linear(layer, Part::Gate, hidden, size, bias).await?,
                up: loader.linear(layer, Part::Up, hidden, size, bias).await?,
            }
        } else {
            Input::Plain { up: loader.linear(layer, Part::Up, hidden, size, bias).await? }
        };
        let down = loader.linear(layer, Part::Down, size, hidden, bias).await?;
        Ok(Self { input, down, activation: config.activation })
    }

    /// `[t, hidden]`, behind `norm` if there is one → `[t, size]`, what the projection down is to be applied to.
    pub fn forward(&self, x: &Tensor, norm: Option<&Norm>, training: bool) -> Result<Tensor> {
        match &self.input {
            Input::Plain { up } => {
                let x = linears(x, norm, &[up], training)?;
                match self.activation {
                    Gate::Silu => x.silu(),
                    Gate::Gelu => x.gelu(),
                    Gate::GeluTanh => x.gelu_tanh(),
                    Gate::Relu => x.relu(),
                }
            }
            Input::Gated { gate, up } => gated_linears(x, norm, self.activation, [gate, up], training),
            Input::Fused { gate_up, size } => {
                let both = linears(x, norm, &[gate_up], training)?;
                both.narrow(-1, 0, *size)?.gated(self.activation, &both.narrow(-1, *size, *size)?)
            }
        }
    }

    /// Back to the residual stream.
    pub fn down(&self) -> &Linear {
        &self.down
    }

    /// Shows the projections under the names of the original model.
    pub fn visit_linears(
        &mut self,
        name: &dyn Fn(Part) -> String,
        visit: &mut dyn FnMut(AdapterSite<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut show = |part: Part, linear: &mut Linear| visit(AdapterSite { name: &name(part), linear, order: None });
        match &mut self.input {
            Input::Plain { up } => show(Part::Up, up)?,
            Input::Gated { gate, up } => {
                show(Part::Gate, gate)?;
                show(Part::Up, up)?;
            }
            Input::Fused { gate_up, .. } => show(Part::GateUp, gate_up)?,
        }
        show(Part::Down, &mut self.down)
    }
}
