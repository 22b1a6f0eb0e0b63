"""The operations of the core: elementwise, reductions, orders, views, joins, indexing, products, fused layers."""

from common import *

# ---- elementwise
SHAPE = [3, 4, 5]
UNARY = {
    "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "exp": torch.exp, "sin": torch.sin, "cos": torch.cos,
    "tanh": torch.tanh, "erf": torch.erf, "floor": torch.floor, "ceil": torch.ceil, "round": torch.round,
    "sigmoid": torch.sigmoid, "relu": torch.relu, "silu": F.silu, "gelu": F.gelu, "sqr": torch.square,
    "gelu_tanh": lambda t: 0.5 * t * (1 + torch.tanh(math.sqrt(2 / math.pi) * (t + 0.044715 * t**3))),
}
for op, f in UNARY.items():
    case(op, f, [x(SHAPE, -4, 4)], FLOATS)
for op, f in {"log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "recip": torch.reciprocal}.items():
    case(op, f, [x(SHAPE, 0.125, 8)], FLOATS)
for op in ["abs", "sign", "sqr", "relu"]:
    case(op, UNARY[op], [x(SHAPE, -9, 9)], ["i64", "i32"])
case("neg", torch.neg, [x(SHAPE, -9, 9)], ["i64", "i32"])
for name, shape in {"empty": [2, 0, 3], "scalar": [], "large": [20001]}.items():
    case("neg", torch.neg, [x(shape)], name=f"neg_{name}")
case("exp", torch.exp, [x([2000], -110, 95)], name="exp_range")
BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "minimum": torch.minimum, "maximum": torch.maximum}
for op, f in BINARY.items():
    case(op, f, [x(SHAPE), x(SHAPE)], FLOATS)
    case(op, f, [x(SHAPE, 10, 50), x(SHAPE, 0, 5)], INTS)
    case(op, f, [x([3, 1, 5]), x([4, 1])], name=f"{op}_broadcast")
    case(op, f, [x([3, 4, 5]), x([])], name=f"{op}_scalar")
    case(op, f, [x([0, 4]), x([1, 4])], name=f"{op}_empty")
case("div", torch.div, [x(SHAPE), x(SHAPE, 0.5, 2)], FLOATS)
case("div", lambda a, b: torch.div(a, b, rounding_mode="trunc"), [x(SHAPE, 0, 90), x(SHAPE, 1, 7)], INTS)
case("pow", torch.pow, [x(SHAPE, 0.1, 3), x(SHAPE)], FLOATS)
case("pow", torch.pow, [x(SHAPE, 0, 4), x(SHAPE, 0, 4)], ["i64", "i32"])
for op in ["eq", "ne", "lt", "le", "gt", "ge"]:
    case(op, getattr(torch, op), [x(SHAPE, 0, 3), x(SHAPE, 0, 3)], INTS + ["f32"])
    case(op, getattr(torch, op), [x([3, 1], 0, 3), x([4], 0, 3)], ["f16", "bf16", "f64"], name=f"{op}_broadcast")
case("affine", lambda t: t * 1.5 - 0.25, [x(SHAPE)], FLOATS, {"mul": 1.5, "add": -0.25})
case("affine", lambda t: t * 3 - 2, [x(SHAPE, 1, 20)], INTS, {"mul": 3, "add": -2})
case("clamp", lambda t: t.clamp(-0.5, 1.25), [x(SHAPE)], FLOATS, {"min": -0.5, "max": 1.25})
case("clamp", lambda t: t.clamp(3, 7), [x(SHAPE, 0, 10)], INTS, {"min": 3, "max": 7})
case("where_cond", lambda c, a, b: torch.where(c != 0, a, b),
     [x(SHAPE, 0, 2, "u8"), x(SHAPE, 0, 50), x([5], 0, 50)], FLOATS + INTS)
for a in FLOATS + INTS:
    for b in FLOATS + INTS:
        if a != b:
            low, high = (0, 100) if "u8" in (a, b) or "u32" in (a, b) else (-100, 100)
            case("to_dtype", lambda t: t.to(TORCH[b]).float() if b in ("f16", "bf16") else t.to(TORCH[b]),
                 [x([4, 7], low, high)], [a], {"dtype": b}, name=f"to_{b}")

# ---- reductions
RED = {
    "sum": lambda t, d, k: t.sum(d, k), "mean": lambda t, d, k: t.mean(d, k), "max": lambda t, d, k: t.amax(d, k),
    "min": lambda t, d, k: t.amin(d, k),
}
for op, f in RED.items():
    for dims in [[0], [1], [2], [0, 2], [1, 2], [0, 1, 2]]:
        tag = "".join(map(str, dims))
        case(op, lambda t: f(t, dims, False), [x(SHAPE)], FLOATS, {"dims": dims, "keep": False}, name=f"{op}_{tag}")
    case(op, lambda t: f(t, [1], True), [x(SHAPE)], FLOATS, {"dims": [1], "keep": True}, name=f"{op}_keep")
    case(op, lambda t: f(t, [1], False), [x([40, 3000])], ["f32"], {"dims": [1], "keep": False}, name=f"{op}_rows")
    case(op, lambda t: f(t, [0], False), [x([3000, 40])], ["f32"], {"dims": [0], "keep": False}, name=f"{op}_columns")
    case(op, lambda t: f(t, [0], False), [x([7, 1], expand=[7, 6])], ["f32"], {"dims": [0], "keep": False}, name=f"{op}_broadcast")
    if op != "mean":
        case(op, lambda t: f(t, [0, 2], False), [x(SHAPE, 0, 9)], INTS, {"dims": [0, 2], "keep": False}, name=f"{op}_int")
case("sum", lambda t: t.sum(1), [x([3, 0, 2])], ["f32"], {"dims": [1], "keep": False}, name="sum_empty")
case("mean", lambda t: t.mean(1), [x([3, 0, 2])], ["f32"], {"dims": [1], "keep": False}, name="mean_empty")
case("prod", lambda t: t.prod(1), [x(SHAPE)], FLOATS, {"dims": [1], "keep": False})
case("prod", lambda t: t.prod(1), [x(SHAPE, 1, 5)], INTS, {"dims": [1], "keep": False}, name="prod_int")
for op in ["argmax", "argmin"]:
    for dim in (0, 1, 2):
        case(op, lambda t: getattr(torch, op)(t, dim), [x(SHAPE)], FLOATS, {"dim": dim, "keep": False}, name=f"{op}_{dim}")
    case(op, lambda t: getattr(torch, op)(t, 1, True), [x([5, 9], 0, 200)], INTS, {"dim": 1, "keep": True}, name=f"{op}_int")
    case(op, lambda t: getattr(torch, op)(t, 1), [x([3, 50000])], ["f32"], {"dim": 1, "keep": False}, name=f"{op}_large")
for dim in (0, 1, 2):
    case("cumsum", lambda t: t.cumsum(dim), [x(SHAPE)], FLOATS, {"dim": dim}, name=f"cumsum_{dim}")
case("cumsum", lambda t: t.cumsum(0), [x([7, 3], 0, 90)], INTS, {"dim": 0}, name="cumsum_int")

# ---- sorting
for dim in (0, 1):
    for down in (False, True):
        tag = f"{dim}_{'down' if down else 'up'}"
        args = {"dim": dim, "descending": down}
        case("argsort", lambda t: torch.sort(t, stable=True, dim=dim, descending=down)[1], [x([6, 7], 0, 5)], INTS + ["f32"], args, name=f"argsort_{tag}")
        case("sort", lambda t: torch.sort(t, dim, down)[0], [x([6, 7])], FLOATS, args, name=f"sort_{tag}")
case("topk", lambda t: t.topk(4, 1)[0], [x([3, 90])], FLOATS, {"k": 4, "dim": 1})
case("topk", lambda t: t.topk(2, 0)[0], [x([9, 4])], FLOATS, {"k": 2, "dim": 0}, name="topk_first")
case("topk", lambda t: t.topk(50, 0)[0], [x([30000])], ["f32"], {"k": 50, "dim": 0}, name="topk_large")

# ---- views, joins, indexing
case("permute", lambda t: t.permute(2, 0, 1), [x(SHAPE, 0, 50)], FLOATS + INTS, {"order": [2, 0, 1]})
case("narrow", lambda t: t.narrow(1, 1, 2), [x(SHAPE, 0, 50)], FLOATS + INTS, {"dim": 1, "start": 1, "len": 2})
case("reshape", lambda t: t.reshape(6, 10), [x(SHAPE, 0, 50)], ["f32", "u8"], {"shape": [6, 10]})
case("transpose_reshape", lambda t: t.transpose(0, 2).reshape(4, 15), [x(SHAPE)], ["f32", "f64"], {"shape": [4, 15]})
case("repeat_interleave", lambda t: t.repeat_interleave(3, 1), [x([2, 3, 4])], ["f32", "f16"], {"repeats": 3, "dim": 1})
case("write_slice", lambda t, s: torch.cat([t[:, :1], s, t[:, 3:]], 1), [x(SHAPE, 0, 50), x([3, 2, 5], 0, 50)], FLOATS + INTS, {"dim": 1, "start": 1})
for dim, shapes in {0: [[2, 3, 2], [1, 3, 2]], 1: [[2, 3, 2], [2, 0, 2], [2, 4, 2]], -1: [[2, 3, 2], [2, 3, 5]]}.items():
    case("cat", lambda *t: torch.cat(t, dim), [x(s, 0, 50) for s in shapes], FLOATS + INTS, {"dim": dim}, name=f"cat_{dim}")
for dim in (0, 1, -1):
    case("stack", lambda *t: torch.stack(t, dim), [x([2, 3]), x([2, 3])], ["f32"], {"dim": dim}, name=f"stack_{dim}")
for index in ["i64", "i32", "u32", "u8"]:
    case("gather", lambda t, i: t.gather(1, i.long()), [x([3, 5, 4]), x([3, 7, 2], 0, 5, index)], ["f32"], {"dim": 1}, name=f"gather_{index}")
    case("index_select", lambda t, i: t.index_select(1, i.long()), [x([3, 5, 4]), x([6], 0, 5, index)], ["f32"], {"dim": 1}, name=f"index_select_{index}")
    case("scatter_add", lambda t, i, s: t.scatter_add(0, i.long(), s), [x([5, 4]), x([8, 3], 0, 5, index), x([8, 3])], ["f32"], {"dim": 0}, name=f"scatter_add_{index}")
    case("embedding", lambda i, w: F.embedding(i.long(), w), [x([2, 3], 0, 9, index), x([9, 5])], ["f32"], {"dtype": "f32"}, name=f"embedding_{index}")
others = FLOATS[1:] + INTS
case("gather", lambda t, i: t.gather(0, i.long()), [x([5, 4], 0, 50), x([2, 4], 0, 5, "u32")], others, {"dim": 0}, name="gather_0")
case("index_select", lambda t, i: t.index_select(0, i.long()), [x([5, 4], 0, 50), x([3], 0, 5, "u32")], others, {"dim": 0}, name="index_select_0")
case("scatter_add", lambda t, i, s: t.scatter_add(1, i.long(), s), [x([3, 4], 0, 9), x([3, 6], 0, 4, "u32"), x([3, 6], 0, 9)], ["f64"] + INTS, {"dim": 1}, name="scatter_add_1")
for to in FLOATS:
    case("embedding", lambda i, w: F.embedding(i.long(), w), [x([4], 0, 9, "u32"), x([9, 6])], FLOATS, {"dtype": to}, name=f"embedding_to_{to}",
         tolerance=8e-3 if to == "bf16" else None)

# ---- products
for name, (a, b) in {
    "matrix": ([5, 7], [7, 3]), "vectors": ([7], [7]), "row": ([7], [7, 3]), "column": ([5, 7], [7]), "batch": ([2, 5, 7], [2, 7, 3]),
    "shared_right": ([2, 3, 5, 7], [7, 3]), "shared_left": ([5, 7], [2, 3, 7, 4]), "broadcast": ([2, 1, 5, 7], [3, 7, 4]),
    "batch_row": ([7], [2, 7, 3]), "batch_column": ([2, 5, 7], [7]), "empty_inner": ([3, 0], [0, 4]), "empty": ([0, 3], [3, 4]),
}.items():
    case("matmul", torch.matmul, [x(a), x(b)], FLOATS, name=f"matmul_{name}")
case("matmul", torch.matmul, [x([5, 7], 0, 9), x([7, 3], 0, 9)], ["i64", "i32"], name="matmul_int")
case("matmul", torch.matmul, [x([65, 130], -1, 1), x([130, 67], -1, 1)], ["f32", "f16"], name="matmul_large")
for name, shape in {"rows": [2, 3, 32], "row": [1, 32], "many": [37, 32], "vector": [32]}.items():
    case("linear", F.linear, [x(shape), x([12, 32])], FLOATS, name=f"linear_{name}")
    case("linear", F.linear, [x(shape), x([12, 32]), x([12])], FLOATS, name=f"linear_bias_{name}")
case("linear", F.linear, [x([5, 32]), x([12, 32], dtype="f16")], ["f32"], name="linear_by_f16")
case("linear", F.linear, [x([5, 32]), x([12, 32], dtype="bf16")], ["f32"], name="linear_by_bf16")

# ---- fused
for dim in (0, 1, 2):
    case("softmax", lambda t: t.softmax(dim), [x(SHAPE, -9, 9)], FLOATS, {"dim": dim}, name=f"softmax_{dim}")
    case("log_softmax", lambda t: t.log_softmax(dim), [x(SHAPE, -9, 9)], FLOATS, {"dim": dim}, name=f"log_softmax_{dim}")
case("softmax", lambda t: t.softmax(-1), [x([3, 5000], -9, 9)], ["f32"], {"dim": -1}, name="softmax_large")
case("softmax", lambda t: t.softmax(-1), [x([3, 0])], ["f32"], {"dim": -1}, name="softmax_empty")


for shape in ([2, 3, 24], [1, 576], [24]):
    tag, w = "x".join(map(str, shape)), x([shape[-1]], 0.5, 1.5)
    case("rms_norm", rms, [x(shape), w], FLOATS, {"eps": 1e-5}, name=f"rms_norm_{tag}")
    case("layer_norm", lambda t, w: F.layer_norm(t, t.shape[-1:], w, None, 1e-5), [x(shape), w], FLOATS, {"eps": 1e-5}, name=f"layer_norm_{tag}")
    case("layer_norm", lambda t, w, b: F.layer_norm(t, t.shape[-1:], w, b, 1e-5), [x(shape), w, x([shape[-1]])], FLOATS, {"eps": 1e-5}, name=f"layer_norm_bias_{tag}")
case("rms_norm", rms, [x([4, 24]), x([24], dtype="f32")], ["f16"], {"eps": 1e-5}, name="rms_norm_by_f32")


for interleaved in (False, True):
    for name, (shape, half) in {"whole": ([2, 3, 5, 16], 8), "partial": ([2, 3, 5, 16], 4), "step": ([1, 9, 1, 64], 32)}.items():
        tag = f"{'interleaved' if interleaved else 'half'}_{name}"
        case("rope", lambda t, c, s: rope(t, c, s, interleaved), [x(shape), x([shape[-2], half], -1, 1), x([shape[-2], half], -1, 1)],
             FLOATS, {"interleaved": interleaved}, name=f"rope_{tag}")


def attention(q, k, v, mask=None, scale=1.0, causal=False, window=None, softcap=None):
    h, g, t, s = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    k, v = k.repeat_interleave(h // g, 1), v.repeat_interleave(h // g, 1)
    scores = q @ k.transpose(-1, -2) * scale
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask
    i, j = torch.arange(t)[:, None] + s - t, torch.arange(s)[None]
    hidden = torch.zeros(t, s, dtype=torch.bool)
    if causal:
        hidden |= j > i
        if window:
            hidden |= j <= i - window
    return scores.masked_fill(hidden, -math.inf).softmax(-1) @ v


for name, (q, kv, e, extra) in {
    "plain": ([2, 4, 5, 16], [2, 4, 7], 16, {}), "causal": ([1, 4, 6, 16], [1, 4, 6], 16, {"causal": True}),
    "grouped": ([2, 6, 5, 8], [2, 2, 9], 12, {"causal": True}), "decode": ([1, 9, 1, 64], [1, 3, 150], 64, {"causal": True}),
    "window": ([1, 2, 20, 8], [1, 1, 30], 8, {"causal": True, "window": 4}), "softcap": ([1, 2, 5, 8], [1, 1, 8], 8, {"causal": True, "softcap": 2.5}),
    "long": ([1, 2, 40, 16], [1, 1, 200], 16, {"causal": True}), "odd": ([1, 3, 3, 5], [1, 1, 67], 3, {}),
}.items():
    args = {"scale": 0.25, **extra}
    dtypes = FLOATS if name in ("plain", "grouped") else ["f32", "f64"]
    case("attention", lambda q, k, v: attention(q, k, v, **args), [x(q), x(kv + [q[-1]]), x(kv + [e])], dtypes, args, name=f"attention_{name}")
for mask in ([5, 7], [2, 1, 1, 7], [2, 4, 5, 7]):
    tag = "x".join(map(str, mask))
    case("attention", lambda q, k, v, m: attention(q, k, v, m, scale=0.25), [x([2, 4, 5, 16]), x([2, 2, 7, 16]), x([2, 2, 7, 16]), x(mask)],
         ["f32", "f64"], {"scale": 0.25}, name=f"attention_mask_{tag}")
for gate, f in {"silu": F.silu, "gelu": F.gelu, "gelu_tanh": UNARY["gelu_tanh"], "relu": F.relu}.items():
    case("gated", lambda a, b: f(a) * b, [x(SHAPE, -4, 4), x(SHAPE)], FLOATS, {"gate": gate}, name=f"gated_{gate}")

# ---- empty and zero-dimensional
for tag, shape in {"empty": [2, 0, 3], "scalar": []}.items():
    for op, f in {**UNARY, "log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "recip": torch.reciprocal}.items():
        if op != "neg":
            case(op, f, [x(shape, 0.125, 3)], name=f"{op}_{tag}")
    for op in ["eq", "ne", "lt", "le", "gt", "ge"]:
        case(op, getattr(torch, op), [x(shape, 0, 3), x(shape, 0, 3)], ["f32", "u8"], name=f"{op}_{tag}")
    for op, f in {**BINARY, "div": torch.div, "pow": torch.pow}.items():
        case(op, f, [x(shape, 0.5, 2), x(shape, 0.5, 2)], name=f"{op}_both_{tag}")
    case("affine", lambda t: t * 1.5 - 0.25, [x(shape)], args={"mul": 1.5, "add": -0.25}, name=f"affine_{tag}")
    case("clamp", lambda t: t.clamp(-0.5, 1.25), [x(shape)], args={"min": -0.5, "max": 1.25}, name=f"clamp_{tag}")
    case("where_cond", lambda c, a, b: torch.where(c != 0, a, b), [x(shape, 0, 2, "u8"), x(shape), x(shape)], name=f"where_cond_{tag}")
    case("to_dtype", lambda t: t.to(torch.float64), [x(shape)], args={"dtype": "f64"}, name=f"to_f64_{tag}")
    case("gated", lambda a, b: F.silu(a) * b, [x(shape), x(shape)], args={"gate": "silu"}, name=f"gated_{tag}")
    case("reshape", lambda t: t.reshape(*shape, 1), [x(shape)], args={"shape": [*shape, 1]}, name=f"reshape_{tag}")
    case("permute", lambda t: t.permute([*range(len(shape))][::-1]), [x(shape)], args={"order": [*range(len(shape))][::-1]}, name=f"permute_{tag}")
for op, f in RED.items():
    case(op, lambda t: t.sum() if op == "sum" else t.mean() if op == "mean" else f(t, (), False), [x([])], args={"dims": [], "keep": False}, name=f"{op}_scalar")
    case(op, lambda t: f(t, [0], False), [x([3, 0])], args={"dims": [0], "keep": False}, name=f"{op}_none")
case("cumsum", lambda t: t.cumsum(1), [x([3, 0, 2])], args={"dim": 1}, name="cumsum_empty")
case("prod", lambda t: t.prod(1), [x([3, 0, 2])], args={"dims": [1], "keep": False}, name="prod_empty")
for op in ["argmax", "argmin"]:
    case(op, lambda t: getattr(torch, op)(t, 1), [x([0, 3])], args={"dim": 1, "keep": False}, name=f"{op}_empty", gradient=False)
case("argsort", lambda t: torch.sort(t, stable=True, dim=0)[1], [x([0, 3])], args={"dim": 0, "descending": False}, name="argsort_empty")
case("sort", lambda t: torch.sort(t, 0)[0], [x([0, 3])], args={"dim": 0, "descending": False}, name="sort_empty")
case("topk", lambda t: t.topk(0, 1)[0], [x([3, 2])], args={"k": 0, "dim": 1}, name="topk_none")
case("narrow", lambda t: t.narrow(1, 1, 0), [x([3, 2])], args={"dim": 1, "start": 1, "len": 0}, name="narrow_none")
case("cat", lambda *t: torch.cat(t, 0), [x([0, 2]), x([0, 2])], args={"dim": 0}, name="cat_empty")
case("stack", lambda *t: torch.stack(t, 0), [x([]), x([])], args={"dim": 0}, name="stack_scalar")
case("gather", lambda t, i: t.gather(1, i), [x([3, 5]), x([3, 0], 0, 5, "i64")], args={"dim": 1}, name="gather_none")
case("index_select", lambda t, i: t.index_select(0, i), [x([3, 5]), x([0], 0, 3, "i64")], args={"dim": 0}, name="index_select_none")
case("scatter_add", lambda t, i, s: t.scatter_add(0, i, s), [x([3, 5]), x([0, 5], 0, 3, "i64"), x([0, 5])], args={"dim": 0}, name="scatter_add_none")
case("write_slice", lambda t, s: t.clone(), [x([3, 5]), x([0, 5])], args={"dim": 0, "start": 1}, name="write_slice_none", gradient=False)
case("embedding", lambda i, w: F.embedding(i.long(), w), [x([], 0, 9, "u32"), x([9, 6])], args={"dtype": "f32"}, name="embedding_scalar")
case("embedding", lambda i, w: F.embedding(i.long(), w), [x([0], 0, 9, "u32"), x([9, 6])], args={"dtype": "f32"}, name="embedding_empty")
for op, f in {"linear_empty": ([0, 8], [4, 8]), "linear_inner": ([3, 0], [4, 0])}.items():
    case("linear", F.linear, [x(f[0]), x(f[1])], name=op)
case("log_softmax", lambda t: t.log_softmax(-1), [x([3, 0])], args={"dim": -1}, name="log_softmax_empty")
case("rms_norm", rms, [x([0, 8]), x([8])], args={"eps": 1e-5}, name="rms_norm_empty")
case("layer_norm", lambda t, w: F.layer_norm(t, t.shape[-1:], w, None, 1e-5), [x([0, 8]), x([8])], args={"eps": 1e-5}, name="layer_norm_empty")
case("rope", lambda t, c, s: rope(t, c, s, False), [x([2, 0, 8]), x([0, 4]), x([0, 4])], args={"interleaved": False}, name="rope_empty")
case("attention", lambda q, k, v: attention(q, k, v, scale=0.25), [x([2, 4, 0, 8]), x([2, 2, 7, 8]), x([2, 2, 7, 8])], args={"scale": 0.25}, name="attention_empty")

# ---- with one number
SCALAR = {"add_scalar": torch.add, "sub_scalar": torch.sub, "mul_scalar": torch.mul, "div_scalar": torch.div,
          "minimum_scalar": lambda t, v: t.clamp(max=v), "maximum_scalar": lambda t, v: t.clamp(min=v)}
for op, f in SCALAR.items():
    case(op, lambda t: f(t, 1.25), [x(SHAPE)], FLOATS, {"value": 1.25}, name=f"{op}_number")
    case(op, lambda t: f(t, 1.25), [x([])], args={"value": 1.25}, name=f"{op}_number_scalar")
    case(op, lambda t: f(t, 1.25), [x([2, 0])], args={"value": 1.25}, name=f"{op}_number_empty")
    if op != "div_scalar":
        case(op, lambda t: f(t, 3), [x(SHAPE, 5, 20)], INTS, {"value": 3}, name=f"{op}_number_int")
for value in (2.5, 2.0, -1.0, 0.0):
    case("pow_scalar", lambda t: t.pow(value), [x(SHAPE, 0.25, 3)], FLOATS, {"value": value}, name=f"pow_scalar_{value}")
case("pow_scalar", lambda t: t.pow(3), [x(SHAPE)], args={"value": 3}, name="pow_scalar_negative")
for op in ["eq", "ne", "lt", "le", "gt", "ge"]:
    case(f"{op}_scalar", lambda t: getattr(torch, op)(t, 2), [x(SHAPE, 0, 4)], FLOATS + INTS, {"value": 2}, name=f"{op}_number")

# ---- more views
case("prod", lambda t: t.prod(1, True), [x(SHAPE)], FLOATS, {"dims": [1], "keep": True}, name="prod_keep")
case("prod", lambda t: (t.round() * t).prod(1), [x([4, 6], -1, 1.4)], ["f32", "f64"], {"dims": [1], "keep": False, "round": True},
     name="prod_zeros", second=False)
for part in (0, 1):
    case("split_sizes", lambda t: t.split([1, 3], 1)[part], [x([2, 4, 3], 0, 50)], ["f32", "u8"], {"sizes": [1, 3], "dim": 1, "part": part}, name=f"split_{part}")
    case("chunk", lambda t: t.chunk(2, -1)[part], [x([2, 5], 0, 50)], ["f32", "u8"], {"chunks": 2, "dim": -1, "part": part}, name=f"chunk_{part}")
case("squeeze", lambda t: t.squeeze(1), [x([3, 1, 2])], ["f32", "f16"], {"dim": 1})
case("unsqueeze", lambda t: t.unsqueeze(-1), [x([3, 2])], ["f32", "f16"], {"dim": -1})
case("unsqueeze", lambda t: t.unsqueeze(0), [x([])], args={"dim": 0}, name="unsqueeze_scalar")
case("flatten", lambda t: t.flatten(1, 2), [x([2, 3, 4, 2])], ["f32", "f16"], {"start": 1, "end": 2})
case("flatten_all", lambda t: t.flatten(), [x(SHAPE, 0, 50)], ["f32", "u8"])
case("expand", lambda t: t.expand(2, -1, 4), [x([3, 1], 0, 50)], ["f32", "u8"], {"shape": [2, -1, 4]})
case("broadcast_to", lambda t: t.broadcast_to(2, 3, 4), [x([3, 1], 0, 50)], ["f32", "u8"], {"shape": [2, 3, 4]})
case("transpose", lambda t: t.transpose(0, -1), [x(SHAPE, 0, 50)], ["f32", "u8"], {"a": 0, "b": -1})
case("t", lambda t: t.t(), [x([3, 4], 0, 50)], ["f32", "u8"])
case("select", lambda t: t.select(1, 2), [x(SHAPE, 0, 50)], ["f32", "u8"], {"dim": 1, "index": 2})
case("contiguous", lambda t: t.contiguous(), [x(SHAPE, 0, 50)], FLOATS + INTS)
for op, f, shape, args in [
    ("narrow", lambda t: t.narrow(0, 0, 0), [0, 3], {"dim": 0, "start": 0, "len": 0}),
    ("topk", lambda t: t.topk(2, 1)[0], [0, 3], {"k": 2, "dim": 1}),
    ("transpose_reshape", lambda t: t.transpose(0, -1).reshape(0, 4), [2, 0, 2], {"shape": [0, 4]}),
    ("repeat_interleave", lambda t: t.repeat_interleave(3, 1), [0, 2], {"repeats": 3, "dim": 1}),
    ("split_sizes", lambda t: t.split([0, 2], 1)[0], [3, 2], {"sizes": [0, 2], "dim": 1, "part": 0}),
    ("chunk", lambda t: t.chunk(2, 1)[1], [0, 4], {"chunks": 2, "dim": 1, "part": 1}),
    ("squeeze", lambda t: t.squeeze(1), [0, 1], {"dim": 1}),
    ("unsqueeze", lambda t: t.unsqueeze(1), [0, 2], {"dim": 1}),
    ("flatten", lambda t: t.flatten(0, 1), [2, 0, 3], {"start": 0, "end": 1}),
    ("flatten_all", lambda t: t.flatten(), [2, 0], {}),
    ("expand", lambda t: t.expand(0, 3), [1, 3], {"shape": [0, 3]}),
    ("broadcast_to", lambda t: t.broadcast_to(2, 0), [1, 0], {"shape": [2, 0]}),
    ("transpose", lambda t: t.transpose(0, 1), [0, 2], {"a": 0, "b": 1}),
    ("t", lambda t: t.t(), [0, 2], {}),
    ("select", lambda t: t.select(1, 0), [0, 2], {"dim": 1, "index": 0}),
    ("contiguous", lambda t: t.contiguous(), [0, 2], {}),
    ("pow_scalar", lambda t: t.pow(2.5), [0, 2], {"value": 2.5}),
    ("prod", lambda t: t.prod(0), [0, 2], {"dims": [0], "keep": False}),
]:
    case(op, f, [x(shape)], args=args, name=f"{op}_of_nothing")
for op, shape in {"flatten_all": [], "contiguous": [], "expand": [], "broadcast_to": [], "pow_scalar": []}.items():
    f = {"flatten_all": torch.flatten, "contiguous": torch.clone, "expand": lambda t: t.expand(2, 3),
         "broadcast_to": lambda t: t.expand(2, 3), "pow_scalar": lambda t: t.pow(3)}[op]
    case(op, f, [x(shape)], args={"shape": [2, 3], "value": 3}, name=f"{op}_of_scalar")
for op in ["eq", "ne", "lt", "le", "gt", "ge"]:
    for tag, shape in {"nothing": [0, 3], "scalar": []}.items():
        case(f"{op}_scalar", lambda t: getattr(torch, op)(t, 2), [x(shape, 0, 4)], args={"value": 2}, name=f"{op}_scalar_of_{tag}")

# ---- making tensors like one, or on its device in its dtype
for op, f, args in [
    ("zeros_like", torch.zeros_like, {}), ("ones_like", torch.ones_like, {}), ("full_like", lambda t: torch.full_like(t, 7), {"value": 7}),
    ("zeros", lambda t: torch.zeros(2, 3).to(t.dtype), {"shape": [2, 3]}), ("ones", lambda t: torch.ones(2, 3).to(t.dtype), {"shape": [2, 3]}),
    ("full", lambda t: torch.full((2, 0, 3), 7).to(t.dtype), {"shape": [2, 0, 3], "value": 7}),
    ("arange", lambda t: torch.arange(2, 9).to(t.dtype), {"start": 2, "end": 9}),
    ("arange_step", lambda t: torch.arange(9, 2, -2).to(t.dtype), {"start": 9, "end": 2, "step": -2}),
    ("eye", lambda t: torch.eye(4).to(t.dtype), {"n": 4}),
]:
    case(op, f, [x([2, 3], 0, 5)], FLOATS + INTS, args)
for op, f in {"tril_mask": torch.tril, "triu_mask": torch.triu}.items():
    for k in (-1, 0, 2):
        case(op, lambda t: f(torch.ones(4, 5), k).bool(), [x([1])], args={"rows": 4, "columns": 5, "diagonal": k}, name=f"{op}_{k}")
case("expand_as", lambda t, o: t.expand_as(o), [x([3, 1]), x([2, 3, 4])], ["f32", "f64"])
for part in (0, 1):
    case("broadcast_tensors", lambda t, o: torch.broadcast_tensors(t, o)[part], [x([3, 1]), x([4])], ["f32", "f64"], {"part": part}, name=f"broadcast_tensors_{part}")
