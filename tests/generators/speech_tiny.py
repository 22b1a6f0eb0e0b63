"""Golden values of small random Whispers by transformers: the shapes of large-v3-turbo (128 mel bins, few decoder layers) and of
Distil-Whisper (a decoder of other depth and heads, a head of its own, the bare model's names).

usage: speech_tiny.py [OUT]
needs: torch, transformers 4.44
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import WhisperConfig, WhisperForConditionalGeneration

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "golden/whisper/tiny")
SPECIAL = dict(pad_token_id=1, bos_token_id=1, eos_token_id=1, decoder_start_token_id=2, suppress_tokens=None, begin_suppress_tokens=None)
SHAPES = {
    "turbo": dict(num_mel_bins=128, d_model=32, encoder_layers=3, encoder_attention_heads=4, decoder_layers=1, decoder_attention_heads=4,
                  encoder_ffn_dim=128, decoder_ffn_dim=128, vocab_size=67, max_source_positions=20, max_target_positions=12),
    "distil": dict(num_mel_bins=80, d_model=32, encoder_layers=2, encoder_attention_heads=4, decoder_layers=2, decoder_attention_heads=2,
                   encoder_ffn_dim=64, decoder_ffn_dim=96, vocab_size=65, max_source_positions=16, max_target_positions=16),
}

torch.manual_seed(5)
for name, shape in SHAPES.items():
    config = WhisperConfig(**shape, **SPECIAL, tie_word_embeddings=name != "distil", attn_implementation="eager")
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            # Sines as positions stay; everything else is drawn so that each part matters.
            if "encoder.embed_positions" not in key:
                value.normal_(1.0 if "layer_norm.weight" in key else 0.0, 0.2)
            value.copy_(value.half().float())  # stored as halves
        mel = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions)
        ids = torch.randint(3, config.vocab_size, (1, 9))
        encoded = model.model.encoder(mel).last_hidden_state[0]
        logits = model(input_features=mel, decoder_input_ids=ids).logits[0]
    own = {"encoder": encoded, "logits": logits, "mel": mel[0].T.contiguous(), "ids": ids[0].to(torch.float32)}
    (OUT / name).mkdir(parents=True, exist_ok=True)
    save_file({k: v.numpy().astype(np.float32) for k, v in own.items()}, OUT / name / "expected.safetensors")
    weights = {k: v.numpy().astype(np.float16) for k, v in model.state_dict().items() if k != "proj_out.weight" or name == "distil"}
    if name == "turbo":
        weights = {k.removeprefix("model."): v for k, v in weights.items()}
    save_file(weights, OUT / name / "model.safetensors")
    keys = ("model_type", "scale_embedding", *shape)
    (OUT / name / "config.json").write_text(json.dumps({k: v for k, v in config.to_dict().items() if k in keys}, indent=1) + "\n")
    print(name, encoded.shape, logits.abs().max().item())
