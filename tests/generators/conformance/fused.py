"""Operations fused of several layers, as transformers have them: projections with their norm, activation, residual; heads."""

from common import *

HALVES = ["f32", "f16", "bf16"]


def linears(*t, norm=False):
    t = list(t)
    y = t.pop(0)
    if norm:
        y = rms(y, t.pop(0))
    return torch.cat([F.linear(y, w) for w in t], -1)


def gated_linears(*t, norm=False, gate=F.silu):
    t = list(t)
    y = t.pop(0)
    if norm:
        y = rms(y, t.pop(0))
    return gate(F.linear(y, t[0])) * F.linear(y, t[1])


def heads(t, cos, sin, *norms, queries, keys, interleaved):
    b, n, width = t.shape
    count = queries + 2 * keys
    t = t.reshape(b, n, count, width // count).transpose(1, 2)
    q, k, v = t.split([queries, keys, keys], 1)
    if norms:
        q, k = rms(q, norms[0]), rms(k, norms[1])
    return torch.cat([rope(q, cos, sin, interleaved), rope(k, cos, sin, interleaved), v], 1)


# Rows: one, some and many; widths that are and are not multiples of what kernels take at a time.
for name, (rows, k) in {"row": ([1], 64), "rows": ([2, 3], 20), "many": ([37], 36)}.items():
    scale = x([k], 0.5, 1.5)
    w = lambda n: x([n, k], -0.5, 0.5)
    for norm in (False, True):
        tag, args = f"{name}{'_norm' if norm else ''}", {"eps": 1e-5} if norm else {}
        inputs = [x([*rows, k]), *([scale] if norm else [])]
        edges = not norm
        case("linears", lambda *t: linears(*t, norm=norm), [*inputs, w(12), w(5), w(7)], HALVES, args, name=f"linears_{tag}", edges=edges)
        # Computed in parts, the norm, both products and the gate are rounded each: four times what one result is allowed.
        for dtype, tolerance in {"f32": None, "f16": 6e-3, "bf16": 4.8e-2}.items():
            case("gated_linears", lambda *t: gated_linears(*t, norm=norm), [*inputs, w(11), w(11)], [dtype],
                 {**args, "gate": "silu"}, name=f"gated_linears_{tag}", tolerance=tolerance, edges=edges)
    case("linear_add", lambda t, w, r: r + F.linear(t, w), [x([*rows, k]), w(9), x([*rows, 9])], HALVES, name=f"linear_add_{name}")
    case("rms_norm_add", lambda t, w, r: r + rms(t, w), [x([*rows, k]), scale, x([*rows, k])], HALVES, {"eps": 1e-5},
         name=f"rms_norm_add_{name}")
case("linears", lambda *t: linears(*t, norm=True), [x([3, 32]), x([32], 0.5, 1.5), x([8, 32])], args={"eps": 1e-5}, name="linears_one")
for name, dtypes in {"f16": ["f16", "f16", "f16"], "mixed": ["f16", "f32", "bf16"]}.items():
    weights = [x([n, 32], -0.5, 0.5, dtype) for n, dtype in zip([6, 4, 4], dtypes)]
    case("linears", lambda *t: linears(*t, norm=True), [x([2, 32]), x([32], 0.5, 1.5), *weights], args={"eps": 1e-5},
         name=f"linears_by_{name}")
for gate, f in {"gelu": F.gelu, "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"), "relu": F.relu}.items():
    case("gated_linears", lambda *t: gated_linears(*t, norm=True, gate=f),
         [x([2, 24]), x([24], 0.5, 1.5), x([6, 24], -0.5, 0.5), x([6, 24], -0.5, 0.5)], args={"eps": 1e-5, "gate": gate},
         name=f"gated_linears_{gate}", second=gate != "relu")
for interleaved in (False, True):
    for name, (b, t, d, half) in {"step": (1, 1, 16, 8), "batch": (2, 3, 8, 4), "partial": (1, 5, 12, 4)}.items():
        for norm in (False, True):
            queries, keys = (4, 2) if name != "partial" else (2, 1)
            tag = f"{'interleaved' if interleaved else 'half'}_{name}{'_norm' if norm else ''}"
            args = {"queries": queries, "keys": keys, "interleaved": interleaved, **({"eps": 1e-5} if norm else {})}
            norms = [x([d], 0.5, 1.5), x([d], 0.5, 1.5)] if norm else []
            case("heads", lambda *a: heads(*a, queries=queries, keys=keys, interleaved=interleaved),
                 [x([b, t, (queries + 2 * keys) * d]), x([t, half], -1, 1), x([t, half], -1, 1), *norms], HALVES, args,
                 name=f"heads_{tag}", edges=False)
