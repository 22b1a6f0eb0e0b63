//! Linear algebra beyond the matrix product.

use super::Tensor;
use crate::error::{Error, Result};

/// Products and distances.
///
/// ```
/// use votive::{Device, Tensor};
/// let cpu = Device::cpu();
/// let (v, w) = (Tensor::new([1.0f32, 2.0], &cpu)?, Tensor::new([3.0f32, 4.0], &cpu)?);
/// let m = Tensor::new([[1.0f32, 2.0], [3.0, 4.0]], &cpu)?;
/// let values = |t: votive::Result<Tensor>| t?.to_vec_sync::<f32>();
/// assert_eq!(values(v.dot(&w))?, [11.0]);
/// assert_eq!(values(v.outer(&w))?, [3.0, 4.0, 6.0, 8.0]);
/// assert_eq!(values(m.mv(&v))?, [5.0, 11.0]);
/// assert_eq!(values(m.trace())?, [5.0]);
/// assert_eq!(values(m.addmm(&m, &m, 1.0, 0.5))?, [4.5, 7.0, 10.5, 15.0]);
/// assert_eq!(values(m.tensordot(&m, &[0], &[1]))?, values(m.t()?.matmul(&m.t()?))?);
/// assert_eq!(values(v.kron(&w))?, [3.0, 4.0, 6.0, 8.0]);
/// assert_eq!(values(m.cdist(&m, 1.0))?, [0.0, 4.0, 4.0, 0.0]);
/// assert_eq!(values(v.cosine_similarity(&(2.0 * &v)?, 0, 1e-8))?, [1.0]);
/// # Ok::<(), votive::Error>(())
/// ```
#[allow(clippy::missing_errors_doc)]
impl Tensor {
    fn want_ranks(&self, op: &'static str, other: &Tensor, ranks: (usize, usize), what: &str) -> Result<()> {
        if (self.rank(), other.rank()) == ranks {
            return Ok(());
        }
        Err(Error::shapes(op, self.shape(), other.shape(), format!("takes {what}; matmul takes all combinations")))
    }
    /// The sum of the products of two vectors' elements.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([1f32, 2.0], &cpu)?;
    /// let y = Tensor::new([3f32, 4.0], &cpu)?;
    /// assert_eq!(x.dot(&y)?.to_vec_sync::<f32>()?, [11.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn dot(&self, other: &Tensor) -> Result<Tensor> {
        self.want_ranks("dot", other, (1, 1), "two vectors")?;
        self.matmul(other)
    }
    /// A matrix times a vector.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &cpu)?;
    /// let v = Tensor::new([1f32, 2.0], &cpu)?;
    /// assert_eq!(x.mv(&v)?.to_vec_sync::<f32>()?, [5.0, 11.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn mv(&self, vector: &Tensor) -> Result<Tensor> {
        self.want_ranks("mv", vector, (2, 1), "a matrix and a vector")?;
        self.matmul(vector)
    }
    /// The product of two matrices.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &cpu)?;
    /// let y = Tensor::new([[0f32, 1.0], [1.0, 0.0]], &cpu)?;
    /// assert_eq!(x.mm(&y)?.to_vec2_sync::<f32>()?, [[2.0, 1.0], [4.0, 3.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn mm(&self, other: &Tensor) -> Result<Tensor> {
        self.want_ranks("mm", other, (2, 2), "two matrices")?;
        self.matmul(other)
    }
    /// The products of two equally long lists of matrices.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[[1f32, 2.0]], [[3.0, 4.0]]], &cpu)?;
    /// let y = Tensor::new([[[1f32], [1.0]], [[2.0], [2.0]]], &cpu)?;
    /// assert_eq!(x.bmm(&y)?.to_vec3_sync::<f32>()?, [[[3.0]], [[14.0]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn bmm(&self, other: &Tensor) -> Result<Tensor> {
        self.want_ranks("bmm", other, (3, 3), "two lists of matrices")?;
        if self.dims()[0] != other.dims()[0] {
            let why = format!("{} and {} matrices", self.dims()[0], other.dims()[0]);
            return Err(Error::shapes("bmm", self.shape(), other.shape(), why));
        }
        self.matmul(other)
    }
    /// All products of an element of one vector with one of another.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([1f32, 2.0], &cpu)?;
    /// let y = Tensor::new([3f32, 4.0], &cpu)?;
    /// assert_eq!(x.outer(&y)?.to_vec2_sync::<f32>()?, [[3.0, 4.0], [6.0, 8.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn outer(&self, other: &Tensor) -> Result<Tensor> {
        self.want_ranks("outer", other, (1, 1), "two vectors")?;
        self.unsqueeze(1)?.mul(&other.unsqueeze(0)?)
    }
    /// `beta * self + alpha * (a x b)`, for matrices `a` and `b`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.addmm(&x, &x, 1.0, 0.5)?.to_vec2_sync::<f32>()?, [[4.5, 7.0], [10.5, 15.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn addmm(&self, a: &Tensor, b: &Tensor, beta: f64, alpha: f64) -> Result<Tensor> {
        self.mul_scalar(beta)?.add(&a.mm(b)?.mul_scalar(alpha)?)
    }
    /// `beta * self + alpha * (a x b)`, for lists of matrices `a` and `b`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[[1f32, 2.0], [3.0, 4.0]]], &Device::cpu())?;
    /// assert_eq!(x.baddbmm(&x, &x, 1.0, 0.5)?.to_vec3_sync::<f32>()?, [[[4.5, 7.0], [10.5, 15.0]]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn baddbmm(&self, a: &Tensor, b: &Tensor, beta: f64, alpha: f64) -> Result<Tensor> {
        self.mul_scalar(beta)?.add(&a.bmm(b)?.mul_scalar(alpha)?)
    }
    /// The sum of a matrix's diagonal.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.trace()?.to_vec_sync::<f32>()?, [5.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn trace(&self) -> Result<Tensor> {
        if self.rank() != 2 {
            return Err(Error::shape("trace", format!("{} is no matrix", self.shape())));
        }
        self.diagonal(0, 0, 1)?.sum(..)
    }
    /// The sum of products over pairs of dimensions: `dims[i]` of this with `other_dims[i]` of the other. What is left of this
    /// comes before what is left of the other.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// let x = Tensor::new([[1f32, 2.0], [3.0, 4.0]], &Device::cpu())?;
    /// assert_eq!(x.tensordot(&x, &[0], &[1])?.to_vec2_sync::<f32>()?, [[7.0, 15.0], [10.0, 22.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn tensordot(&self, other: &Tensor, dims: &[isize], other_dims: &[isize]) -> Result<Tensor> {
        const OP: &str = "tensordot";
        let fail = |why: String| Error::shapes(OP, self.shape(), other.shape(), why);
        let indices = |t: &Tensor, dims: &[isize]| {
            let found = dims.iter().map(|&d| t.shape().dim(OP, d)).collect::<Result<Vec<_>>>()?;
            let left: Vec<_> = (0..t.rank()).filter(|d| !found.contains(d)).collect();
            if left.len() + found.len() == t.rank() { Ok((found, left)) } else { Err(fail(format!("{dims:?} repeat"))) }
        };
        let ((a, a_left), (b, b_left)) = (indices(self, dims)?, indices(other, other_dims)?);
        let sizes = |t: &Tensor, dims: &[usize]| dims.iter().map(|&d| t.dims()[d]).collect::<Vec<_>>();
        let common = sizes(self, &a);
        if common != sizes(other, &b) {
            return Err(fail(format!("dimensions {dims:?} and {other_dims:?} differ in number or size")));
        }
        let (rows, columns) = (sizes(self, &a_left), sizes(other, &b_left));
        let inner = common.iter().product();
        let left = self.permute([&a_left[..], &a].concat())?.reshape([rows.iter().product(), inner])?;
        let right = other.permute([&b[..], &b_left].concat())?.reshape([inner, columns.iter().product()])?;
        left.matmul(&right)?.reshape([rows, columns].concat())
    }
    /// The Kronecker product: the other tensor times each element of this, side by side.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([1f32, 2.0], &cpu)?;
    /// let y = Tensor::new([3f32, 4.0], &cpu)?;
    /// assert_eq!(x.kron(&y)?.to_vec_sync::<f32>()?, [3.0, 4.0, 6.0, 8.0]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn kron(&self, other: &Tensor) -> Result<Tensor> {
        let rank = self.rank().max(other.rank());
        let sizes = |t: &Tensor| [&vec![1; rank - t.rank()][..], t.dims()].concat();
        let (a, b) = (sizes(self), sizes(other));
        let outer = self.reshape(a.iter().flat_map(|&d| [d, 1]).collect::<Vec<_>>())?;
        let inner = other.reshape(b.iter().flat_map(|&d| [1, d]).collect::<Vec<_>>())?;
        outer.mul(&inner)?.reshape(a.iter().zip(&b).map(|(a, b)| a * b).collect::<Vec<_>>())
    }
    /// The `p`-norm distance of each row of `[.., n, d]` from each of `[.., m, d]`: `[.., n, m]`.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let x = Tensor::new([[0f32, 0.0]], &cpu)?;
    /// let y = Tensor::new([[3f32, 4.0], [0.0, 2.0]], &cpu)?;
    /// assert_eq!(x.cdist(&y, 1.0)?.to_vec2_sync::<f32>()?, [[7.0, 2.0]]);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn cdist(&self, other: &Tensor, p: f64) -> Result<Tensor> {
        if self.rank() < 2 || other.rank() < 2 || self.dim(-1)? != other.dim(-1)? {
            let why = "takes rows of one length";
            return Err(Error::shapes("cdist", self.shape(), other.shape(), why));
        }
        self.unsqueeze(-2)?.sub(&other.unsqueeze(-3)?)?.norm(p, -1)
    }
    /// The cosine of the angle between vectors along `dim`: their product over that of their lengths, or over `eps` where that
    /// is larger.
    ///
    /// ```
    /// # use votive::{Device, Tensor};
    /// # let cpu = Device::cpu();
    /// let (x, y) = (Tensor::new([1f64, 0.0], &cpu)?, Tensor::new([3f64, 4.0], &cpu)?);
    /// assert!((x.cosine_similarity(&y, 0, 1e-8)?.item_sync()? - 0.6).abs() < 1e-6);
    /// # Ok::<(), votive::Error>(())
    /// ```
    pub fn cosine_similarity(&self, other: &Tensor, dim: isize, eps: f64) -> Result<Tensor> {
        let lengths = self.norm(2.0, dim)?.mul(&other.norm(2.0, dim)?)?.maximum_scalar(eps)?;
        self.mul(other)?.sum(dim)?.div(&lengths)
    }
}
