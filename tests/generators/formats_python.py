"""Golden files for src/format/npy.rs and src/format/pytorch: tests/golden/formats/python/.

    python -m venv venv && venv/bin/pip install numpy==1.24.4 torch==1.13.1
    venv/bin/python tests/generators/formats_python.py tests/golden/formats/python

Writes small files with NumPy and PyTorch, and what is in them as JSON: for each tensor its dtype here, its shape, and the
sha256 of its elements in row-major order.
"""

import argparse
import collections
import hashlib
import io
import json
import pathlib
import pickle
import sys
import zipfile

import numpy as np
import torch

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
expected = {}

OURS = {"int8": "i32", "int16": "i32", "uint16": "i32", "bool": "u8", "float32": "f32", "float16": "f16",
        "float64": "f64", "int64": "i64", "int32": "i32", "uint32": "u32", "uint8": "u8", "bfloat16": "bf16"}
SHORT = {"f32": "<f4", "f16": "<f2", "f64": "<f8", "i64": "<i8", "i32": "<i4", "u32": "<u4", "u8": "|u1"}


def described(array):
    if isinstance(array, torch.Tensor):
        array = array.detach()
        name = str(array.dtype).removeprefix("torch.")
        if name == "bfloat16":
            data = array.contiguous().view(torch.int16).numpy().tobytes()
            return {"dtype": "bf16", "shape": list(array.shape), "sha256": hashlib.sha256(data).hexdigest()}
        array = array.numpy()
    ours = OURS[array.dtype.name]
    data = np.ascontiguousarray(array).astype(SHORT[ours]).tobytes()
    return {"dtype": ours, "shape": list(array.shape), "sha256": hashlib.sha256(data).hexdigest()}


# NumPy

matrix = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
ARRAYS = {
    "f4": matrix,
    "f2": matrix.astype(np.float16),
    "f8": matrix.astype(np.float64),
    "i8": np.arange(5, dtype=np.int64) - 2,
    "i4": np.arange(5, dtype=np.int32) - 2,
    "u4": np.arange(5, dtype=np.uint32) + 2**31,
    "u1": np.arange(5, dtype=np.uint8),
    "b1": np.array([True, False, True]),
    "i1": np.array([-128, -1, 0, 127], np.int8),
    "i2": np.array([-32768, -1, 0, 32767], np.int16),
    "u2": np.array([0, 1, 65535], np.uint16),
    "big_f4": matrix.astype(">f4"),
    "big_i8": (np.arange(5) - 2).astype(">i8"),
    "big_u2": np.array([0, 1, 65535], ">u2"),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4)),
    "big_fortran": np.asfortranarray(matrix.astype(">f8")),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "one": np.ones((1,), np.float64),
}
for name, array in ARRAYS.items():
    np.save(out / f"{name}.npy", array)
    expected[f"{name}.npy"] = {name: described(array)}
for version in [(2, 0), (3, 0)]:
    name = f"version{version[0]}"
    with open(out / f"{name}.npy", "wb") as f:
        np.lib.format.write_array(f, matrix, version=version)
    expected[f"{name}.npy"] = {name: described(matrix)}
np.savez(out / "stored.npz", **ARRAYS)
expected["stored.npz"] = {n: described(a) for n, a in ARRAYS.items()}
large = {"large": np.arange(3000, dtype=np.int32), "noise": np.random.default_rng(1).random((20, 25)), **ARRAYS}
np.savez_compressed(out / "deflated.npz", **large)
expected["deflated.npz"] = {n: described(a) for n, a in large.items()}
np.save(out / "complex.npy", np.array([1j]))
np.save(out / "records.npy", np.zeros(2, [("a", "f4"), ("b", "i4")]))
np.save(out / "objects.npy", np.array([{}, None], object), allow_pickle=True)

# PyTorch

torch.manual_seed(0)
base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 4
TENSORS = {name: base.to(getattr(torch, name)) for name in
           ["float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]}
STATE = collections.OrderedDict(
    **TENSORS,
    transposed=base.t(),
    narrowed=base[1:3, 2:5],
    stepped=base[::2, ::3],
    row=base[2],
    element=base[3, 3],
    repeated=base[0, :3].expand(2, 3),
    transposed_bfloat16=TENSORS["bfloat16"].t(),
    transposed_int8=TENSORS["int8"].t(),
    parameter=torch.nn.Parameter(base[:1].clone()),
    empty=torch.zeros(0, 3),
)


def nested():
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.5)
    module(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    return {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "name": "tiny é",
            "best": 0.25, "done": False, "nothing": None, "list": [base[0], (base[1], 5)], "size": base.shape,
            "device": torch.device("cpu")}


def flat(value, path=""):
    """As src/format/pytorch/flatten.rs: names of tensors, and the numbers and texts."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from flat(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from flat(part, f"{path}.{index}" if path else str(index))


def save(file, value, **options):
    torch.save(value, out / file, **options)
    expected[file] = {n or "tensor": described(t) for n, t in flat(value)}


save("state.pt", STATE)
save("legacy.pth", STATE, _use_new_zipfile_serialization=False)
whole = nested()
save("nested.pt", whole)
save("nested_legacy.bin", whole, _use_new_zipfile_serialization=False)
save("protocol4.pt", whole, pickle_protocol=4)
save("protocol5.pt", {"a": base, "b": base.t()}, pickle_protocol=5)
save("tensor.pt", base)
first, second = {"a": base, "shared": base[1]}, {"b.weight": base.t().contiguous()}
save("pytorch_model-00001-of-00002.bin", first)
save("pytorch_model-00002-of-00002.bin", second)
(out / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": {
    "a": "pytorch_model-00001-of-00002.bin", "shared": "pytorch_model-00001-of-00002.bin",
    "b.weight": "pytorch_model-00002-of-00002.bin"}}))
# Packed again by someone: entries deflated.
with zipfile.ZipFile(out / "state.pt") as source, zipfile.ZipFile(out / "packed.pt", "w", zipfile.ZIP_DEFLATED) as target:
    for entry in source.infolist():
        target.writestr(entry.filename, source.read(entry))
expected["packed.pt"] = expected["state.pt"]

# What must be refused.


class Evil:
    def __reduce__(self):
        import os
        return os.system, ("touch pwned",)


torch.save({"w": base, "x": Evil()}, out / "evil.pt")
torch.save({"w": base, "x": Evil()}, out / "evil_legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"args": argparse.Namespace(a=1), "w": base}, out / "namespace.pt")
torch.save(torch.nn.Linear(2, 2), out / "module.pt")
torch.jit.script(torch.nn.Linear(2, 2)).save(out / "script.pt")
(out / "other.pt").write_bytes(pickle.dumps({"a": 1}))
torch.save({"c": torch.zeros(2, dtype=torch.complex64), "w": base}, out / "complex.pt")

(out / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
