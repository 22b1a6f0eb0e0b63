"""Creation, elementwise functions, statistics, rearranging, indexing, searching, linear algebra."""

from common import *

SHAPE = [3, 4, 5]
SOME = ["f32", "f16", "f64"]

# ---- functions of one operand
TRANSCENDENTAL = {
    "tan": (torch.tan, -1.4, 1.4), "asin": (torch.asin, -0.95, 0.95), "acos": (torch.acos, -0.95, 0.95), "atan": (torch.atan, -4, 4),
    "sinh": (torch.sinh, -3, 3), "cosh": (torch.cosh, -3, 3), "asinh": (torch.asinh, -4, 4), "acosh": (torch.acosh, 1.1, 6),
    "atanh": (torch.atanh, -0.9, 0.9), "exp2": (torch.exp2, -4, 4), "expm1": (torch.expm1, -4, 2), "log2": (torch.log2, 0.125, 8),
    "log10": (torch.log10, 0.125, 8), "log1p": (torch.log1p, -0.8, 8), "erfinv": (torch.erfinv, -0.95, 0.95),
    "trunc": (torch.trunc, -4, 4), "frac": (torch.frac, -4, 4),
}
for op, (f, low, high) in TRANSCENDENTAL.items():
    case(op, f, [x(SHAPE, low, high)], FLOATS)
    case(op, f, [x([2, 0], low, high)], name=f"{op}_empty")
    case(op, f, [x([], low, high)], name=f"{op}_scalar")
for op, scale in {"asinh": 1e30, "atan": 1e30, "log1p": 1e-6, "expm1": 1e-6, "log2": 1e30, "asin": 1e-6}.items():
    case(op, TRANSCENDENTAL[op][0], [x([50], scale / 16, scale)], ["f32", "f64"], name=f"{op}_extreme", gradient=False)
case("erfinv", torch.erfinv, [x([400], -1, 1)], ["f64"], name="erfinv_dense", gradient=False)


def celu(t):
    """By its formula, as hardsigmoid: PyTorch 1.13 computes both with constants of f32 in f64 too."""
    return t.clamp(min=0) + 0.7 * torch.expm1(t.clamp(max=0) / 0.7)


ACTIVATIONS = {
    "relu6": (F.relu6, {}), "leaky_relu": (lambda t: F.leaky_relu(t, 0.1), {"slope": 0.1}), "elu": (lambda t: F.elu(t, 0.7), {"alpha": 0.7}),
    "celu": (celu, {"alpha": 0.7}), "selu": (F.selu, {}), "hardtanh": (lambda t: F.hardtanh(t, -1.5, 2), {"min": -1.5, "max": 2}),
    "hardsigmoid": (lambda t: F.relu6(t + 3) / 6, {}), "hardswish": (F.hardswish, {}), "softplus": (lambda t: F.softplus(t, 2, 5), {"beta": 2, "threshold": 5}),
    "logsigmoid": (F.logsigmoid, {}), "mish": (F.mish, {}), "softsign": (F.softsign, {}), "tanhshrink": (F.tanhshrink, {}),
    "hardshrink": (lambda t: F.hardshrink(t, 0.5), {"lambda": 0.5}), "softshrink": (lambda t: F.softshrink(t, 0.5), {"lambda": 0.5}),
    "threshold": (lambda t: F.threshold(t, 0.5, -3), {"threshold": 0.5, "value": -3}), "glu": (lambda t: F.glu(t, 1), {"dim": 1}),
    "clamp_min": (lambda t: t.clamp(min=-0.5), {"value": -0.5}), "clamp_max": (lambda t: t.clamp(max=0.5), {"value": 0.5}),
}
for op, (f, args) in ACTIVATIONS.items():
    case(op, f, [x(SHAPE, -5, 5)], FLOATS, args)
case("logit", torch.logit, [x(SHAPE, 0.05, 0.95)], FLOATS)
case("logit", lambda t: torch.logit(t, 0.2), [x(SHAPE, 0, 1)], SOME, {"eps": 0.2}, name="logit_eps")
case("prelu", F.prelu, [x([2, 3, 4]), x([3], 0, 1)], SOME)
case("prelu", F.prelu, [x([2, 3, 4]), x([1], 0, 1)], ["f32"], name="prelu_one")
for op, f in {"selu": F.selu, "mish": F.mish, "softplus": lambda t: F.softplus(t, 2, 5)}.items():
    case(op, f, [x([64], -90, 90)], ["f32", "f64"], {"beta": 2, "threshold": 5}, name=f"{op}_wide")

# ---- of two and three
BINARY = {"atan2": torch.atan2, "hypot": torch.hypot, "copysign": torch.copysign, "fmod": torch.fmod, "remainder": torch.remainder,
          "logaddexp": torch.logaddexp, "floor_divide": lambda a, b: torch.div(a, b, rounding_mode="floor")}
for op, f in BINARY.items():
    case(op, f, [x(SHAPE, -6, 6), x(SHAPE, 0.5, 3)], SOME)
    case(op, f, [x([3, 1, 5], -6, 6), x([4, 1], -3, -0.5)], ["f32", "f64"], name=f"{op}_broadcast")
    case(op, f, [x([0, 4]), x([1, 4])], name=f"{op}_empty")
for op in ["fmod", "remainder", "floor_divide"]:
    case(op, BINARY[op], [x(SHAPE, -20, 20), x(SHAPE, 1, 6)], ["i64", "i32"], name=f"{op}_int")
    case(op, BINARY[op], [x(SHAPE, -20, 20), x(SHAPE, -6, 0)], ["i64"], name=f"{op}_negative")
    case(op, BINARY[op], [x(SHAPE, 0, 200), x(SHAPE, 1, 30)], ["u32", "u8"], name=f"{op}_unsigned")
case("logaddexp", torch.logaddexp, [x([30], -300, 300), x([30], -300, 300)], ["f32"], name="logaddexp_wide")
LOGICAL = {"logical_and": torch.logical_and, "logical_or": torch.logical_or, "logical_xor": torch.logical_xor}
for op, f in LOGICAL.items():
    case(op, f, [x(SHAPE, 0, 2), x([4, 1], 0, 2)], ["u8", "i64"])
BITS = {"bitwise_and": torch.bitwise_and, "bitwise_or": torch.bitwise_or, "bitwise_xor": torch.bitwise_xor}
for op, f in BITS.items():
    case(op, f, [x(SHAPE, 0, 100), x([4, 1], 0, 100)], INTS)
    case(op, f, [x(SHAPE, -100, 100), x(SHAPE, -100, 100)], ["i64", "i32"], name=f"{op}_signed")
case("bitwise_left_shift", torch.bitwise_left_shift, [x(SHAPE, 0, 100), x([4, 1], 0, 6)], ["i64", "i32", "u8"])
case("bitwise_right_shift", torch.bitwise_right_shift, [x(SHAPE, -100, 100), x([4, 1], 0, 6)], ["i64", "i32"])
case("bitwise_right_shift", torch.bitwise_right_shift, [x(SHAPE, 0, 200), x([4, 1], 0, 6)], ["u8"], name="bitwise_right_shift_unsigned")
case("bitwise_not", torch.bitwise_not, [x(SHAPE, -100, 100)], ["i64", "i32"])
case("bitwise_not", torch.bitwise_not, [x(SHAPE, 0, 200)], ["u8"], name="bitwise_not_unsigned")
case("isin", torch.isin, [x(SHAPE, 0, 20), x([6], 0, 20)], ["i64", "u8"])
case("softmin", lambda t: F.softmin(t, 1), [x(SHAPE)], SOME, {"dim": 1})
case("logical_not", torch.logical_not, [x(SHAPE, 0, 2)], ["u8", "i64", "f32"])
for op in ["isnan", "isinf", "isfinite"]:
    # Logarithms of -1 and 0 make the NaNs and infinities.
    case(op, lambda t: getattr(torch, op)(torch.log(t.floor())), [x(SHAPE, -1, 3)], ["f32", "f16"])
case("nan_to_num", lambda t: torch.nan_to_num(torch.log(t.floor()), 7, 8, -9), [x(SHAPE, -1, 3)], ["f32", "f64"], gradient=False)
case("nan_to_num", lambda t: torch.nan_to_num(torch.log(t), 7, 8, -9), [x(SHAPE, -1, 3)], ["f32", "f64"], {"smooth": True}, name="nan_to_num_gradient")
case("isclose", lambda a, b: torch.isclose(a, b, 0.25, 0.1), [x(SHAPE), x(SHAPE)], ["f32", "f64"])
case("lerp", lambda a, b: torch.lerp(a, b, 0.3), [x(SHAPE), x(SHAPE)], SOME)
case("lerp_tensor", torch.lerp, [x(SHAPE), x(SHAPE), x([5], 0, 1)], ["f32", "f64"])
case("addcmul", lambda a, b, c: torch.addcmul(a, b, c, value=0.5), [x(SHAPE), x([4, 1]), x([5])], SOME)
case("addcdiv", lambda a, b, c: torch.addcdiv(a, b, c, value=0.5), [x(SHAPE), x([4, 1]), x([5], 0.5, 2)], SOME)
case("clamp_tensor", lambda a, b, c: torch.clamp(a, b, c), [x(SHAPE), x([4, 1], -1, 0), x([5], 0, 1)], ["f32", "f64"])
case("where_number", lambda c, a: torch.where(c != 0, a, torch.tensor(0.5, dtype=a.dtype)), [x(SHAPE, 0, 2, "u8"), x(SHAPE)], FLOATS)
case("masked_fill", lambda t, m: t.masked_fill(m != 0, 2.5), [x(SHAPE), x([4, 5], 0, 2, "u8")], SOME)
NUMBERS = {
    "rsub": lambda t: 1.5 - t, "rdiv": lambda t: 2 / t, "radd": lambda t: 3 + t, "rmul": lambda t: 0.5 * t, "remainder_scalar": lambda t: t % 0.75,
    "fmod_scalar": lambda t: torch.fmod(t, 0.75),
}
for op, f in NUMBERS.items():
    case(op, f, [x(SHAPE, 0.5, 3)], SOME)

# ---- statistics
STATISTICS = {
    "var": lambda t, d, k: t.var(d, True, k), "std": lambda t, d, k: t.std(d, True, k), "logsumexp": lambda t, d, k: t.logsumexp(d, k),
    "var_population": lambda t, d, k: t.var(d, False, k),
    # Zero, as the gradient of a count, is left out: the result is not tracked.
    **{f"norm_{p}": (lambda p: lambda t, d, k: torch.linalg.vector_norm(t, p, d, k))(float(p)) for p in ["0", "1", "2", "3", "0.5", "inf", "-inf"]},
}
for op, f in STATISTICS.items():
    for dims in [[0], [2], [0, 2], [0, 1, 2]]:
        tag = "".join(map(str, dims))
        case(op, lambda t: f(t, dims, False), [x(SHAPE)], SOME if dims == [0, 2] else ["f32"], {"dims": dims, "keep": False}, name=f"{op}_{tag}", gradient=op != "norm_0")
    case(op, lambda t: f(t, [1], True), [x(SHAPE)], ["f32", "bf16"], {"dims": [1], "keep": True}, name=f"{op}_keep", gradient=op != "norm_0")
case("logsumexp", lambda t: t.logsumexp([1], False), [x([3, 4], -2000, 2000)], ["f32", "f64"], {"dims": [1], "keep": False}, name="logsumexp_wide")
case("norm_2", lambda t: torch.linalg.vector_norm(t, 2, [1]), [x([3, 4], 0, 0)], ["f32"], {"dims": [1], "keep": False}, name="norm_2_of_zeros", second=False)
for op in ["any", "all"]:
    for dim in (0, 2):
        case(op, lambda t: getattr(t != 0, op)(dim), [x(SHAPE, 0, 2)], ["u8", "i64"], {"dims": [dim]}, name=f"{op}_{dim}")
    case(op, lambda t: getattr(t != 0, op)(1), [x([3, 0])], ["f32"], {"dims": [1]}, name=f"{op}_empty")
case("count_nonzero", lambda t: t.count_nonzero([0, 2]), [x(SHAPE, 0, 3)], ["f32", "u8", "i64"], {"dims": [0, 2]})
for op, f in {"max_dim": torch.max, "min_dim": torch.min, "median": torch.median}.items():
    for dim in (0, 2):
        case(op, lambda t: f(t, dim)[0], [x(SHAPE)], SOME, {"dim": dim}, name=f"{op}_{dim}", expand=False)
        case(f"{op}_index", lambda t: f(t, dim)[1], [x(SHAPE)], ["f32"], {"dim": dim}, name=f"{op}_index_{dim}", expand=False)
case("quantile", lambda t: t.quantile(0.3, 1), [x(SHAPE)], ["f32", "f64"], {"q": 0.3, "dim": 1})
case("normalize", lambda t: F.normalize(t, 2, 1), [x(SHAPE)], SOME, {"p": 2, "dim": 1})
for dim in (0, 1, 2):
    case("cumprod", lambda t: t.cumprod(dim), [x(SHAPE)], FLOATS, {"dim": dim}, name=f"cumprod_{dim}")
case("cumprod", lambda t: t.cumprod(0), [x([5, 3], 1, 5)], INTS, {"dim": 0}, name="cumprod_int")
case("cumprod_zeros", lambda t: t.trunc().detach().mul(t).cumprod(1), [x([6, 8], -3, 3)], ["f32", "f64"], {"dim": 1})
case("topk_smallest", lambda t: t.topk(4, 1, False)[0], [x([3, 90])], FLOATS, {"k": 4, "dim": 1})
case("topk_smallest", lambda t: t.topk(2, 0, False)[0], [x([9, 4], 0, 200)], ["u8"], {"k": 2, "dim": 0}, name="topk_smallest_u8")

# ---- creation from a tensor
for k in (-1, 0, 2):
    case("tril", lambda t: t.tril(k), [x([2, 4, 5])], ["f32", "f64"], {"k": k}, name=f"tril_{k}")
    case("triu", lambda t: t.triu(k), [x([2, 4, 5])], ["f32", "i64"], {"k": k}, name=f"triu_{k}")
case("bincount", lambda t: t.long().flatten().bincount(minlength=7), [x([3, 9], 0, 6)], ["i64", "u8"])
case("logspace", lambda t: torch.logspace(-1, 2, 7, 3, dtype=t.dtype) + 0 * t, [x([1])], ["f32", "f64"], {"start": -1, "end": 2, "steps": 7, "base": 3}, gradient=False)
case("one_hot", lambda t: F.one_hot(t.long(), 5), [x([2, 3], 0, 5)], ["i64", "u8"])
case("meshgrid_ij", lambda a, b: torch.stack(torch.meshgrid(a, b, indexing="ij")), [x([3]), x([4])], ["f32"])
case("meshgrid_xy", lambda a, b: torch.stack(torch.meshgrid(a, b, indexing="xy")), [x([3]), x([4])], ["f32"])
for name, (a, b, n) in {"up": (0, 1, 7), "down": (3.5, -2.25, 10), "one": (2, 5, 1), "none": (0, 1, 0), "two": (-1, 1, 2)}.items():
    case("linspace", lambda t: torch.linspace(a, b, n, dtype=t.dtype) + 0 * t, [x([1])], ["f32", "f64"], {"start": a, "end": b, "steps": n}, name=f"linspace_{name}", gradient=False)

# ---- rearranging
ARRANGE = {
    "repeat": (lambda t: t.repeat(2, 1, 3), {"repeats": [2, 1, 3]}), "repeat_new": (lambda t: t.repeat(2, 1, 1, 2), {"repeats": [2, 1, 1, 2]}),
    "tile": (lambda t: t.tile(2, 3), {"repeats": [2, 3]}), "roll": (lambda t: t.roll(2, 1), {"shift": 2, "dim": 1}),
    "roll_back": (lambda t: t.roll(-7, 2), {"shift": -7, "dim": 2}), "flip": (lambda t: t.flip(0, 2), {"dims": [0, 2]}),
    "diff": (lambda t: t.diff(dim=1), {"dim": 1}), "squeeze": (lambda t: t.narrow(1, 2, 1).squeeze(), {"dim": 1, "start": 2}),
    "movedim": (lambda t: t.movedim(0, -1), {"from": 0, "to": -1}), "unflatten": (lambda t: t.unflatten(1, (2, 2)), {"dim": 1, "sizes": [2, 2]}),
    "step": (lambda t: t[:, ::3], {"dim": 1, "step": 3}), "step_last": (lambda t: t[..., ::2], {"dim": 2, "step": 2}),
    "diagonal": (lambda t: t.diagonal(0, 1, 2), {"k": 0, "dims": [1, 2]}), "diagonal_up": (lambda t: t.diagonal(2, 1, 2), {"k": 2, "dims": [1, 2]}),
    "diagonal_down": (lambda t: t.diagonal(-1, 2, 0), {"k": -1, "dims": [2, 0]}), "diagonal_none": (lambda t: t.diagonal(5, 1, 2), {"k": 5, "dims": [1, 2]}),
    "diag_embed": (lambda t: t.diag_embed(0), {"k": 0}), "diag_embed_up": (lambda t: t.diag_embed(1), {"k": 1}), "diag_embed_down": (lambda t: t.diag_embed(-2), {"k": -2}),
    "split": (lambda t: torch.cat(t.split(3, 2)[::-1], 2), {"size": 3, "dim": 2}), "unbind": (lambda t: torch.stack(t.unbind(1)[::-1]), {"dim": 1}),
}
for name, (f, args) in ARRANGE.items():
    case({"diag": "diag_embed", "squeeze": "squeeze_all"}.get(name.split("_")[0], name.split("_")[0]), f, [x(SHAPE)], ["f32", "f64"], args, name=name)
case("diag", torch.diag, [x([4])], ["f32"], {"k": 0}, name="diag_of_vector")
case("diag", torch.diag, [x([4, 3])], ["f32"], {"k": 0}, name="diag_of_matrix")
for op, f in {"hstack": torch.hstack, "vstack": torch.vstack}.items():
    case(op, lambda a, b: f([a, b]), [x([2, 3]), x([2, 3])], ["f32"])
    case(op, lambda a, b: f([a, b]), [x([3]), x([3])], ["f32"], name=f"{op}_vectors")

# ---- indexing
for index in ["i64", "i32", "u32", "u8"]:
    case("index_add", lambda t, i, s: t.index_add(0, i.long(), s), [x([5, 4]), x([7], 0, 5, index), x([7, 4])], ["f32"], {"dim": 0}, name=f"index_add_{index}")


def places(n):
    """Different indices in an order of their own: 0, 3, 6 … mod n (n no multiple of 3)."""
    return (torch.arange(n) * 3) % n


case("scatter", lambda t, s: t.scatter(0, places(5)[:, None].expand(5, 3), s), [x([5, 4], 0, 9), x([5, 3], 0, 9)], FLOATS + INTS, {"dim": 0, "count": 5})
case("scatter", lambda t, s: t.scatter(1, places(4)[None, :2].expand(3, 2), s), [x([3, 4]), x([3, 2])], ["f32", "f64"], {"dim": 1, "count": 2}, name="scatter_1")
case("scatter_number", lambda t, i: t.scatter(1, i.long(), 2.5), [x([3, 4]), x([3, 2], 0, 4, "u32")], ["f32", "f16"], {"dim": 1})
case("index_copy", lambda t, s: t.index_copy(1, places(4)[:3], s), [x(SHAPE), x([3, 3, 5])], ["f32", "f64"], {"dim": 1, "count": 3})
case("index_fill", lambda t, i: t.index_fill(1, i.long(), 2.5), [x(SHAPE), x([2], 0, 4, "u32")], ["f32", "f64"], {"dim": 1})
case("take", lambda t, i: t.take(i.long()), [x(SHAPE), x([2, 7], 0, 60, "u32")], ["f32", "f64"])
case("take_along_dim", lambda t, i: t.take_along_dim(i.long(), 1), [x(SHAPE), x([1, 3, 5], 0, 4, "u32")], ["f32", "f64"], {"dim": 1})
case("masked_select", lambda t, m: t.masked_select(m != 0), [x(SHAPE), x([4, 5], 0, 2, "u8")], ["f32", "f64"])
case("nonzero", torch.nonzero, [x(SHAPE, 0, 2)], ["u8", "i64"])
case("unique", lambda t: t.unique(), [x(SHAPE, 0, 9)], ["i64", "u8"])
case("unique_counts", lambda t: t.unique(return_counts=True)[1], [x(SHAPE, 0, 9)], ["i64", "u8"])
for right in (False, True):
    tag = "right" if right else "left"
    case("searchsorted", lambda s, v: torch.searchsorted(s.cumsum(-1), v, right=right), [x([2, 9], 0, 3), x([2, 14], 0, 14)], ["i64", "f32"], {"right": right}, name=f"searchsorted_{tag}", expand=False)
    case("bucketize", lambda t, s: torch.bucketize(t, s.cumsum(-1), right=right), [x([3, 4], 0, 14), x([9], 0, 3)], ["i64", "f32"], {"right": right}, name=f"bucketize_{tag}", expand=False)
INDEX = {
    "integers": lambda t, i: t[1, -2], "ranges": lambda t, i: t[1:, :-1, 2:4], "steps": lambda t, i: t[::2, 1::2], "ellipsis": lambda t, i: t[..., -1],
    "new_axis": lambda t, i: t[:, None, 2, None], "list": lambda t, i: t[:, i], "list_negative": lambda t, i: t[:, i - 2], "list_first": lambda t, i: t[i - 1],
    "two_lists": lambda t, i: t[:, i, i + 1], "two_lists_apart": lambda t, i: t[i - 1, :, i], "list_and_integer": lambda t, i: t[1, :, i],
    "lists_broadcast": lambda t, i: t[(i - 1)[:, None], i],
}
for name, f in INDEX.items():
    case("index", f, [x(SHAPE), x([4], 0, 4, "i64")], ["f32", "f64"], {"how": name}, name=f"index_{name}")
case("index", lambda t, m: t[:, m != 0], [x(SHAPE), x([4, 5], 0, 2, "u8")], ["f32", "f64"], {"how": "mask"}, name="index_mask")

case("index_select", lambda t, i: t.index_select(0, i.long()), [x([900, 7]), x([1000], 0, 900, "u32")], ["f32"], {"dim": 0}, name="index_select_large", gradient=False)
case("index_select", lambda t, i: t.index_select(1, i.long()), [x([40, 90]), x([120], 0, 90, "u32")], ["f32"], {"dim": 1}, name="index_select_columns", gradient=False)

# ---- linear algebra
case("dot", torch.dot, [x([7]), x([7])], SOME)
case("outer", torch.outer, [x([3]), x([4])], SOME)
case("mv", torch.mv, [x([3, 4]), x([4])], SOME)
case("mm", torch.mm, [x([3, 4]), x([4, 2])], ["f32"])
case("bmm", torch.bmm, [x([2, 3, 4]), x([2, 4, 5])], SOME)
case("addmm", lambda m, a, b: torch.addmm(m, a, b, beta=0.5, alpha=2), [x([3, 2]), x([3, 4]), x([4, 2])], ["f32", "f64"])
case("baddbmm", lambda m, a, b: torch.baddbmm(m, a, b, beta=0.5, alpha=2), [x([2, 3, 2]), x([2, 3, 4]), x([2, 4, 2])], ["f32", "f64"])
case("trace", torch.trace, [x([4, 3])], ["f32", "f64"])
case("tensordot", lambda a, b: torch.tensordot(a, b, ([1, 0], [0, 2])), [x([3, 4, 5]), x([4, 2, 3])], ["f32", "f64"], {"dims": [1, 0], "other_dims": [0, 2]})
case("kron", torch.kron, [x([2, 3]), x([4, 1, 2])], ["f32", "f64"])
for p in (1.0, 2.0, 3.0):
    case("cdist", lambda a, b: torch.cdist(a, b, p, "donot_use_mm_for_euclid_dist"), [x([2, 3, 4]), x([2, 5, 4])], ["f32", "f64"], {"p": p}, name=f"cdist_{p}", second=False)
case("cosine_similarity", lambda a, b: F.cosine_similarity(a, b, 1), [x(SHAPE), x(SHAPE)], SOME, {"dim": 1})
EINSUM = {
    "product": ("ij,jk->ik", [[3, 4], [4, 5]]), "transposed": ("ij,kj->ik", [[3, 4], [5, 4]]), "batch": ("bij,bjk->bik", [[2, 3, 4], [2, 4, 5]]),
    "implicit": ("ij,jk", [[3, 4], [4, 5]]), "trace": ("ii", [[4, 4]]), "diagonal": ("ii->i", [[4, 4]]), "diagonal_batch": ("iij->ji", [[4, 4, 3]]),
    "sum": ("ijk->j", [SHAPE]), "permute": ("ijk->kij", [SHAPE]), "outer": ("i,j->ij", [[3], [4]]), "inner": ("i,i->", [[5], [5]]),
    "elementwise": ("ij,ij->ij", [[3, 4], [3, 4]]), "ellipsis": ("...ij,...jk->...ik", [[2, 3, 4], [4, 5]]), "attention": ("bthd,bshd->bhts", [[2, 3, 2, 4], [2, 5, 2, 4]]),
    "bilinear": ("bn,anm,bm->ba", [[2, 3], [4, 3, 5], [2, 5]]), "three": ("ij,jk,kl->il", [[2, 3], [3, 4], [4, 2]]), "unused": ("ij,k->i", [[2, 3], [4]]),
    "broadcast": ("ij,ij->i", [[3, 4], [1, 4]]), "ellipsis_end": ("i...->...", [SHAPE]), "ellipsis_implicit": ("...ij", [[2, 3, 4]]), "scalar": (",ij->ij", [[], [2, 3]]),
}
for name, (equation, shapes) in EINSUM.items():
    case("einsum", lambda *t: torch.einsum(equation, *t), [x(s) for s in shapes], ["f32", "f64"], {"equation": equation}, name=f"einsum_{name}")
case("einsum", lambda a, b: torch.einsum("ij,jk->ki", a, b), [x([3, 4], 0, 9), x([4, 5], 0, 9)], ["i64"], {"equation": "ij,jk->ki"}, name="einsum_int")
