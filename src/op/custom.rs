//! Operations from outside the crate.

use super::{Backward, Op};
use crate::{
    backend::{Meta, View, cpu::Buffer},
    dtype::DType,
    error::{Error, Result},
    layout::Layout,
    tensor::Tensor,
};
use std::{fmt, sync::Arc};

/// An operation that this crate does not have, run by [`Tensor::custom`]. It takes part in everything that the crate's own
/// do: it runs on every device for which it has a forward or a decomposition, and gradients flow through it by its own rule
/// or by its decomposition's.
///
/// One of `cpu` and `decompose` is needed to run it on the CPU; other devices run the decomposition.
///
/// ```
/// use std::sync::Arc;
/// use votive::backend::{Meta, View, cpu::Buffer};
/// use votive::op::{Backward, CustomOp};
/// use votive::{DType, Device, Error, Layout, Result, Tensor};
///
/// /// `x` where it is positive, `slope * x` elsewhere.
/// #[derive(Debug)]
/// struct LeakyRelu {
///     slope: f32,
/// }
///
/// impl CustomOp for LeakyRelu {
///     fn name(&self) -> &'static str {
///         "leaky_relu"
///     }
///     fn infer(&self, inputs: &[(&Layout, DType)]) -> Result<Meta> {
///         match inputs {
///             [(layout, DType::F32)] => Ok(Meta { shape: layout.shape().clone(), dtype: DType::F32 }),
///             _ => Err(Error::argument("leaky_relu", "takes one f32 tensor")),
///         }
///     }
///     fn cpu(&self, inputs: &[View<'_>], _: &Meta) -> Result<Option<Buffer>> {
///         // In row-major order, whatever the layout.
///         let y = inputs[0].values::<f32>()?.map(|x| if x > 0.0 { x } else { self.slope * x });
///         Buffer::from_slice(&y.collect::<Vec<_>>()).map(Some)
///     }
///     fn backward(&self, at: &Backward<'_>) -> Option<Result<Vec<Option<Tensor>>>> {
///         let rule = || {
///             let slope = at.grad.mul_scalar(f64::from(self.slope))?;
///             Ok(vec![Some(at.inputs[0].gt_scalar(0.0)?.where_cond(at.grad, &slope)?)])
///         };
///         Some(rule())
///     }
/// }
///
/// let x = Tensor::new([-2.0f32, 3.0], &Device::cpu())?.requires_grad();
/// let y = Tensor::custom(Arc::new(LeakyRelu { slope: 0.5 }), &[&x])?;
/// assert_eq!(y.to_vec_sync::<f32>()?, [-1.0, 3.0]);
/// let gradients = y.sum(..)?.backward()?;
/// assert_eq!(gradients.get(&x).unwrap().to_vec_sync::<f32>()?, [0.5, 1.0]);
/// # Ok::<(), votive::Error>(())
/// ```
pub trait CustomOp: Send + Sync + fmt::Debug {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// Shape and dtype of the result.
    ///
    /// # Errors
    /// When the inputs (of any number, shapes and dtypes, block formats too) are not what the operation takes.
    fn infer(&self, inputs: &[(&Layout, DType)]) -> Result<Meta>;

    /// Runs on the CPU: the elements of the result in row-major order. `Ok(None)`: as its decomposition.
    ///
    /// # Errors
    /// What goes wrong.
    fn cpu(&self, inputs: &[View<'_>], out: &Meta) -> Result<Option<Buffer>> {
        let _ = (inputs, out);
        Ok(None)
    }

    /// The same computed by other operations; runs on every device, and gives the gradient when there is no rule.
    fn decompose(&self, inputs: &[&Tensor]) -> Option<Result<Tensor>> {
        let _ = inputs;
        None
    }

    /// Gradients to the inputs, of their shapes and dtypes; `None` in the list for an input that needs or has none.
    /// Written with tensor operations, it can be differentiated again. `None`: that of the decomposition; without one,
    /// going back through the operation is an error that names it.
    fn backward(&self, at: &Backward<'_>) -> Option<Result<Vec<Option<Tensor>>>> {
        let _ = at;
        None
    }
}

/// A custom operation as an [`Op`]; equal to itself only.
#[derive(Clone, Debug)]
pub struct Custom(pub Arc<dyn CustomOp>);

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Custom {
    /// Runs on the CPU, and checks that the result is as large as it should be.
    pub(crate) fn cpu(&self, inputs: &[View<'_>], out: &Meta) -> Result<Option<Buffer>> {
        let Some(result) = self.0.cpu(inputs, out)? else { return Ok(None) };
        let expected = out.shape.checked_elements().and_then(|n| out.dtype.bytes_for(n));
        if expected == Some(result.len()) {
            return Ok(Some(result));
        }
        let message = format!("gave {} bytes for a {} tensor of shape {}", result.len(), out.dtype, out.shape);
        Err(Error::shape(self.0.name(), message))
    }
}

impl Tensor {
    /// Runs an operation from outside the crate; see [`CustomOp`].
    ///
    /// # Errors
    /// When there is no input, the inputs do not fit the operation or live on different devices, or running it fails.
    pub fn custom(op: Arc<dyn CustomOp>, inputs: &[&Tensor]) -> Result<Tensor> {
        Tensor::apply(Op::Custom(Custom(op)), inputs)
    }
}
