//! Printing in the manner of PyTorch: long dimensions elided.

use super::Tensor;
use crate::{dtype::DType, error::Result};
use std::fmt;

/// Tensors of more elements than this are elided, showing [`EDGE`] entries at each end of a dimension.
const FULL: usize = 1000;
const EDGE: usize = 3;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dtype().is_quantized() {
            return write!(f, "tensor(<{} blocks>, shape={})", self.dtype(), self.shape());
        }
        let Ok(text) = self.elements_text() else {
            return write!(f, "tensor(<on {}>, shape={}, {})", self.device(), self.shape(), self.dtype());
        };
        let width = text.iter().map(|t| t.len()).max().unwrap_or(0);
        write!(f, "tensor(")?;
        write_level(f, self.dims(), self.elements() > FULL, 8, width, &mut text.iter())?;
        if self.elements() == 0 && self.rank() > 1 {
            write!(f, ", shape={}", self.shape())?;
        }
        if self.dtype() != DType::F32 {
            write!(f, ", dtype={}", self.dtype())?;
        }
        write!(f, ")")
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}, {}, {})", self.shape(), self.dtype(), self.device())
    }
}

impl Tensor {
    /// The elements that are shown, formatted.
    fn elements_text(&self) -> Result<Vec<String>> {
        let mut shown = self.clone();
        if self.elements() > FULL {
            for dim in 0..self.rank() {
                let size = self.dims()[dim];
                if size > 2 * EDGE {
                    let dim = dim as isize;
                    let ends = [shown.narrow(dim, 0, EDGE)?, shown.narrow(dim, size - EDGE, EDGE)?];
                    shown = Self::cat(&[&ends[0], &ends[1]], dim)?;
                }
            }
        }
        if self.dtype().is_int() {
            return Ok(shown.to_dtype(DType::I64)?.to_vec_sync::<i64>()?.iter().map(i64::to_string).collect());
        }
        let values = shown.to_dtype(DType::F64)?.to_vec_sync::<f64>()?;
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let largest = finite().fold(0.0f64, |a, v| a.max(v.abs()));
        let smallest = finite().filter(|&v| v != 0.0).fold(f64::INFINITY, |a, v| a.min(v.abs()));
        let whole = finite().all(|v| v.fract() == 0.0) && largest < 1e8;
        let scientific = largest >= 1e8 || (!whole && (smallest < 1e-4 || largest / smallest > 1e3));
        let format = |v: &f64| match v {
            v if !v.is_finite() => if v.is_nan() {
                "nan"
            } else if *v > 0.0 {
                "inf"
            } else {
                "-inf"
            }
            .to_string(),
            v if whole => format!("{v:.0}."),
            v if scientific => exponent(*v),
            v => format!("{v:.4}"),
        };
        Ok(values.iter().map(format).collect())
    }
}

/// `1.2346e-07`: two digits of exponent at least, as C prints.
fn exponent(value: f64) -> String {
    let text = format!("{value:.4e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, digits_of) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{digits_of:0>2}")
        }
        None => text,
    }
}

fn write_level(
    f: &mut fmt::Formatter<'_>,
    dims: &[usize],
    elide: bool,
    indent: usize,
    width: usize,
    text: &mut std::slice::Iter<'_, String>,
) -> fmt::Result {
    let [size, rest @ ..] = dims else {
        let value = text.next().map_or("", String::as_str);
        return write!(f, "{value:>width$}");
    };
    let gap = |f: &mut fmt::Formatter<'_>| match rest.len() {
        0 => write!(f, ", "),
        deeper => write!(f, ",{}{:indent$}", "\n".repeat(deeper), ""),
    };
    let elided = elide && *size > 2 * EDGE;
    write!(f, "[")?;
    for i in 0..if elided { 2 * EDGE } else { *size } {
        if i > 0 {
            gap(f)?;
        }
        if elided && i == EDGE {
            write!(f, "...")?;
            gap(f)?;
        }
        write_level(f, rest, elide, indent + 1, width, text)?;
    }
    write!(f, "]")
}
