"""A Whisper checkpoint as whisper.cpp reads it: python whisper_ggml.py FOLDER OUT.bin. Half floats, as its published files."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from checkpoint import Checkpoint, mel_filters

# Parts of names: Hugging Face's, whisper.cpp's. The order counts.
NAMES = [
    ("self_attn_layer_norm", "attn_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("self_attn.", "attn."),
    ("encoder_attn.", "cross_attn."),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    (".layers.", ".blocks."),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
    ("embed_positions.weight", "positional_embedding"),
    ("embed_tokens", "token_embedding"),
]


def byte_alphabet() -> dict[str, int]:
    """The byte that each letter of a byte-level vocabulary stands for."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


def vocabulary(folder: Path) -> list[bytes]:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    special = {token["id"] for token in tokenizer["added_tokens"]}
    letters = byte_alphabet()
    ordered = sorted((id, text) for text, id in tokenizer["model"]["vocab"].items() if id not in special)
    return [bytes(letters[letter] for letter in text) for _, text in ordered]


def main(folder: Path, out: Path) -> None:
    checkpoint = Checkpoint(folder)
    config = checkpoint.config
    sizes = ["vocab_size", "max_source_positions", "d_model", "encoder_attention_heads", "encoder_layers"]
    sizes += ["max_target_positions", "d_model", "decoder_attention_heads", "decoder_layers", "num_mel_bins"]
    with out.open("wb") as file:
        file.write(struct.pack("<i", 0x67676D6C))
        file.write(struct.pack("<11i", *(config[size] for size in sizes), 1))
        filters = mel_filters(config["num_mel_bins"])
        file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        tokens = vocabulary(folder)
        file.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            file.write(struct.pack("<i", len(token)) + token)
        for name in checkpoint.entries:
            if name == "proj_out.weight":
                continue
            values = checkpoint[name]
            for ours, theirs in NAMES:
                name = name.replace(ours, theirs)
            if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
                values = values.reshape(-1, 1)
            half = values.ndim >= 2 and "bias" not in name and not name.endswith("positional_embedding")
            encoded = name.encode()
            file.write(struct.pack("<3i", values.ndim, len(encoded), int(half)))
            file.write(struct.pack(f"<{values.ndim}i", *values.shape[::-1]) + encoded)
            file.write(values.astype(np.float16 if half else np.float32).tobytes())


main(Path(sys.argv[1]), Path(sys.argv[2]))
