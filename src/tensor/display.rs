//! Printing in the manner of PyTorch: the same text for the values, then shape, dtype and device.

use super::Tensor;
use crate::{dtype::DType, error::Result};
use std::fmt::{self, Write};

/// Tensors of more elements than this are elided, showing [`EDGE`] entries at each end of a dimension.
const FULL: usize = 1000;
const EDGE: usize = 3;
/// Longest line.
const LINE: usize = 80;
/// What stands before the values, which lines after the first are indented by.
const PREFIX: &str = "tensor(";

/// The values as PyTorch prints them (four decimals, or scientific where magnitudes differ by more than a factor of 1000;
/// long dimensions elided), then, unlike PyTorch always, shape, dtype and device.
///
/// ```
/// use votive::{Device, Tensor};
/// let x = Tensor::new([[1.0f32, -2.5], [3.0, f32::NAN]], &Device::cpu())?;
/// let text = "\
/// tensor([[ 1.0000, -2.5000],
///         [ 3.0000,     nan]], shape=[2, 2], dtype=f32, device=cpu)";
/// assert_eq!(x.to_string(), text);
/// assert_eq!(format!("{x:?}"), "Tensor([2, 2], f32, cpu)");
/// # Ok::<(), votive::Error>(())
/// ```
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = if self.dtype().is_quantized() {
            format!("<{} blocks>", self.dtype())
        } else {
            // A device that must be awaited shows no values.
            self.detach().values_text().unwrap_or_else(|_| format!("<on {}>", self.device()))
        };
        f.write_str(PREFIX)?;
        f.write_str(&values)?;
        let mut suffixes = vec![
            format!("shape={}", self.shape()),
            format!("dtype={}", self.dtype()),
            format!("device={}", self.device()),
        ];
        if self.is_tracked() {
            suffixes.push("requires_grad".into());
        }
        let mut column = values.rsplit('\n').next().map_or(0, str::len) + 2;
        for suffix in suffixes {
            if column + suffix.len() + 2 > LINE {
                write!(f, ",\n{:indent$}{suffix}", "", indent = PREFIX.len())?;
                column = PREFIX.len() + suffix.len();
            } else {
                write!(f, ", {suffix}")?;
                column += suffix.len() + 2;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}, {}, {})", self.shape(), self.dtype(), self.device())
    }
}

impl Tensor {
    /// The values between brackets.
    fn values_text(&self) -> Result<String> {
        if self.elements() == 0 {
            return Ok("[]".into());
        }
        let elide = self.elements() > FULL;
        let mut shown = self.clone();
        for dim in 0..if elide { self.rank() } else { 0 } {
            let size = self.dims()[dim];
            if size > 2 * EDGE {
                let dim = dim as isize;
                let ends = [shown.narrow(dim, 0, EDGE)?, shown.narrow(dim, size - EDGE, EDGE)?];
                shown = Self::cat(&[&ends[0], &ends[1]], dim)?;
            }
        }
        // Devices may have neither i64 nor f64.
        let shown = Self::from_buffer(shown.to_buffer_sync()?, shown.dtype(), shown.shape(), &crate::Device::cpu())?;
        let (texts, width) = if self.dtype().is_int() {
            let texts: Vec<_> = shown.to_dtype(DType::I64)?.to_vec_sync::<i64>()?.iter().map(i64::to_string).collect();
            let width = texts.iter().map(String::len).max().unwrap_or(1);
            (texts, width)
        } else {
            float_texts(&shown.to_dtype(DType::F64)?.to_vec_sync::<f64>()?)
        };
        let mut printer = Printer { texts: texts.iter(), width, elide, out: String::new() };
        printer.level(self.dims(), PREFIX.len());
        Ok(printer.out)
    }
}

/// Numbers as PyTorch formats them, and the width that they are filled up to: that of the finite ones that are not 0.
fn float_texts(values: &[f64]) -> (Vec<String>, usize) {
    let sized = || values.iter().copied().filter(|v| v.is_finite() && *v != 0.0);
    let largest = sized().fold(0.0f64, |a, v| a.max(v.abs()));
    let smallest = sized().fold(f64::INFINITY, |a, v| a.min(v.abs()));
    let whole = sized().all(|v| v.fract() == 0.0);
    let some = largest > 0.0;
    let scientific = some && (largest / smallest > 1000.0 || largest > 1e8 || (!whole && smallest < 1e-4));
    let format = |v: f64| match v {
        v if v.is_nan() => "nan".to_string(),
        v if v.is_infinite() => if v > 0.0 { "inf" } else { "-inf" }.to_string(),
        v if scientific => exponent(v),
        v if whole => format!("{v:.0}."),
        v => format!("{v:.4}"),
    };
    let width = sized().map(|v| format(v).len()).max().unwrap_or(1);
    (values.iter().copied().map(format).collect(), width)
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

/// Writes texts of elements between brackets.
struct Printer<'a> {
    texts: std::slice::Iter<'a, String>,
    width: usize,
    elide: bool,
    out: String,
}

impl Printer<'_> {
    fn element(&mut self) {
        let (text, width) = (self.texts.next().map_or("", String::as_str), self.width);
        // Writing to a String cannot fail.
        let _ = write!(self.out, "{text:>width$}");
    }
    fn new_line(&mut self, lines: usize, indent: usize) {
        self.out.push(',');
        self.out.extend(std::iter::repeat_n('\n', lines));
        self.out.extend(std::iter::repeat_n(' ', indent));
    }
    fn level(&mut self, dims: &[usize], indent: usize) {
        let [size, rest @ ..] = dims else { return self.element() };
        let elided = self.elide && *size > 2 * EDGE;
        let per_line = (LINE.saturating_sub(indent) / (self.width + 2)).max(1);
        self.out.push('[');
        // One entry more stands for what is left out.
        for i in 0..if elided { 2 * EDGE + 1 } else { *size } {
            match (i, rest) {
                (0, _) => {}
                (_, []) if i % per_line == 0 => self.new_line(1, indent + 1),
                (_, []) => self.out.push_str(", "),
                (_, deeper) => self.new_line(deeper.len(), indent + 1),
            }
            if elided && i == EDGE {
                self.out.push_str(if rest.is_empty() { " ..." } else { "..." });
            } else {
                self.level(rest, indent + 1);
            }
        }
        self.out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    /// A case of `tests/generators/display.py`.
    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        dtype: String,
        shape: Vec<usize>,
        /// As text, since JSON has neither infinity nor NaN.
        #[serde(default)]
        values: Vec<String>,
        /// Instead of values: this times 0, 1, 2 …
        scale: Option<f64>,
        text: String,
    }

    #[test]
    fn values_are_printed_as_pytorch_prints_them() -> Result<()> {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/golden/display.json")).unwrap();
        assert!(cases.len() > 30);
        for case in cases {
            let count: usize = case.shape.iter().product();
            let values: Vec<f64> = match case.scale {
                Some(scale) => (0..count).map(|i| i as f64 * scale).collect(),
                None => case.values.iter().map(|v| v.parse().unwrap()).collect(),
            };
            let device = Device::cpu();
            let dtype = DType::from_name(&case.dtype)?;
            let x = Tensor::from_slice(&values, values.len(), &device)?.to_dtype(dtype)?.reshape(case.shape)?;
            let found = x.to_string();
            // PyTorch names shape, dtype and device only where they differ from what is usual.
            let (values, rest) = found.rsplit_once("shape=").unwrap();
            assert_eq!(values.trim_end().trim_end_matches(','), case.text, "{}", case.name);
            assert!(rest.contains(&format!("dtype={dtype}")) && rest.ends_with(')'), "{}", case.name);
        }
        Ok(())
    }

    #[test]
    fn what_stands_after_the_values() -> Result<()> {
        let x = Tensor::zeros([2, 0], DType::I64, &Device::cpu())?;
        assert_eq!(x.to_string(), "tensor([], shape=[2, 0], dtype=i64, device=cpu)");
        let x = Tensor::new([1.5f32; 9], &Device::cpu())?.requires_grad();
        let text = "tensor([1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000],\n       \
                    shape=[9], dtype=f32, device=cpu, requires_grad)";
        assert_eq!(x.to_string(), text);
        let x = Tensor::zeros([2, 32], DType::F32, &Device::cpu())?.to_dtype(DType::Q8_0)?;
        assert_eq!(x.to_string(), "tensor(<q8_0 blocks>, shape=[2, 32], dtype=q8_0, device=cpu)");
        Ok(())
    }
}
