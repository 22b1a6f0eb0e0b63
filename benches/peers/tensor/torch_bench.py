"""The cases of src/main.rs in PyTorch: one line of JSON for each, milliseconds, the median of ROUNDS batches.

Usage: torch_bench.py THREADS ROUNDS [FILTER]
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

THREADS, ROUNDS = int(sys.argv[1]), int(sys.argv[2])
FILTER = sys.argv[3] if len(sys.argv) > 3 else ""
torch.set_num_threads(THREADS)
torch.manual_seed(1)
# As in main.rs: processor time with one thread, else the clock.
now = time.process_time if THREADS == 1 else time.perf_counter


def matmul(batch, m, k, n):
    a, b = (torch.rand(*s) * 2 - 1 for s in (((batch, m, k), (batch, k, n)) if batch > 1 else ((m, k), (k, n))))
    return lambda: a @ b


def softmax(rows, columns):
    x = torch.rand(rows, columns) * 2 - 1
    return lambda: x.softmax(-1)


def layer_norm(rows, columns):
    x, w, b = torch.rand(rows, columns), torch.rand(columns), torch.rand(columns)
    return lambda: F.layer_norm(x, [columns], w, b, 1e-5)


def conv2d(n, c, size, o):
    x, w = torch.rand(n, c, size, size), torch.rand(o, c, 3, 3)
    return lambda: F.conv2d(x, w, padding=1)


def training_step(batch, sizes):
    x = torch.rand(batch, sizes[0]) * 2 - 1
    targets = torch.arange(batch) * 7 % sizes[3]
    layers = [torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)

    def step():
        optimiser.zero_grad()
        F.cross_entropy(model(x), targets).backward()
        optimiser.step()

    return step


CASES = {
    "matmul 1024 x 1024 x 1024": (matmul, (1, 1024, 1024, 1024)),
    "matmul 128 x 768 x 3072": (matmul, (1, 128, 768, 3072)),
    "matmul 1 x 2048 x 2048": (matmul, (1, 1, 2048, 2048)),
    "matmul 16 of 128 x 64 x 128": (matmul, (16, 128, 64, 128)),
    "softmax 1024 x 1024": (softmax, (1024, 1024)),
    "layer norm 1024 x 768": (layer_norm, (1024, 768)),
    "conv2d 4 x 64 x 56 x 56 by 64 of 3 x 3": (conv2d, (4, 64, 56, 64)),
    "training step, 128 of 784-512-512-10": (training_step, (128, [784, 512, 512, 10])),
}


def timed(run, runs):
    start = now()
    for _ in range(runs):
        run()
    return (now() - start) / runs


for name, (make, sizes) in CASES.items():
    if FILTER not in name:
        continue
    run = make(*sizes)
    with torch.set_grad_enabled(make is training_step):
        timed(run, 3)
        runs = max(1, round(0.03 / timed(run, 3)))
        ms = statistics.median(timed(run, runs) for _ in range(ROUNDS)) * 1e3
    print(json.dumps({"case": name, "engine": "pytorch", "ms": round(ms, 5)}), flush=True)
