"""Golden values for src/text/sampler.rs: tests/golden/text_sampling.json.

    python -m venv venv && venv/bin/pip install torch transformers==4.44.2
    venv/bin/python tests/generators/text_sampling.py tests/golden/text_sampling.json

The probabilities that transformers' own processors and warpers leave, in the order in which `generate` applies them.
transformers has no frequency and presence penalty: those two follow the formula in OpenAI's API reference.
"""

import json
import sys

import torch
from transformers.generation import logits_process as lp

VOCAB = 300
torch.manual_seed(5)
logits = (torch.randn(VOCAB) * 2.5).round(decimals=3)
prompt = [3, 17, 17, 200, 42]
answer = [42, 9, 9, 9, 250]

CASES = [
    {"temperature": 1.0},
    {"temperature": 0.7},
    {"temperature": 1.6, "topK": 1},
    {"temperature": 1.0, "topK": 40},
    {"temperature": 0.8, "topP": 0.9},
    {"temperature": 1.0, "topP": 0.05},
    {"temperature": 2.0, "topP": 0.999},
    {"temperature": 1.0, "minP": 0.05},
    {"temperature": 1.0, "typicalP": 0.5},
    {"temperature": 1.3, "typicalP": 0.95},
    {"temperature": 1.0, "repetitionPenalty": 1.3},
    {"temperature": 1.0, "repetitionPenalty": 0.8, "topK": 20},
    {"temperature": 1.0, "repetitionPenalty": 1.5, "repetitionWindow": 3},
    {"temperature": 1.0, "frequencyPenalty": 0.7, "presencePenalty": 0.4},
    {"temperature": 0.9, "logitBias": {"7": 4.5, "250": -3.0, "1": float("-inf")}, "topP": 0.8},
    {"temperature": 0.8, "topK": 50, "topP": 0.95, "minP": 0.02, "repetitionPenalty": 1.1},
    {"temperature": 1.2, "topK": 100, "topP": 0.9, "typicalP": 0.7, "frequencyPenalty": -0.5},
]

rows = []
for o in CASES:
    scores = logits.clone().unsqueeze(0)
    for token, bias in o.get("logitBias", {}).items():
        scores[0, int(token)] += bias
    seen = prompt + answer
    window = o.get("repetitionWindow", 0)
    if "repetitionPenalty" in o:
        ids = torch.tensor([seen[-window:] if window else seen])
        scores = lp.RepetitionPenaltyLogitsProcessor(o["repetitionPenalty"])(ids, scores)
    for token in set(answer):
        scores[0, token] -= answer.count(token) * o.get("frequencyPenalty", 0.0) + o.get("presencePenalty", 0.0)
    ids = torch.tensor([seen])
    scores = lp.TemperatureLogitsWarper(o["temperature"])(ids, scores) if o["temperature"] != 1.0 else scores
    for name, warper in [("topK", lp.TopKLogitsWarper), ("topP", lp.TopPLogitsWarper), ("minP", lp.MinPLogitsWarper), ("typicalP", lp.TypicalLogitsWarper)]:
        if name in o:
            scores = warper(o[name])(ids, scores)
    p = torch.softmax(scores[0].double(), -1)
    kept = [[i, p[i].item()] for i in range(VOCAB) if p[i] > 0]
    if "logitBias" in o:
        o = o | {"logitBias": {k: (v if v != float("-inf") else "-Infinity") for k, v in o["logitBias"].items()}}
    rows.append({"options": o, "probabilities": kept})

json.dump({"logits": [round(x, 3) for x in logits.tolist()], "prompt": prompt, "answer": answer, "rows": rows}, open(sys.argv[1], "w"), separators=(",", ":"))
