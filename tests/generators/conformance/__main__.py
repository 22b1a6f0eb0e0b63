"""Golden values of the conformance suite, from PyTorch.

Run:  python tests/generators/conformance [base conv …]      (numpy, torch >= 1.13, safetensors; no name: all of them)

The list of cases is in the files beside this one and nowhere else: it travels in the golden file's metadata as JSON. A
case names an operation, its arguments and its inputs; inputs are made by a counter-based hash on both sides (`values` in
common.py, `input` in src/conformance/), so that only results are stored. f16 and bf16 inputs are rounded to their dtype
and computed in f32.
"""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOMS = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in ("common", "__main__"))

if len(sys.argv) == 2:
    import common

    import_module(sys.argv[1])
    common.save(sys.argv[1])
else:
    # A process for each: the files fill the lists of common.py when they are imported.
    for room in sys.argv[1:] or ROOMS:
        subprocess.run([sys.executable, str(Path(__file__).parent), room], check=True)
