"""Golden files for src/format: tests/golden/formats/.

    python -m venv venv && venv/bin/pip install numpy gguf==0.19.0 safetensors==0.8.0
    cargo xtask fetch --tests
    venv/bin/python tests/generators/formats.py tests/golden/formats $VOTIVE_MODELS

Writes small files with the gguf and safetensors packages, and what the gguf package reads in the two real models
(names, types, shapes, metadata, sha256 of some tensors' bytes) as JSON.
"""

import hashlib
import json
import pathlib
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from safetensors.numpy import save_file

out, models = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
rng = np.random.default_rng(7)
VT = gguf.GGUFValueType


def quantized(shape, kind):
    return gguf.quantize(rng.standard_normal(shape).astype(np.float32), kind)


TENSORS = {
    "scalar": (np.array([1.5], np.float32), None),
    "matrix": (np.arange(6, dtype=np.float32).reshape(2, 3), None),
    "half": (np.arange(10, dtype=np.float16).reshape(5, 2), None),
    "double": (np.arange(3, dtype=np.float64), None),
    "ints": (np.arange(4, dtype=np.int32) - 2, None),
    "longs": (np.arange(24, dtype=np.int64).reshape(2, 3, 4), None),
    "bytes": (np.arange(5, dtype=np.int8), None),
    "q4_0": (quantized((3, 64), T.Q4_0), T.Q4_0),
    "q8_0": (quantized((2, 96), T.Q8_0), T.Q8_0),
    "q5_1.weight": (quantized((1, 32), T.Q5_1), T.Q5_1),
}


def small(path, **split):
    w = gguf.GGUFWriter(path, "test", **split)
    if not split:  # the package aligns the parts so, but notes it in the first only
        w.add_custom_alignment(64)
    w.add_key_value("u8", 200, VT.UINT8)
    w.add_key_value("i8", -100, VT.INT8)
    w.add_key_value("u16", 60000, VT.UINT16)
    w.add_key_value("i16", -30000, VT.INT16)
    w.add_key_value("u32", 4000000000, VT.UINT32)
    w.add_key_value("i32", -2000000000, VT.INT32)
    w.add_key_value("u64", 2**63 + 5, VT.UINT64)
    w.add_key_value("i64", -(2**62), VT.INT64)
    w.add_key_value("f32", 0.5, VT.FLOAT32)
    w.add_key_value("f64", 1e300, VT.FLOAT64)
    w.add_key_value("yes", True, VT.BOOL)
    w.add_key_value("text", "naïve 模型 🙂", VT.STRING)
    w.add_key_value("empty", "", VT.STRING)
    w.add_array("strings", ["", "a", "é", "🙂" * 5])
    w.add_array("ints", [1, -2, 3])
    w.add_array("floats", [0.25, -1.0])
    w.add_array("bools", [True, False, True])
    w.add_key_value("bytes", bytes(range(7)), VT.ARRAY, VT.UINT8)
    w.add_array("nested", [[1, 2], [3]])
    for name, (data, kind) in TENSORS.items():
        w.add_tensor(name, data, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


small(out / "small.gguf")
small(out / "split.gguf", split_max_tensors=4)
for part in out.glob("split-*.gguf"):
    print("wrote", part.name)

SAFE = {
    "f32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "f16": np.arange(3, dtype=np.float16),
    "f64": np.arange(2, dtype=np.float64),
    "i64": np.arange(4, dtype=np.int64) - 2,
    "i32": np.arange(4, dtype=np.int32) - 2,
    "u32": np.arange(4, dtype=np.uint32) + 2**31,
    "u8": np.arange(5, dtype=np.uint8),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.array(2.5, np.float32),
}
save_file(SAFE, out / "small.safetensors", metadata={"format": "pt", "note": "naïve"})

expected = {name: hashlib.sha256(d.tobytes()).hexdigest() for name, (d, _) in TENSORS.items()}
(out / "small.json").write_text(json.dumps({"gguf": expected, "safetensors": {
    n: hashlib.sha256(d.tobytes()).hexdigest() for n, d in SAFE.items()}}, indent=1) + "\n")


def describe(path):
    reader = gguf.GGUFReader(path)
    metadata = {}
    for key, field in reader.fields.items():
        if key.startswith("GGUF."):
            continue
        value = field.contents()
        if isinstance(value, list):
            metadata[key] = {"len": len(value), "first": value[:3], "last": value[-3:]}
        else:
            metadata[key] = value
    tensors = []
    for index, t in enumerate(reader.tensors):
        # gguf gives ggml's order of sizes, innermost first.
        row = [t.name, t.tensor_type.name.lower(), [int(d) for d in reversed(t.shape)], int(t.data_offset)]
        if index % 16 == 0:
            row.append(hashlib.sha256(t.data.tobytes()).hexdigest())
        tensors.append(row)
    return {"metadata": metadata, "tensors": tensors}


for path in ["smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf", "gemma3-270m/gemma-3-270m-q4_k_m.gguf"]:
    found = describe(models / path)
    lines = ",\n".join(json.dumps(row) for row in found["tensors"])
    text = '{"metadata": %s,\n"tensors": [\n%s\n]}\n' % (json.dumps(found["metadata"]), lines)
    (out / (pathlib.Path(path).stem + ".json")).write_text(text)
