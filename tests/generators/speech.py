"""Golden values of Whisper: mel spectrograms, encoder, decoding, word timestamps, long audio, by OpenAI's implementation.

usage: speech.py MODELS_DIR [OUT]    (MODELS_DIR holds whisper-tiny.en, whisper-base and audio/)
needs: openai-whisper 20250625, torch, safetensors, transformers (only for `transformers_mel`); all on the CPU in f32.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import whisper
from safetensors.numpy import load_file, save_file
from whisper.model import ModelDimensions, Whisper

MODELS = Path(sys.argv[1])
OUT = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parents[1] / "golden/whisper")

NAMES = [
    ("model.", ""), ("encoder.embed_positions.weight", "encoder.positional_embedding"),
    ("decoder.embed_positions.weight", "decoder.positional_embedding"), ("embed_tokens", "token_embedding"),
    ("encoder.layer_norm", "encoder.ln_post"), ("decoder.layer_norm", "decoder.ln"), (".layers.", ".blocks."),
    ("self_attn_layer_norm", "attn_ln"), ("encoder_attn_layer_norm", "cross_attn_ln"), ("final_layer_norm", "mlp_ln"),
    ("self_attn", "attn"), ("encoder_attn", "cross_attn"), ("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"),
    ("out_proj", "out"), ("fc1", "mlp.0"), ("fc2", "mlp.2"),
]


def openai_name(name):
    for ours, theirs in NAMES:
        name = name.replace(ours, theirs)
    return name


def load(folder):
    config = json.loads((MODELS / folder / "config.json").read_text())
    dims = ModelDimensions(
        n_mels=config["num_mel_bins"], n_audio_ctx=config["max_source_positions"], n_audio_state=config["d_model"],
        n_audio_head=config["encoder_attention_heads"], n_audio_layer=config["encoder_layers"],
        n_vocab=config["vocab_size"], n_text_ctx=config["max_target_positions"], n_text_state=config["d_model"],
        n_text_head=config["decoder_attention_heads"], n_text_layer=config["decoder_layers"],
    )
    model = Whisper(dims)
    weights = load_file(MODELS / folder / "model.safetensors")
    model.load_state_dict({openai_name(k): torch.from_numpy(v.astype(np.float32)) for k, v in weights.items()})
    heads = json.loads((MODELS / folder / "generation_config.json").read_text())["alignment_heads"]
    mask = torch.zeros(dims.n_text_layer, dims.n_text_head, dtype=torch.bool)
    for layer, head in heads:
        mask[layer, head] = True
    model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
    return model.eval()


def audio(path):
    """Samples of a WAV file of 16 kHz mono, in 16 bits or floats (which Python's `wave` does not read)."""
    data = (MODELS / "audio" / path).read_bytes()
    at, kind = 12, None
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt ":
            kind, channels, rate = np.frombuffer(data[at + 8 : at + 16], np.dtype("<u2,<u2,<u4"))[0]
            assert (channels, rate) == (1, 16000), path
        if name == b"data":
            body = data[at + 8 : at + 8 + size]
            return np.frombuffer(body, np.float32).copy() if kind == 3 else np.frombuffer(body, np.int16).astype(np.float32) / 32768
        at += 8 + size + size % 2
    raise ValueError(path)


def transcribe(model, samples, **options):
    result = whisper.transcribe(model, samples, fp16=False, verbose=None, **options)
    segments = [
        {k: s[k] for k in ("start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob")}
        | ({"words": [{k: w[k] for k in ("word", "start", "end", "probability")} for w in s["words"]]} if "words" in s else {})
        for s in result["segments"]
    ]
    return {"text": result["text"], "language": result["language"], "segments": segments}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    jfk = audio("jfk.wav")
    tensors = {}
    every = slice(0, 3000, 37)
    for bins in (80, 128):
        padded = whisper.pad_or_trim(jfk)
        tensors[f"mel{bins}"] = whisper.log_mel_spectrogram(padded, bins).numpy()[:, every].T.copy()
    try:
        from transformers import WhisperFeatureExtractor

        features = WhisperFeatureExtractor(feature_size=80)(jfk, sampling_rate=16000, return_tensors="np")
        tensors["mel80_transformers"] = features.input_features[0][:, every].T.astype(np.float32).copy()
    except ImportError:
        tensors |= {k: v for k, v in load_file(OUT / "tensors.safetensors").items() if k == "mel80_transformers"}
    golden = {}
    english = audio("multilingual/en/quick_brown_fox.wav")
    beckett = audio("beckett.wav")
    pause = np.zeros(12000, np.float32)
    repeated = np.concatenate([jfk, pause] * 4)
    mixed = np.concatenate([jfk, pause, english, pause, beckett, pause, jfk, pause])
    for folder in ("whisper-tiny.en", "whisper-base"):
        model = load(folder)
        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(jfk), model.dims.n_mels)
        with torch.no_grad():
            encoded = model.embed_audio(mel[None])[0]
        tensors[f"{folder}.encoder"] = encoded[::53].numpy().copy()
        save_file(tensors, OUT / "tensors.safetensors")
        one = {}
        plain = dict(temperature=0.0, language="en")
        golden[folder] = one
        one["jfk_words"] = transcribe(model, jfk, word_timestamps=True, **plain)
        one["jfk_beam5"] = transcribe(model, jfk, beam_size=5, **plain)
        if not model.is_multilingual:
            one["jfk"] = transcribe(model, jfk, **plain)
            one["jfk_prompt"] = transcribe(model, jfk, initial_prompt="President Kennedy, speech.", **plain)
            one["repeated_words"] = transcribe(model, repeated, word_timestamps=True, **plain)
            one["mixed_words"] = transcribe(model, mixed, word_timestamps=True, **plain)
        if model.is_multilingual:
            for language, clip in {"es": "hola_mundo", "fr": "bonjour_monde", "ja": "konnichiwa_sekai", "zh": "nihao_shijie"}.items():
                samples = audio(f"multilingual/{language}/{clip}.wav")
                mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels)
                _, probs = model.detect_language(mel)
                best = max(probs, key=probs.get)
                entry = {"clip": f"{language}/{clip}.wav", "detected": best, "probability": probs[best]}
                entry["transcribe"] = transcribe(model, samples, temperature=0.0, language=language, word_timestamps=True)
                entry["translate"] = transcribe(model, samples, temperature=0.0, language=language, task="translate")
                one.setdefault("languages", []).append(entry)
        (OUT / "openai.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
        print(folder, one["jfk_words"]["text"])


main()
