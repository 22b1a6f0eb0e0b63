"""What the cases of all rooms are made with: inputs by a hash, results and gradients by PyTorch, golden files."""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

torch.set_num_threads(1)
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "conformance"
FLOATS = ["f32", "f16", "bf16", "f64"]
INTS = ["i64", "i32", "u32", "u8"]
TORCH = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64,
         "i64": torch.int64, "i32": torch.int32, "u32": torch.int64, "u8": torch.uint8}
# Gradients are stored of cases whose floating inputs have at most so many elements, to keep the files small.
GRADIENT_LIMIT = {"f32": 1024, "f64": 128, "f16": 128, "bf16": 128}

# Gradients of gradients are stored of the first f64 case of each operation with at most so many elements.
SECOND_LIMIT = 64

cases, golden, expanded, edged, seconds, counts = [], {}, set(), set(), set(), [0, 0]


# Left out of the list of cases.
DEFAULTS = [("low", -2.0), ("high", 2.0)]


def values(seed, shape, low, high, dtype):
    """Element i is a hash of (seed, i), scaled to low..high; integers are rounded down."""
    n = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        x = (np.arange(n, dtype=np.uint32) + np.uint32(seed) * np.uint32(0x9E3779B9)).astype(np.uint32)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            x = ((x ^ (x >> np.uint32(shift))) * np.uint32(factor)).astype(np.uint32)
        x ^= x >> np.uint32(16)
    unit = (x >> np.uint32(8)).astype(np.float64) / (1 << 24)
    v = low + (high - low) * unit
    if dtype in INTS:
        v = np.floor(v)
    elif dtype != "f64":
        v = v.astype(np.float32)  # through f32, as the engine does
    return torch.from_numpy(np.ascontiguousarray(v).reshape(shape)).to(TORCH[dtype])


def x(shape, low=-2.0, high=2.0, dtype=None, expand=None):
    """An input; dtype None means the dtype of the case. `expand`: broadcast to this shape, without a copy."""
    return {"shape": shape, "low": low, "high": high, "dtype": dtype, "expand": expand}


def case(op, f, inputs, dtypes=("f32",), args=None, name=None, tolerance=None, gradient=True, second=True, expand=True, edges=True, twin=False):
    """Adds one case for each dtype, named `name/dtype`. `f` gets the inputs as tensors (half precision as f32).

    Where PyTorch differentiates `f`, the gradient of `sum(f(..) * w)` to each floating input is stored as well;
    `gradient=False` for operations that have none by intent, or for inputs at points where there is none. `second=False`
    where the gradient's own gradient is not to be compared (it has none, or jumps).
    The first f32 case of each `op` has a twin whose inputs are broadcast (`name_expanded/f32`); `expand=False` for
    operations whose result is not determined on inputs with equal slices. It has twins of empty and zero-dimensional
    inputs too, where PyTorch takes them; `edges=False` where this crate does not, by intent.
    """
    for dtype in dtypes:
        # Twins count apart, so that one more does not change the inputs of the cases after it.
        seed = counts[twin] * 4 + 1 + (twin << 19)
        counts[twin] += 1
        specs, tensors = [], []
        for i, spec in enumerate(inputs):
            spec = {**spec, "dtype": spec["dtype"] or dtype, "seed": seed + i}
            t = values(spec["seed"], spec["shape"], spec["low"], spec["high"], spec["dtype"])
            if spec["expand"] is not None:
                t = t.expand(spec["expand"])
            if spec["dtype"] in ("f16", "bf16"):
                t = t.float()
            tensors.append(t)
            assert spec["low"] >= 0 or spec["dtype"] not in ("u8", "u32"), f"{name or op}: unsigned inputs below zero"
            specs.append({k: v for k, v in spec.items() if v is not None and (k, v) not in DEFAULTS})
        out = f(*tensors)
        key = f"{name or op}/{dtype}"
        assert key not in golden, key
        made = {"name": key, "op": op, "dtype": dtype, "inputs": specs}
        if args:
            made["args"] = args
        if tolerance:
            made["tolerance"] = tolerance
        if gradient:
            made.update(gradients(op, f, key, dtype, seed, tensors, second))
        golden[key] = (out.to(torch.uint8) if out.dtype == torch.bool else out.detach()).contiguous().numpy()
        cases.append(made)
    if expand and op not in expanded and "f32" in dtypes:
        add_expanded(op, f, inputs, args, name, tolerance, gradient, second)
    if edges and not twin and op not in edged and "f32" in dtypes:
        edged.add(op)
        add_edges(op, f, inputs, args, name, tolerance, gradient, second)


def add_expanded(op, f, inputs, args, name, tolerance, gradient, second):
    """The broadcast twin: the first dimension of each input that is larger than 1 is read again and again."""
    twins = []
    for spec in inputs:
        wide = [i for i, n in enumerate(spec["shape"]) if n > 1]
        if spec["expand"] is None and wide and spec["dtype"] not in INTS:
            one = [1 if i == wide[0] else n for i, n in enumerate(spec["shape"])]
            spec = {**spec, "shape": one, "expand": spec["shape"]}
        twins.append(spec)
    if twins != inputs and all(np.prod(spec["shape"], dtype=np.int64) <= 4096 for spec in inputs):
        expanded.add(op)
        case(op, f, twins, ["f32"], args, f"{name or op}_expanded", tolerance, gradient, second, expand=False, twin=True)


def add_edges(op, f, inputs, args, name, tolerance, gradient, second):
    """Twins with nothing in them (the first dimension is 0 for which PyTorch has a result, of the first input and of the
    others that share it) and, of operations without dimensions, with zero-dimensional inputs."""
    first = inputs[0]["shape"]
    for dim in range(len(first)):
        if first[dim] == 0 or any(spec["expand"] for spec in inputs):
            break
        shares = [len(spec["shape"]) == len(first) and spec["shape"][dim] == first[dim] for spec in inputs]
        twins = [{**spec, "shape": [0 if i == dim else n for i, n in enumerate(spec["shape"])]} if shared else spec
                 for spec, shared in zip(inputs, shares)]
        if attempt(op, f, twins, args, f"{name or op}_edge_empty", tolerance, gradient, second):
            break
    if not args and all(spec["expand"] is None for spec in inputs):
        attempt(op, f, [{**spec, "shape": []} for spec in inputs], args, f"{name or op}_edge_scalar", tolerance, gradient, second)


def attempt(op, f, inputs, args, name, tolerance, gradient, second):
    """Adds a twin if PyTorch takes its inputs."""
    before = len(cases), list(golden), list(counts)
    try:
        case(op, f, inputs, ["f32"], args, name, tolerance, gradient, second, expand=False, twin=True)
        return True
    except Exception:
        del cases[before[0]:]
        for key in set(golden) - set(before[1]):
            del golden[key]
        counts[:] = before[2]
        return False


def gradients(op, f, key, dtype, seed, tensors, second):
    """Stores the gradients of a case, if it has them: computed in f64, where PyTorch's own rounding plays no part."""
    leaves = [t.detach().double().requires_grad_() if t.is_floating_point() else t for t in tensors]
    floating = [i for i, t in enumerate(leaves) if t.is_floating_point()]
    if dtype not in GRADIENT_LIMIT or not floating or sum(leaves[i].numel() for i in floating) > GRADIENT_LIMIT[dtype]:
        return {}
    out = f(*leaves)
    if not (out.is_floating_point() and out.requires_grad):
        return {}
    wanted = [leaves[i] for i in floating]
    w = values(seed + (1 << 20), list(out.shape), -1, 1, "f64")
    found = torch.autograd.grad((out * w).sum(), wanted, create_graph=True, allow_unused=True)
    made = {"seed": seed + (1 << 20), "inputs": [], "second": []}
    for i, g in zip(floating, found):
        if g is not None:
            if dtype in ("f32", "f64"):  # half precision is compared with what the engine computes in f32
                golden[f"{key} gradient {i}"] = stored(g, dtype)
            made["inputs"].append(i)
    if not second:
        made["once"] = True
    elif dtype == "f64" and op not in seconds and sum(t.numel() for t in wanted) <= SECOND_LIMIT:
        seconds.add(op)
        # Of the sum of all gradients, each times weights of its own.
        weighed = [(g * values(seed + (2 << 20) + i, list(g.shape), -1, 1, "f64")).sum()
                   for i, g in zip(floating, found) if g is not None and g.requires_grad]
        if weighed:
            for i, g in zip(floating, torch.autograd.grad(sum(weighed), wanted, allow_unused=True)):
                if g is not None:
                    golden[f"{key} second {i}"] = stored(g, dtype)
                    made["second"].append(i)
    return {"gradient": {k: v for k, v in made.items() if v != []}}


def stored(g, dtype):
    # Added to zeros: some gradients are zero tensors without memory, whose numpy() reads what happens to be there.
    return (torch.zeros(g.shape, dtype=g.dtype) + g.detach()).to(TORCH[dtype]).contiguous().numpy()


def rms(t, w):
    return t * torch.rsqrt(t.square().mean(-1, keepdim=True) + 1e-5) * w


def rope(t, cos, sin, interleaved):
    r = cos.shape[-1] * 2
    head, rest = t[..., :r], t[..., r:]
    if interleaved:
        z = torch.view_as_complex(head.reshape(*head.shape[:-1], -1, 2).contiguous()) * torch.complex(cos, sin)
        out = torch.view_as_real(z).flatten(-2)
    else:
        turned = torch.cat([-head[..., r // 2:], head[..., : r // 2]], -1)
        out = head * torch.cat([cos, cos], -1) + turned * torch.cat([sin, sin], -1)
    return torch.cat([out, rest], -1)


def save(room):
    """Writes the golden file of a room: results by name, the list of cases as JSON in the metadata."""
    GOLDEN.mkdir(exist_ok=True)
    path = GOLDEN / f"{room}.safetensors"
    save_file(golden, path, metadata={"cases": json.dumps(cases, separators=(",", ":"))})
    path.chmod(0o644)
    differentiable = sum("gradient" in c for c in cases)
    print(f"{room}: {len(cases)} cases, {differentiable} with gradients, {path.stat().st_size} bytes")
