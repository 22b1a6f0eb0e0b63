"""onnxruntime's tokens a second on a model of llama_onnx.py: python onnxruntime_bench.py MODEL.onnx THREADS RUNS TOKENS.

Prints one line of JSON, in which each measurement has its runs.
"""

import json
import sys
import time

import numpy as np
import onnxruntime

PROMPTS = (128, 512)


def main(path: str, threads: int, runs: int, tokens: int) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    past = [i for i in session.get_inputs() if i.name.startswith("past_key_values.")]
    names = [o.name for o in session.get_outputs()]
    empty = {i.name: np.zeros([1, i.shape[1], 0, i.shape[3]], np.float32) for i in past}

    def forward(ids: np.ndarray, cache: dict) -> tuple[int, dict]:
        seen = next(iter(cache.values())).shape[2]
        feeds = {"input_ids": ids[None], "attention_mask": np.ones([1, seen + len(ids)], np.int64), **cache}
        outputs = dict(zip(names, session.run(None, feeds)))
        cache = {name: outputs[name.replace("past_key_values", "present")] for name in cache}
        return int(outputs["logits"][0, -1].argmax()), cache

    # The same walk through the vocabulary as `votive bench` takes (Knuth's multiplicative hash).
    prompt = lambda count: np.array([i * 2_654_435_761 % 49_152 for i in range(1, count + 1)], np.int64)
    found = {}
    for length in PROMPTS:
        speeds = []
        for _ in range(runs + 1):
            start = time.perf_counter()
            forward(prompt(length), empty)
            speeds.append(length / (time.perf_counter() - start))
        found[str(length)] = speeds[1:]
    speeds = []
    for _ in range(runs + 1):
        token, cache = forward(prompt(16), empty)
        start = time.perf_counter()
        for _ in range(tokens):
            token, cache = forward(np.array([token], np.int64), cache)
        speeds.append(tokens / (time.perf_counter() - start))
    found["decode"] = speeds[1:]
    print(json.dumps(found))


main(sys.argv[1], *(int(argument) for argument in sys.argv[2:5]))
