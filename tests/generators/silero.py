"""Golden values of Silero's voice activity detector on jfk.wav with silence around it, by its makers' own code for the weights
that we load: `silero_vad/tinygrad_model.py` with `silero_vad/data/silero_vad_16k.safetensors`. (The ONNX file of the same
package holds weights of another training and gives other probabilities.)

usage: silero.py SILERO_VAD [OUT]    (SILERO_VAD: the folder of the PyPI package silero-vad 6.2.3)
needs: tinygrad, numpy
"""

import json
import sys
import wave
from pathlib import Path

import numpy as np
from tinygrad import Tensor
from tinygrad.nn.state import load_state_dict, safe_load

PACKAGE = Path(sys.argv[1])
GOLDEN = Path(__file__).parents[1] / "golden"
OUT = Path(sys.argv[2] if len(sys.argv) > 2 else GOLDEN / "whisper/silero.json")

sys.path.insert(0, str(PACKAGE))
from tinygrad_model import TinySileroVAD  # noqa: E402

with wave.open(str(GOLDEN / "audio/jfk.wav")) as file:
    jfk = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
samples = np.concatenate([np.zeros(16000, np.float32), jfk, np.zeros(16000, np.float32)])
model = TinySileroVAD()
load_state_dict(model, safe_load(PACKAGE / "data/silero_vad_16k.safetensors"), verbose=False)
state, context, probabilities = None, np.zeros(64, np.float32), []
for at in range(0, len(samples) - 511, 512):
    chunk = samples[at : at + 512]
    out, state = model(Tensor(np.concatenate([context, chunk])[None]), state)
    state = Tensor(state.numpy())
    context = chunk[-64:]
    probabilities.append(round(float(out.numpy()[0, 0]), 7))
OUT.write_text(json.dumps({"probabilities": probabilities}) + "\n")
print(len(probabilities), "chunks, speech in", sum(p > 0.5 for p in probabilities))
