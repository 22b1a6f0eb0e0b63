"""Golden values for src/quant: tests/golden/quant.safetensors.

    python -m venv venv && venv/bin/pip install numpy gguf==0.19.0 safetensors
    venv/bin/pip download --no-deps pywhispercpp==1.5.1 && unzip -d ggml pywhispercpp-1.5.1-*.whl
    venv/bin/python tests/generators/quant.py ggml/libggml-base.so tests/golden/quant.safetensors

The gguf package is the reference for dequantization, and for quantization to Q4_0 … Q8_0. It lacks Q8_1, Q8_K and
quantization to the K formats: those come from ggml itself (the library inside the wheel above, called by ctypes).
"""

import ctypes
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors.numpy import save_file

ggml = ctypes.CDLL(sys.argv[1])
rng = np.random.default_rng(2)
out = {}
# the package still lists Q8_1 with f32 scales; in ggml they have been f16 since 2023
SIZES = gguf.GGML_QUANT_SIZES | {T.Q8_1: (32, 36)}


def call(function, source, result, values):
    f = getattr(ggml, function)
    f.restype = None
    f.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    f(source.ctypes.data, result.ctypes.data, values)
    return result


def put_scales(blocks, offsets):
    """Random bytes make f16 scales of NaN and infinity: put ordinary ones in their place."""
    for at in offsets:
        scales = rng.normal(0, 0.05, len(blocks)).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)


SCALES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q8_1: [0, 2],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.Q8_K: [],
}
for kind, offsets in SCALES.items():
    length, size = SIZES[kind]
    count = 1024 // length
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    put_scales(blocks, offsets)
    if kind == T.Q8_K:
        blocks[:, :4] = rng.normal(0, 0.05, count).astype(np.float32).view(np.uint8).reshape(-1, 4)
        values = call("dequantize_row_q8_K", blocks, np.empty(1024, np.float32), 1024)
    elif kind == T.Q8_1:  # nobody dequantizes these; they are Q8_0 with a sum between scale and numbers
        values = gguf.dequantize(np.delete(blocks, [2, 3], axis=1).ravel(), T.Q8_0)
    else:
        values = gguf.dequantize(blocks.ravel(), kind)
    out[f"{kind.name.lower()}.blocks"] = blocks.ravel()
    out[f"{kind.name.lower()}.values"] = values.ravel()

# What to quantize: bell-shaped, with a few outliers, an all-zero block, an all-positive one and a tiny one.
x = rng.normal(0, 0.04, 4096).astype(np.float32)
x[rng.integers(0, 4096, 24)] *= 8
x[256:512] = 0
x[512:768] = abs(x[512:768]) + 0.1
x[768:1024] *= 1e-3
out["input"] = x
for kind in SCALES:
    length, size = SIZES[kind]
    name = kind.name.lower()
    if kind in (T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0):
        out[f"{name}.quantized"] = gguf.quantize(x, kind)
    else:
        result = np.zeros(len(x) // length * size, np.uint8)
        call(f"quantize_row_{kind.name.replace('Q8_1', 'q8_1').replace('Q', 'q')}_ref", x, result, len(x))
        out[f"{name}.quantized"] = result
save_file(out, sys.argv[2])
