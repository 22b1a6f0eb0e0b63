"""Convolution, pooling, borders and windows, interpolation, Fourier transforms, norms over channels."""

from common import *

SOME = ["f32", "f16", "f64"]


def pair(v, n):
    return [v] * n if isinstance(v, int) else list(v)


# ---- convolution: input, weight, options of PyTorch's function
CONV = {
    1: {
        "plain": ([2, 3, 9], [4, 3, 3], {}), "stride": ([2, 3, 10], [4, 3, 3], {"stride": 2, "padding": 1}),
        "dilation": ([1, 2, 12], [3, 2, 3], {"dilation": 3, "padding": 2}), "groups": ([2, 4, 8], [6, 2, 3], {"groups": 2}),
        "depthwise": ([2, 5, 11], [5, 1, 4], {"groups": 5, "padding": 2, "stride": 2}),
        "same": ([2, 3, 9], [4, 3, 4], {"padding": "same"}), "same_dilation": ([2, 3, 9], [2, 3, 4], {"padding": "same", "dilation": 2}),
        "pointwise": ([2, 5, 7], [3, 5, 1], {}), "unbatched": ([3, 9], [4, 3, 3], {"padding": 1}), "skip": ([2, 3, 10], [2, 3, 1], {"stride": 3}),
    },
    2: {
        "plain": ([2, 3, 6, 7], [4, 3, 3, 3], {}), "stride": ([2, 3, 8, 9], [4, 3, 3, 2], {"stride": [2, 3], "padding": [1, 0]}),
        "dilation": ([1, 2, 9, 8], [3, 2, 3, 2], {"dilation": [2, 3], "padding": 2}), "groups": ([2, 4, 6, 5], [6, 2, 3, 3], {"groups": 2, "padding": 1}),
        "depthwise": ([2, 5, 7, 8], [5, 1, 3, 3], {"groups": 5, "padding": 1}), "multiplier": ([1, 3, 7, 8], [6, 1, 3, 3], {"groups": 3, "stride": 2}),
        "same": ([1, 3, 6, 5], [4, 3, 4, 3], {"padding": "same"}), "pointwise": ([2, 5, 4, 3], [7, 5, 1, 1], {}),
        "patches": ([1, 3, 8, 8], [5, 3, 4, 4], {"stride": 4}), "unbatched": ([3, 6, 7], [4, 3, 3, 3], {"padding": 1}),
        "wide_padding": ([1, 2, 3, 3], [2, 2, 3, 3], {"padding": 4}), "empty": ([0, 3, 6, 6], [4, 3, 3, 3], {}),
    },
}
for n, variants in CONV.items():
    for name, (xs, ws, options) in variants.items():
        f = getattr(F, f"conv{n}d")
        args = {"stride": pair(options.get("stride", 1), n), "dilation": pair(options.get("dilation", 1), n), "groups": options.get("groups", 1)}
        if options.get("padding") != "same":
            args["padding"] = pair(options.get("padding", 0), n)
        dtypes = SOME if name in ("plain", "groups", "stride") else ["f32", "f64"]
        case(f"conv{n}d", lambda t, w: f(t, w, None, **options), [x(xs), x(ws, -1, 1)], dtypes, args, name=f"conv{n}d_{name}")
        if name in ("plain", "depthwise", "stride"):
            case(f"conv{n}d", lambda t, w, b: f(t, w, b, **options), [x(xs), x(ws, -1, 1), x([ws[0]])], ["f32", "f64"], args, name=f"conv{n}d_{name}_bias")
for name, (xs, ws, options) in {
    "channels": ([1, 70, 5, 6], [33, 70, 3, 3], {"padding": 1}), "image": ([1, 2, 40, 50], [5, 2, 3, 3], {"padding": 1, "stride": 2}),
    "rows": ([3, 40, 12, 1], [20, 40, 5, 1], {}), "deep": ([1, 32, 20, 20], [32, 1, 7, 7], {"padding": 3, "groups": 32}),
}.items():
    args = {"stride": pair(options.get("stride", 1), 2), "dilation": [1, 1], "groups": options.get("groups", 1), "padding": pair(options.get("padding", 0), 2)}
    case("conv2d", lambda t, w: F.conv2d(t, w, None, **options), [x(xs, -1, 1), x(ws, -1, 1)], ["f32"], args, name=f"conv2d_large_{name}")

TRANSPOSE = {
    1: {
        "plain": ([2, 3, 6], [3, 4, 3], {}), "stride": ([2, 3, 5], [3, 4, 3], {"stride": 2, "padding": 1, "output_padding": 1}),
        "dilation": ([1, 2, 7], [2, 3, 3], {"dilation": 2, "stride": 3}), "groups": ([2, 4, 5], [4, 3, 3], {"groups": 2}),
        "unbatched": ([3, 6], [3, 4, 2], {"stride": 4}),
    },
    2: {
        "plain": ([2, 3, 4, 5], [3, 4, 3, 3], {}),
        "stride": ([2, 3, 4, 3], [3, 4, 3, 2], {"stride": [2, 3], "padding": [1, 0], "output_padding": [1, 2]}),
        "dilation": ([1, 2, 5, 4], [2, 3, 3, 2], {"dilation": [2, 3], "stride": 2, "padding": 1}), "groups": ([2, 4, 4, 3], [4, 3, 3, 3], {"groups": 2}),
        "depthwise": ([1, 4, 5, 4], [4, 1, 4, 4], {"groups": 4, "stride": 2, "padding": 1}), "patches": ([1, 5, 2, 3], [5, 3, 4, 4], {"stride": 4}),
        "gaps": ([1, 2, 3, 3], [2, 2, 2, 2], {"stride": 4}),
    },
}
for n, variants in TRANSPOSE.items():
    for name, (xs, ws, options) in variants.items():
        f = getattr(F, f"conv_transpose{n}d")
        args = {k: pair(options.get(k, d), n) for k, d in {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}.items()}
        args["groups"] = options.get("groups", 1)
        op, channels = f"conv_transpose{n}d", ws[1] * args["groups"]
        case(op, lambda t, w: f(t, w, None, **options), [x(xs), x(ws, -1, 1)], SOME if name == "stride" else ["f32", "f64"], args, name=f"{op}_{name}")
        if name in ("plain", "groups"):
            case(op, lambda t, w, b: f(t, w, b, **options), [x(xs), x(ws, -1, 1), x([channels])], ["f32", "f64"], args, name=f"{op}_{name}_bias")
case("conv_transpose2d", lambda t, w: F.conv_transpose2d(t, w, stride=2, padding=1), [x([1, 40, 9, 8], -1, 1), x([40, 24, 4, 4], -1, 1)], ["f32"],
     {"stride": [2, 2], "padding": [1, 1], "output_padding": [0, 0], "dilation": [1, 1], "groups": 1}, name="conv_transpose2d_large")

# ---- pooling
POOL = {
    1: {"plain": ([2, 3, 9], 2, {}), "stride": ([2, 3, 10], 3, {"stride": 2, "padding": 1}), "ceil": ([2, 3, 9], 2, {"ceil_mode": True}),
        "ceil_padding": ([1, 2, 7], 3, {"stride": 3, "padding": 1, "ceil_mode": True}), "unbatched": ([3, 9], 2, {})},
    2: {"plain": ([2, 3, 6, 7], 2, {}), "stride": ([2, 3, 7, 8], [3, 2], {"stride": [2, 1], "padding": 1}), "ceil": ([1, 3, 7, 9], 2, {"ceil_mode": True}),
        "ceil_padding": ([1, 2, 8, 7], 3, {"stride": 2, "padding": 1, "ceil_mode": True}), "unbatched": ([3, 6, 7], 2, {}), "empty": ([0, 2, 4, 4], 2, {})},
}
for n, variants in POOL.items():
    for name, (shape, kernel, options) in variants.items():
        args = {"kernel": pair(kernel, n), "padding": pair(options.get("padding", 0), n), "ceil_mode": options.get("ceil_mode", False)}
        if "stride" in options:
            args["stride"] = pair(options["stride"], n)
        dtypes = FLOATS if name in ("plain", "stride") else ["f32", "f64"]
        f = getattr(F, f"max_pool{n}d")
        case(f"max_pool{n}d", lambda t: f(t, kernel, **options), [x(shape)], dtypes, args, name=f"max_pool{n}d_{name}", expand=False)
        g = getattr(F, f"avg_pool{n}d")
        case(f"avg_pool{n}d", lambda t: g(t, kernel, **options), [x(shape)], dtypes, {**args, "include": True}, name=f"avg_pool{n}d_{name}")
        case(f"avg_pool{n}d", lambda t: g(t, kernel, count_include_pad=False, **options), [x(shape)], ["f32", "f64"], {**args, "include": False},
             name=f"avg_pool{n}d_{name}_exclude")
case("max_pool1d", lambda t: F.max_pool1d(t, 3, 1, 1, 2), [x([2, 2, 12])], ["f32", "f64"], {"kernel": [3], "stride": [1], "padding": [1], "dilation": [2]}, name="max_pool1d_dilation", expand=False)
case("max_pool2d", lambda t: F.max_pool2d(t, 3, 2, 1, [2, 3]), [x([1, 2, 12, 11])], ["f32", "f64"],
     {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1], "dilation": [2, 3]}, name="max_pool2d_dilation", expand=False)
case("max_pool2d_indices", lambda t: F.max_pool2d(t, 3, 2, 1, return_indices=True)[1], [x([2, 2, 8, 7])], ["f32", "f64"], {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1]}, expand=False)
case("avg_pool2d", lambda t: F.avg_pool2d(t, 3, divisor_override=5), [x([1, 2, 7, 8])], ["f32", "f64"], {"kernel": [3, 3], "padding": [0, 0], "include": True, "divisor": 5},
     name="avg_pool2d_divisor")
for n, shape, sizes in [(1, [2, 3, 10], [[1], [5], [3], [10]]), (2, [2, 3, 7, 10], [[1, 1], [3, 4], [7, 5], [9, 2]])]:
    for size in sizes:
        for kind in ("avg", "max"):
            f = getattr(F, f"adaptive_{kind}_pool{n}d")
            case(f"adaptive_{kind}_pool{n}d", lambda t: f(t, size), [x(shape)], SOME if size[0] == 3 else ["f32", "f64"], {"size": size},
                 name=f"adaptive_{kind}_pool{n}d_{'x'.join(map(str, size))}", expand=False)

# ---- borders, windows, pixels
for name, (shape, pads) in {"one": ([2, 3, 5], [2, 1]), "two": ([2, 3, 4, 5], [1, 2, 3, 0]), "cut": ([2, 3, 6], [-1, 2])}.items():
    case("pad", lambda t: F.pad(t, pads, "constant", 1.5), [x(shape)], FLOATS, {"pads": pads, "mode": "constant", "value": 1.5}, name=f"pad_constant_{name}")
    for mode in ("reflect", "replicate", "circular"):
        if name != "cut":
            case("pad", lambda t: F.pad(t, pads, mode), [x(shape)], ["f32", "f64"], {"pads": pads, "mode": mode}, name=f"pad_{mode}_{name}")
case("pad", lambda t: F.pad(t, [1, 1, 0, 2], "constant", 3), [x([2, 3], 0, 50)], INTS, {"pads": [1, 1, 0, 2], "mode": "constant", "value": 3}, name="pad_constant_int")
for name, (shape, dim, size, step) in {"overlap": ([2, 7, 3], 1, 3, 2), "apart": ([9], 0, 2, 4), "last": ([2, 8], -1, 4, 1)}.items():
    case("unfold", lambda t: t.unfold(dim, size, step), [x(shape, 0, 50)], FLOATS + INTS if name == "overlap" else ["f32"], {"dim": dim, "size": size, "step": step}, name=f"unfold_{name}")
for name, (shape, kernel, o) in {
    "plain": ([2, 3, 5, 6], [2, 3], {}), "options": ([1, 2, 7, 8], [3, 2], {"stride": [2, 1], "padding": [1, 2], "dilation": [1, 2]}),
}.items():
    args = {"kernel": kernel, **{k: o.get(k, [d, d]) for k, d in {"stride": 1, "padding": 0, "dilation": 1}.items()}}
    case("im2col", lambda t: F.unfold(t, kernel, **o), [x(shape)], ["f32", "f64"], args, name=f"im2col_{name}")
    columns = list(F.unfold(torch.zeros(shape), kernel, **o).shape)
    case("col2im", lambda t: F.fold(t, shape[2:], kernel, **o), [x(columns)], ["f32", "f64"], {**args, "size": shape[2:]}, name=f"col2im_{name}")
case("pixel_shuffle", lambda t: F.pixel_shuffle(t, 2), [x([2, 8, 3, 4])], ["f32", "f16"], {"factor": 2})
case("pixel_unshuffle", lambda t: F.pixel_unshuffle(t, 3), [x([2, 2, 6, 9])], ["f32", "f16"], {"factor": 3})

# ---- interpolation
for n, shape, sizes in [(1, [2, 3, 7], [[12], [4], [7], [1]]), (2, [1, 2, 5, 6], [[9, 13], [3, 4], [5, 12]])]:
    for size in sizes:
        tag = "x".join(map(str, size))
        case("interpolate", lambda t: F.interpolate(t, size, mode="nearest"), [x(shape)], ["f32", "f64"], {"size": size, "mode": "nearest"}, name=f"nearest_{tag}")
        for mode in ["linear"] if n == 1 else ["bilinear", "bicubic"]:
            for corners in (False, True):
                case("interpolate", lambda t: F.interpolate(t, size, mode=mode, align_corners=corners), [x(shape)], ["f32", "f64"],
                     {"size": size, "mode": mode, "corners": corners}, name=f"{mode}_{tag}_{corners}")
for scale in ([2.0, 2.0], [0.6, 1.7], [3.0, 0.5]):
    for mode in ("nearest", "bilinear", "bicubic"):
        case("interpolate", lambda t: F.interpolate(t, scale_factor=scale, mode=mode), [x([1, 2, 5, 8])], ["f32", "f64"], {"scale": scale, "mode": mode},
             name=f"{mode}_scale_{'x'.join(map(str, scale))}")

# ---- Fourier transforms
real = torch.view_as_real
for name, shape in {"even": [3, 16], "odd": [2, 15], "one": [4, 1], "two": [4, 2], "vector": [12], "batch": [2, 3, 20], "prime": [2, 37]}.items():
    case("rfft", lambda t: real(torch.fft.rfft(t)), [x(shape)], ["f32", "f64"] + (["f16"] if name == "even" else []), name=f"rfft_{name}")
    n = shape[-1]
    case("irfft", lambda t: torch.fft.irfft(torch.view_as_complex(t.contiguous()), n), [x(shape[:-1] + [n // 2 + 1, 2])], ["f32", "f64"], {"n": n}, name=f"irfft_{name}")
STFT = {
    "plain": ([50], {"n_fft": 16}, False), "batch": ([2, 60], {"n_fft": 16, "hop_length": 5, "win_length": 11}, True),
    "raw": ([40], {"n_fft": 15, "hop_length": 4, "center": False}, True), "constant": ([33], {"n_fft": 8, "pad_mode": "constant", "normalized": True}, True),
    "twosided": ([33], {"n_fft": 9, "hop_length": 3, "onesided": False}, True), "twosided_even": ([33], {"n_fft": 8, "hop_length": 3, "onesided": False}, False),
}
for name, (shape, options, window) in STFT.items():
    length = options.get("win_length", options["n_fft"])
    f = lambda t, w=None: real(torch.stft(t, window=w, return_complex=True, **options))
    inputs = [x(shape)] + ([x([length], 0.2, 1)] if window else [])
    case("stft", f, inputs, ["f32", "f64"], options, name=f"stft_{name}", expand=False)
    if options.get("center", True):
        transform = list(f(torch.zeros(shape), torch.ones(length) if window else None).shape)
        g = lambda t, w=None: torch.istft(torch.view_as_complex(t.contiguous()), window=w, length=shape[-1],
                                          **{k: v for k, v in options.items() if k != "pad_mode"})
        case("istft", g, [x(transform)] + inputs[1:], ["f32", "f64"], {**options, "length": shape[-1]}, name=f"istft_{name}", tolerance=5e-5, expand=False,
             gradient=options.get("onesided", True))

# ---- norms over channels
def batch_norm(t, mean, variance, weight=None, bias=None):
    if not t.requires_grad:
        return F.batch_norm(t, mean, variance, weight, bias, False, 0.1, 1e-5)
    # PyTorch's function has no gradient to the statistics.
    over = lambda v: v.reshape([1, -1] + [1] * (t.dim() - 2))
    out = (t - over(mean)) / (over(variance) + 1e-5).sqrt()
    return out if weight is None else out * over(weight) + over(bias)


for name, (shape, groups) in {"image": ([2, 6, 4, 3], 3), "one": ([2, 4, 5], 1), "each": ([2, 4, 5], 4)}.items():
    c = shape[1]
    case("group_norm", lambda t, w, b: F.group_norm(t, groups, w, b, 1e-5), [x(shape), x([c], 0.5, 1.5), x([c])], SOME, {"groups": groups, "eps": 1e-5}, name=f"group_norm_{name}")
    case("group_norm", lambda t: F.group_norm(t, groups, None, None, 1e-3), [x(shape)], ["f32"], {"groups": groups, "eps": 1e-3}, name=f"group_norm_{name}_bare")
for name, shape in {"image": [2, 3, 4, 5], "signal": [2, 3, 7], "rows": [8, 5]}.items():
    c = x([shape[1]], 0.5, 1.5)
    if name != "rows":
        case("instance_norm", lambda t, w, b: F.instance_norm(t, None, None, w, b, True, 0.1, 1e-5), [x(shape), c, c], ["f32", "f64"], {"eps": 1e-5}, name=f"instance_norm_{name}", edges=False)
    case("batch_norm", batch_norm, [x(shape), x([shape[1]]), c, c, x([shape[1]])], SOME, {"eps": 1e-5},
         name=f"batch_norm_{name}")
    case("batch_norm", batch_norm, [x(shape), x([shape[1]]), c], ["f32"], {"eps": 1e-5}, name=f"batch_norm_{name}_bare")
    case("batch_norm_train", lambda t, w, b: F.batch_norm(t, None, None, w, b, True, 0.1, 1e-5), [x(shape), c, x([shape[1]])], ["f32", "f64"], {"eps": 1e-5}, name=f"batch_norm_train_{name}", edges=False)
