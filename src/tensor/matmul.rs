//! Matrix products.

use super::Tensor;
use crate::{
    error::{Error, Result},
    op::Op,
    shape::Shape,
};

impl Tensor {
    /// The matrix product as PyTorch's: vectors and matrices of any combination, batches broadcast.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &cpu)?;
    /// assert_eq!(x.matmul(&x)?.to_vec2_sync::<f32>()?, [[7.0, 10.0], [15.0, 22.0]]);
    /// assert_eq!(x.matmul(&Tensor::new([1f32, 2.0], &cpu)?)?.to_vec_sync::<f32>()?, [5.0, 11.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    ///
    /// # Errors
    /// When inner dimensions or dtypes differ, batches do not broadcast, or an operand is a scalar.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        let fail = |why: &str| Err(Error::shapes("matmul", self.shape(), other.shape(), why));
        match (self.rank(), other.rank()) {
            (0, _) | (_, 0) => fail("a scalar is no matrix"),
            (1, 1) if self.dims() != other.dims() => fail("lengths differ"),
            (_, 1) => self.matmul(&other.unsqueeze(1)?)?.squeeze(-1),
            (1, _) => self.unsqueeze(0)?.matmul(other)?.squeeze(-2),
            (2, 2) => Self::apply(Op::Matmul, &[self, other]),
            (ra, rb) => {
                let ((ab, am), (bb, bm)) = (self.dims().split_at(ra - 2), other.dims().split_at(rb - 2));
                if ab == bb {
                    return Self::apply(Op::Matmul, &[self, other]);
                }
                let Ok(batch) = Shape::from(ab).broadcast(&Shape::from(bb), "matmul") else {
                    return fail(&format!("batch dimensions {ab:?} and {bb:?} do not broadcast"));
                };
                let full = |matrix: &[usize]| Shape::from([batch.dims(), matrix].concat());
                Self::apply(Op::Matmul, &[&self.broadcast_to(full(am))?, &other.broadcast_to(full(bm))?])
            }
        }
    }
}
