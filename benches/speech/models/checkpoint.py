"""Whisper checkpoints of Hugging Face's layout, as numpy arrays."""

import json
import struct
from pathlib import Path

import numpy as np


class Checkpoint:
    """A folder with config.json, tokenizer.json and model.safetensors."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        raw = np.memmap(folder / "model.safetensors", np.uint8, "r")
        (length,) = struct.unpack("<Q", raw[:8].tobytes())
        head = json.loads(raw[8 : 8 + length].tobytes())
        head.pop("__metadata__", None)
        self.entries = {name.removeprefix("model."): entry for name, entry in head.items()}
        self.data = raw[8 + length :]

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        dtype = {"F16": np.float16, "F32": np.float32}[entry["dtype"]]
        return np.frombuffer(self.data[begin:end].tobytes(), dtype).reshape(entry["shape"]).astype(np.float32)


def mel_filters(bins: int) -> np.ndarray:
    """Slaney's filter bank over 201 frequencies of 16 kHz, as [bins, 201]."""

    def to_hz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + np.log(8.0) * 27 / np.log(6.4)
    corners = to_hz(np.linspace(0, top, bins + 2))
    hz = np.linspace(0, 8000, 201)
    low, middle, high = (corners[i : i + bins, None] for i in range(3))
    slopes = np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle))
    return (np.maximum(slopes, 0) * 2 / (high - low)).astype(np.float32)
