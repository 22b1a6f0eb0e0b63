"""Golden values of Silero's voice activity detector on jfk.wav with silence around it, by onnxruntime.

usage: silero.py MODELS_DIR [OUT]    (MODELS_DIR holds silero-vad/silero_vad.onnx of the PyPI package silero-vad 6.2.3)
needs: onnxruntime, numpy
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
import onnxruntime

MODELS = Path(sys.argv[1])
GOLDEN = Path(__file__).parents[1] / "golden"
OUT = Path(sys.argv[2] if len(sys.argv) > 2 else GOLDEN / "whisper/silero.json")

with wave.open(str(GOLDEN / "audio/jfk.wav")) as file:
    jfk = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
samples = np.concatenate([np.zeros(16000, np.float32), jfk, np.zeros(16000, np.float32)])
session = onnxruntime.InferenceSession(str(MODELS / "silero-vad/silero_vad.onnx"), providers=["CPUExecutionProvider"])
state, context, probabilities = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
for at in range(0, len(samples) - 511, 512):
    chunk = samples[at : at + 512]
    heard = np.concatenate([context, chunk])[None]
    out, state = session.run(None, {"input": heard, "state": state, "sr": np.array(16000, np.int64)})
    context = chunk[-64:]
    probabilities.append(round(float(out[0, 0]), 7))
OUT.write_text(json.dumps({"probabilities": probabilities}) + "\n")
print(len(probabilities), "chunks, speech in", sum(p > 0.5 for p in probabilities))
