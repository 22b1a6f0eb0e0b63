"""What PyTorch prints for tensors, for the test of `{tensor}`.

Run:  python tests/generators/display.py > tests/golden/display.json     (torch >= 1.13)
"""

import json
import re

import torch

inf, nan = float("inf"), float("nan")
TYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64, "u8": torch.uint8}
cases = []


def case(name, tensor, scale=None):
    """With `scale` the values are that times 0, 1, 2 …, and not stored."""
    text = repr(tensor)
    # The values only: what follows them is said in another way.
    values = re.match(r"^tensor\((.*?)(,\s*(size|dtype|device)=.*)?\)$", text, re.S).group(1)
    dtype = next(k for k, v in TYPES.items() if v == tensor.dtype)
    flat = [repr(v) for v in tensor.reshape(-1).tolist()]
    cases.append({"name": name, "dtype": dtype, "shape": list(tensor.shape), "text": f"tensor({values}"})
    cases[-1].update({"values": flat} if scale is None else {"scale": scale})


def ramp(name, *shape, scale=1.0, dtype=torch.float32):
    n = 1
    for size in shape:
        n *= size
    case(name, (torch.arange(n, dtype=torch.float64) * scale).reshape(shape).to(dtype), scale)


for dtype in ("f32", "f64", "f16", "bf16"):
    t = TYPES[dtype]
    case(f"fractions {dtype}", torch.tensor([[1.0, 2.5], [-3.25, 40.125]], dtype=t))
    case(f"whole {dtype}", torch.tensor([1.0, -2.0, 30.0], dtype=t))
    case(f"scalar {dtype}", torch.tensor(3.14159, dtype=t))
    case(f"thirds {dtype}", torch.tensor([1 / 3, 2 / 3, 200 / 3], dtype=t))
case("whole scalar", torch.tensor(-7.0))
case("integer scalar", torch.tensor(12))
case("integers", torch.tensor([[1, -20], [300, 4]]))
case("bytes", torch.tensor([[1, 20], [200, 4]], dtype=torch.uint8))
case("not finite", torch.tensor([nan, inf, -inf, 1.0]))
case("not finite among fractions", torch.tensor([nan, inf, -inf, 1.5, -100.25]))
case("only not finite", torch.tensor([nan, inf]))
case("zeros", torch.zeros(2, 3))
case("minus zero", torch.tensor([-0.0, 1.5]))
case("minus zero whole", torch.tensor([-0.0, 1.0]))
case("wide range", torch.tensor([1e-3, 5.0, 2000.0]))
case("wide whole range", torch.tensor([1.0, 2000.0, 0.0]))
case("factor 1000", torch.tensor([1.0, 1000.0]))
case("small", torch.tensor([1e-5, 2e-5]))
case("tiny", torch.tensor([1.5e-310, 1e-300], dtype=torch.float64))
case("large", torch.tensor([1e9, 2.5e9]))
case("huge with nan", torch.tensor([1e20, nan, -3e22]))
case("ties", torch.tensor([0.00005, 0.00015, 0.5, 2.00005], dtype=torch.float64))
case("ties kept", torch.tensor([0.03125, 0.15625, 1.00390625, 2.00048828125]))
ramp("long line", 23, scale=0.25)
ramp("long line of integers", 40, dtype=torch.int64)
ramp("long rows", 2, 30, scale=0.5)
ramp("long scientific", 30, scale=1e-6)
ramp("three dimensions", 2, 2, 3, scale=0.5)
case("four dimensions", torch.arange(16).reshape(2, 2, 2, 2))
ramp("elided", 1001)
ramp("elided small numbers", 2000, scale=0.001)
ramp("elided integers", 5000, dtype=torch.int64)
ramp("elided matrix", 50, 60, scale=0.01)
ramp("elided rows", 300, 4, scale=0.5)
ramp("elided columns", 4, 300, scale=0.5)
ramp("elided three", 10, 9, 20, scale=0.25)
ramp("elided wide", 3, 7, 100, scale=-1e5)
ramp("thousand", 1000, scale=0.5)
ramp("column", 5, 1)
print(json.dumps(cases, separators=(",", ":")))
