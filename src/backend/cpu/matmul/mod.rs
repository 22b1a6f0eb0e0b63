//! Matrix products: [`linear_f32`] by weights of any dtype, [`gemm_f32`] of strided f32 matrices.

use crate::{
    dtype::DType,
    error::{Error, Result},
    quant,
};

/// `out[m, n] = x[m, k] · wᵀ`, where `w` holds `n` contiguous rows of `k` values of `w_dtype`
/// (f32, f16, bf16 or any block format). `out` is overwritten.
///
/// # Errors
/// When a slice does not have the size that `m`, `k`, `n` and `w_dtype` imply, or `w_dtype` is no weight dtype.
pub fn linear_f32(x: &[f32], m: usize, k: usize, w: &[u8], w_dtype: DType, n: usize, out: &mut [f32]) -> Result<()> {
    let row_bytes = w_dtype.bytes_for(k).ok_or_else(|| {
        let block = w_dtype.block_len();
        Error::shape("linear", format!("rows of {k} values do not fill whole blocks of {block} of {w_dtype}"))
    })?;
    let sizes = (m.checked_mul(k), n.checked_mul(row_bytes), m.checked_mul(n));
    if sizes != (Some(x.len()), Some(w.len()), Some(out.len())) {
        return Err(Error::shape(
            "linear",
            format!(
                "x of {} values, weight of {} bytes of {w_dtype} and result of {} values are not [{m}, {k}] · [{n}, {k}]ᵀ",
                x.len(),
                w.len(),
                out.len()
            ),
        ));
    }
    let mut row = vec![0.0; k];
    for r in 0..n {
        quant::dequantize(w_dtype, &w[r * row_bytes..(r + 1) * row_bytes], &mut row)?;
        for t in 0..m {
            out[t * n + r] = x[t * k..(t + 1) * k].iter().zip(&row).map(|(a, b)| a * b).sum();
        }
    }
    Ok(())
}

/// `c[m, n] = a[m, k] · b[k, n]` for f32 matrices with any (row, column) strides in elements; `c` is contiguous and
/// overwritten.
///
/// # Errors
/// When a matrix reaches outside its slice or `c` is not `m * n` long.
#[allow(clippy::too_many_arguments)]
pub fn gemm_f32(
    a: &[f32],
    a_strides: (usize, usize),
    b: &[f32],
    b_strides: (usize, usize),
    c: &mut [f32],
    m: usize,
    k: usize,
    n: usize,
) -> Result<()> {
    check_matrix("a", a.len(), a_strides, (m, k))?;
    check_matrix("b", b.len(), b_strides, (k, n))?;
    if m.checked_mul(n) != Some(c.len()) {
        return Err(Error::shape("gemm", format!("result of {} values is not [{m}, {n}]", c.len())));
    }
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] =
                (0..k).map(|l| a[i * a_strides.0 + l * a_strides.1] * b[l * b_strides.0 + j * b_strides.1]).sum();
        }
    }
    Ok(())
}

/// Are all elements of a matrix of that shape and those strides inside a slice of `len`?
fn check_matrix(name: &str, len: usize, strides: (usize, usize), (rows, columns): (usize, usize)) -> Result<()> {
    if rows == 0 || columns == 0 {
        return Ok(());
    }
    let last =
        (rows - 1).checked_mul(strides.0).zip((columns - 1).checked_mul(strides.1)).and_then(|(r, c)| r.checked_add(c));
    match last {
        Some(last) if last < len => Ok(()),
        _ => Err(Error::shape(
            "gemm",
            format!("{name} of shape [{rows}, {columns}] and strides {strides:?} reaches outside its {len} values"),
        )),
    }
}
