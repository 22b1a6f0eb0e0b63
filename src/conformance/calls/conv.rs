//! Convolution, pooling, borders and windows, interpolation, Fourier transforms, norms over channels.

use super::{Args, Call};
use crate::{
    error::{Error, Result},
    op::Op,
    tensor::{
        AvgPoolOptions, ConvOptions, ConvTransposeOptions, InterpolateSize, Interpolation, MaxPoolOptions, PadMode,
        Padding, StftOptions, Tensor, WindowOptions,
    },
};

impl Args<'_> {
    fn sizes<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        self.list(name)?.try_into().map_err(|_| Error::argument("conformance", format!("{name} is not {N} sizes")))
    }
    fn sizes_or<const N: usize>(&self, name: &str, default: usize) -> [usize; N] {
        self.sizes(name).unwrap_or([default; N])
    }
    fn conv<const N: usize>(&self) -> Result<ConvOptions<N>> {
        let padding = self.sizes("padding").map_or(Padding::Same, Padding::Zeros);
        let (stride, dilation) = (self.sizes("stride")?, self.sizes("dilation")?);
        Ok(ConvOptions { stride, padding, dilation, groups: self.size("groups")? })
    }
    fn conv_transpose<const N: usize>(&self) -> Result<ConvTransposeOptions<N>> {
        Ok(ConvTransposeOptions {
            stride: self.sizes("stride")?,
            padding: self.sizes("padding")?,
            output_padding: self.sizes("output_padding")?,
            dilation: self.sizes("dilation")?,
            groups: self.size("groups")?,
        })
    }
    fn max_pool<const N: usize>(&self) -> Result<MaxPoolOptions<N>> {
        let (stride, padding) = (self.sizes("stride").ok(), self.sizes("padding")?);
        Ok(MaxPoolOptions {
            stride,
            padding,
            dilation: self.sizes_or("dilation", 1),
            ceil_mode: self.flag("ceil_mode"),
        })
    }
    fn avg_pool<const N: usize>(&self) -> Result<AvgPoolOptions<N>> {
        Ok(AvgPoolOptions {
            stride: self.sizes("stride").ok(),
            padding: self.sizes("padding")?,
            ceil_mode: self.flag("ceil_mode"),
            count_include_pad: self.flag("include"),
            divisor_override: self.size("divisor").ok(),
        })
    }
    fn windows(&self) -> Result<WindowOptions> {
        let (stride, padding) = (self.sizes("stride")?, self.sizes("padding")?);
        Ok(WindowOptions { stride, padding, dilation: self.sizes("dilation")? })
    }
    fn pad_mode(&self, name: &str) -> Result<PadMode> {
        Ok(match &*self.text(name)? {
            "constant" => PadMode::Constant(self.optional("value").unwrap_or(0.0)),
            "reflect" => PadMode::Reflect,
            "replicate" => PadMode::Replicate,
            "circular" => PadMode::Circular,
            other => return Err(Error::argument("conformance", format!("no mode {other}"))),
        })
    }
    fn stft(&self) -> Result<StftOptions> {
        let plain = StftOptions::default();
        Ok(StftOptions {
            n_fft: self.size("n_fft")?,
            hop_length: self.size("hop_length").ok(),
            win_length: self.size("win_length").ok(),
            center: self.get("center", serde_json::Value::as_bool).unwrap_or(plain.center),
            pad_mode: self.pad_mode("pad_mode").unwrap_or(plain.pad_mode),
            normalized: self.flag("normalized"),
            onesided: self.get("onesided", serde_json::Value::as_bool).unwrap_or(plain.onesided),
        })
    }
}

pub(super) fn call(op: &str, args: &Args<'_>, inputs: &[&Tensor]) -> Result<Option<Call>> {
    let [x, rest @ ..] = inputs else { return Ok(None) };
    let (a, b) = (rest.first().copied(), rest.get(1).copied());
    let weight = || a.ok_or_else(|| Error::argument("conformance", "a case without a weight"));
    let eps = || args.number("eps");
    Ok(Some(Call::Result(match op {
        "conv1d" => x.conv1d(weight()?, b, &args.conv()?)?,
        "conv2d" => x.conv2d(weight()?, b, &args.conv()?)?,
        "conv_transpose1d" => x.conv_transpose1d(weight()?, b, &args.conv_transpose()?)?,
        "conv_transpose2d" => x.conv_transpose2d(weight()?, b, &args.conv_transpose()?)?,
        "max_pool1d" => x.max_pool1d(args.sizes("kernel")?, &args.max_pool()?)?,
        "max_pool2d" => x.max_pool2d(args.sizes("kernel")?, &args.max_pool()?)?,
        "max_pool2d_indices" => x.max_pool2d_with_indices(args.sizes("kernel")?, &args.max_pool()?)?.1,
        "avg_pool1d" => x.avg_pool1d(args.sizes("kernel")?, &args.avg_pool()?)?,
        "avg_pool2d" => x.avg_pool2d(args.sizes("kernel")?, &args.avg_pool()?)?,
        "adaptive_avg_pool1d" => x.adaptive_avg_pool1d(args.sizes("size")?)?,
        "adaptive_avg_pool2d" => x.adaptive_avg_pool2d(args.sizes("size")?)?,
        "adaptive_max_pool1d" => x.adaptive_max_pool1d(args.sizes("size")?)?,
        "adaptive_max_pool2d" => x.adaptive_max_pool2d(args.sizes("size")?)?,
        "pad" => x.pad(&args.dims("pads")?, args.pad_mode("mode")?)?,
        "unfold" => x.unfold(args.dim("dim")?, args.size("size")?, args.size("step")?)?,
        "im2col" => x.im2col(args.sizes("kernel")?, &args.windows()?)?,
        "col2im" => x.col2im(args.sizes("size")?, args.sizes("kernel")?, &args.windows()?)?,
        "pixel_shuffle" => x.pixel_shuffle(args.size("factor")?)?,
        "pixel_unshuffle" => x.pixel_unshuffle(args.size("factor")?)?,
        "interpolate" => {
            let mode = match &*args.text("mode")? {
                "nearest" => Interpolation::Nearest,
                "bicubic" => Interpolation::Bicubic,
                _ => Interpolation::Bilinear,
            };
            let scales = args.get("scale", |v| v.as_array()?.iter().map(|v| v.as_f64()).collect::<Option<Vec<_>>>());
            let sizes = args.list("size").unwrap_or_default();
            let size = match &scales {
                Ok(scales) => InterpolateSize::Scale(scales),
                Err(_) => InterpolateSize::Size(&sizes),
            };
            x.interpolate(size, mode, args.flag("corners"))?
        }
        "rfft" => return Ok(Some(Call::Fused(x.rfft()?, Op::Rfft))),
        "irfft" => return Ok(Some(Call::Fused(x.irfft(args.size("n")?)?, Op::Irfft { n: args.size("n")? }))),
        "stft" => x.stft(a, &args.stft()?)?,
        "istft" => x.istft(a, args.size("length").ok(), &args.stft()?)?,
        "group_norm" => x.group_norm(args.size("groups")?, a, b, eps()?)?,
        "instance_norm" => x.instance_norm(a, b, eps()?)?,
        "batch_norm" => match rest {
            [mean, variance, rest @ ..] => {
                x.batch_norm(mean, variance, rest.first().copied(), rest.get(1).copied(), eps()?)?
            }
            _ => return Ok(None),
        },
        "batch_norm_train" => x.batch_norm_train(a, b, eps()?)?.0,
        _ => return Ok(None),
    })))
}
