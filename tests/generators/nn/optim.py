"""Trajectories of optimisers and learning rates of schedules, from PyTorch.

Run:  python tests/generators/nn/optim.py      (numpy, torch >= 1.13, safetensors)

A tiny network is trained for 20 steps in f64 by each optimiser; stored are its parameters after every step. Lion, which
PyTorch lacks, is algorithm 2 of its paper (Chen et al. 2023), written out.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

STEPS = 20
torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
x, y = torch.randn(6, 4), torch.randn(6, 3)
start = [torch.randn(3, 4) * 0.5, torch.randn(3) * 0.5]


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * p.grad
                p.copy_(p - lr * (torch.sign(c) + decay * p))
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


O = torch.optim
RUNS = {
    "sgd": (O.SGD, {"lr": 0.1}),
    "sgd_decay": (O.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    "sgd_momentum": (O.SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    "sgd_nesterov": (O.SGD, {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    "adam": (O.Adam, {"lr": 0.02}),
    "adam_decay": (O.Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "adam_amsgrad": (O.Adam, {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True}),
    "adamw": (O.AdamW, {"lr": 0.02}),
    "adamw_decay": (O.AdamW, {"lr": 0.05, "betas": (0.8, 0.95), "weight_decay": 0.3}),
    "adamw_amsgrad": (O.AdamW, {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True}),
    "rmsprop": (O.RMSprop, {"lr": 0.02}),
    "rmsprop_momentum": (O.RMSprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-4, "momentum": 0.7, "weight_decay": 0.1}),
    "rmsprop_centered": (O.RMSprop, {"lr": 0.01, "alpha": 0.8, "centered": True, "momentum": 0.5}),
    "lion": (Lion, {"lr": 0.01}),
    "lion_decay": (Lion, {"lr": 0.02, "betas": (0.7, 0.9), "weight_decay": 0.2}),
}
golden = {"x": x, "y": y, "start.weight": start[0], "start.bias": start[1]}


def train(make):
    """Parameters after each step, as [STEPS, 15]; `make` gives the optimiser and, if any, its scheduler."""
    weight, bias = (t.clone().requires_grad_() for t in start)
    optimizer, scheduler = make(weight, bias)
    rows = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = ((torch.tanh(x @ weight.T + bias) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        rows.append(torch.cat([weight.detach().flatten(), bias.detach()]))
    return torch.stack(rows)


for name, (kind, options) in RUNS.items():
    golden[name] = train(lambda w, b: (kind([w, b], **options), None))


def grouped(weight, bias):
    optimizer = O.AdamW([{"params": [weight]}, {"params": [bias], "lr": 0.1, "weight_decay": 0.0}], lr=0.02, weight_decay=0.3)
    return optimizer, O.lr_scheduler.CosineAnnealingLR(optimizer, 12, 0.001)


golden["groups"] = train(grouped)

# ---- schedules: rates of 30 steps from a base of 0.1
S = O.lr_scheduler
SCHEDULES = {
    "linear": lambda o: S.LinearLR(o, 0.2, 0.9, 12),
    "step": lambda o: S.StepLR(o, 7, 0.3),
    "multistep": lambda o: S.MultiStepLR(o, [3, 11, 12], 0.5),
    "exponential": lambda o: S.ExponentialLR(o, 0.85),
    "cosine": lambda o: S.CosineAnnealingLR(o, 20, 0.01),
    # get_cosine_schedule_with_warmup of transformers, for 5 of 25 steps
    "warmup_cosine": lambda o: S.LambdaLR(o, lambda t: t / 5 if t < 5 else 0.5 * (1 + np.cos(np.pi * (t - 5) / 20))),
    # get_linear_schedule_with_warmup
    "warmup_linear": lambda o: S.LambdaLR(o, lambda t: t / 5 if t < 5 else max(0.0, (25 - t) / 20)),
}
for name, make in SCHEDULES.items():
    optimizer = O.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = make(optimizer)
    rates = []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    golden[f"rates.{name}"] = torch.tensor(rates)

target = Path(__file__).resolve().parents[2] / "golden" / "nn" / "optim.safetensors"
save_file({k: v.detach().contiguous().numpy() for k, v in golden.items()}, target, {"torch": torch.__version__})
print(target, target.stat().st_size)
