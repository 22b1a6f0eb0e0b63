"""Tiny random decoder models with the logits that transformers computes on them: tests/golden/models/.

Run:  python tests/generators/tiny_models.py
with  torch 1.13 (Debian's python3-torch), transformers 4.44.2, safetensors.

Weights are random, rounded to f16 and saved as f16; the expected logits are f32 arithmetic on exactly those weights. Every case
is `<case>.config.json`, `<case>.expected.safetensors` (ids u8 [t], logits f32 [t, vocab]) and the weights that
`cases.json` names, shared between cases that differ only in configuration.

transformers 4.44.2 has no Qwen 3 and no Gemma 3: `Reference` below computes them from the published descriptions (Qwen3 technical
report 2025, section 2; Gemma 3 technical report 2025, section 2), in plain torch.
"""
import json, math, pathlib, warnings
import torch
from safetensors.torch import save_file
from transformers import (FalconConfig, FalconForCausalLM, Gemma2Config, Gemma2ForCausalLM, GemmaConfig, GemmaForCausalLM,
                          LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Phi3Config, Phi3ForCausalLM,
                          PretrainedConfig, Qwen2Config, Qwen2ForCausalLM)

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).parent.parent / "golden" / "models"
VOCAB, HIDDEN, INNER, HEADS, KV, TOKENS = 80, 32, 48, 4, 2, 24
SIZES = dict(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=2, num_attention_heads=HEADS,
             num_key_value_heads=KV, max_position_embeddings=64, rope_theta=1000.0, pad_token_id=0, bos_token_id=1, eos_token_id=2)
IDS = torch.randint(3, VOCAB, (1, TOKENS), generator=torch.Generator().manual_seed(7))
cases = []


def randomise(tensors, seed):
    """Weights large enough that every part of the model moves the logits; norm weights around their neutral value stay as drawn."""
    g = torch.Generator().manual_seed(seed)
    for name, t in sorted(tensors.items()):
        std = 0.3 if t.dim() == 1 else 1.2 / math.sqrt(t.shape[-1])
        mean = 0.8 if t.dim() == 1 and "norm" in name or ".ln_" in name and name.endswith("weight") else 0.0
        t.data.copy_((torch.randn(t.shape, generator=g) * std + mean).half().float())


def save(case, weights, config, logits):
    (OUT / f"{case}.config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(dict(ids=IDS[0].to(torch.uint8), logits=logits.contiguous()), OUT / f"{case}.expected.safetensors")
    cases.append(dict(name=case, weights=weights))
    print(f"{case:18} logits std {logits.std():.3f}")


def slim(config):
    """The fields of a config.json that say something about the model."""
    base = PretrainedConfig().to_dict()
    full = json.loads(config.to_json_string(use_diff=False))
    keep = {k: v for k, v in full.items() if (k not in base or base[k] != v) and k not in ("id2label", "cache_implementation")}
    return keep | dict(tie_word_embeddings=config.tie_word_embeddings, model_type=config.model_type)


def hf(case, kind, config, seed, weights=None):
    """One model of transformers. `weights` names the case whose weights it shares."""
    config._attn_implementation = "eager"
    model = kind(config).float().eval()
    state = {n: p for n, p in model.named_parameters()}
    randomise(state, seed)
    with torch.no_grad():
        logits = model(IDS, use_cache=False).logits[0].float()
    if weights is None:
        save_file({n: p.detach().half().contiguous() for n, p in state.items()}, OUT / f"{case}.safetensors", metadata=dict(format="pt"))
    save(case, weights or case, slim(config), logits)
    return logits


def differs(a, b, what):
    assert (a - b).abs().max() > 0.05, f"{what} changes nothing: the case would test nothing"


class Reference:
    """Qwen 3 and Gemma 3 in plain torch, over weights under their Hugging Face names."""

    def __init__(self, c):
        self.c, self.w, n = c, {}, c["head_dim"]
        shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
        if not c["tie_word_embeddings"]:
            shapes["lm_head.weight"] = (VOCAB, HIDDEN)
        norms = ["input_layernorm", "post_attention_layernorm"]
        if self.gemma:
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for i in range(c["num_hidden_layers"]):
            p = f"model.layers.{i}."
            for norm in norms:
                shapes[p + norm + ".weight"] = (HIDDEN,)
            for name, rows in ("q", HEADS * n), ("k", KV * n), ("v", KV * n):
                shapes[p + f"self_attn.{name}_proj.weight"] = (rows, HIDDEN)
            shapes |= {p + "self_attn.o_proj.weight": (HIDDEN, HEADS * n), p + "self_attn.q_norm.weight": (n,), p + "self_attn.k_norm.weight": (n,),
                       p + "mlp.gate_proj.weight": (INNER, HIDDEN), p + "mlp.up_proj.weight": (INNER, HIDDEN), p + "mlp.down_proj.weight": (HIDDEN, INNER)}
        self.w = {name: torch.empty(s) for name, s in shapes.items()}

    @property
    def gemma(self):
        return self.c["model_type"].startswith("gemma3")

    def norm(self, x, name):
        w = self.w[name + ".weight"] + (1.0 if self.gemma else 0.0)
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.c["rms_norm_eps"]) * w

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T

    def rotate(self, x, base, factor):
        n, half = x.shape[-1], x.shape[-1] // 2
        angle = torch.arange(TOKENS).float()[:, None] * base ** (-torch.arange(half).float() * 2 / n) / factor
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def attention(self, x, i):
        c, p, n = self.c, f"model.layers.{i}.self_attn.", self.c["head_dim"]
        heads = lambda t: t.view(TOKENS, -1, n).transpose(0, 1)
        q = self.norm(heads(self.linear(x, p + "q_proj")), p + "q_norm")
        k = self.norm(heads(self.linear(x, p + "k_proj")), p + "k_norm")
        v = heads(self.linear(x, p + "v_proj"))
        local = self.gemma and (i + 1) % c["sliding_window_pattern"] != 0
        base = c["rope_local_base_freq"] if local else c["rope_theta"]
        factor = (c.get("rope_scaling") or {}).get("factor", 1.0) if not local else 1.0
        q, k = self.rotate(q, base, factor), self.rotate(k, base, factor)
        k, v = k.repeat_interleave(HEADS // KV, 0), v.repeat_interleave(HEADS // KV, 0)
        scores = q @ k.transpose(1, 2) / math.sqrt(c["query_pre_attn_scalar"] if self.gemma else n)
        at = torch.arange(TOKENS)
        age = at[:, None] - at[None]
        hidden = (age < 0) | (age >= c["sliding_window"]) if local else age < 0
        out = scores.masked_fill(hidden, -math.inf).softmax(-1) @ v
        return self.linear(out.transpose(0, 1).reshape(TOKENS, -1), p + "o_proj")

    def mlp(self, x, i):
        p = f"model.layers.{i}.mlp."
        g = self.linear(x, p + "gate_proj")
        g = torch.nn.functional.gelu(g, approximate="tanh") if self.gemma else torch.nn.functional.silu(g)
        return self.linear(g * self.linear(x, p + "up_proj"), p + "down_proj")

    def logits(self):
        x = self.w["model.embed_tokens.weight"][IDS[0]] * (math.sqrt(HIDDEN) if self.gemma else 1.0)
        for i in range(self.c["num_hidden_layers"]):
            p = f"model.layers.{i}."
            y = self.attention(self.norm(x, p + "input_layernorm"), i)
            if self.gemma:
                x = x + self.norm(y, p + "post_attention_layernorm")
                y = self.mlp(self.norm(x, p + "pre_feedforward_layernorm"), i)
                x = x + self.norm(y, p + "post_feedforward_layernorm")
            else:
                x = x + y
                x = x + self.mlp(self.norm(x, p + "post_attention_layernorm"), i)
        return self.norm(x, "model.norm") @ self.w.get("lm_head.weight", self.w["model.embed_tokens.weight"]).T


def own(case, seed, **config):
    config = dict(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=2, num_attention_heads=HEADS, num_key_value_heads=KV,
                  max_position_embeddings=64, rope_theta=1000.0, rms_norm_eps=1e-6) | config
    model = Reference(config)
    randomise(model.w, seed)
    save_file({n: t.half() for n, t in model.w.items()}, OUT / f"{case}.safetensors", metadata=dict(format="pt"))
    logits = model.logits()
    save(case, case, config, logits)
    if "sliding_window" in config:
        config["sliding_window"] = 1000
        differs(logits, model.logits(), f"{case}'s window")


OUT.mkdir(parents=True, exist_ok=True)
llama = lambda **kw: LlamaConfig(**(SIZES | kw))
plain = hf("llama", LlamaForCausalLM, llama(attention_bias=True, mlp_bias=True), 1)
scalings = dict(llama_linear=dict(rope_type="linear", factor=4.0),
                llama_yarn=dict(rope_type="yarn", factor=4.0, beta_fast=4.0, beta_slow=1.0),
                llama_llama3=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32))
for name, scaling in scalings.items():
    differs(plain, hf(name, LlamaForCausalLM, llama(attention_bias=True, mlp_bias=True, rope_scaling=scaling), 1, "llama"), name)
short = dict(attention_bias=True, mlp_bias=True, max_position_embeddings=16)  # shorter than the sequence
differs(plain, hf("llama_dynamic", LlamaForCausalLM, llama(**short, rope_scaling=dict(rope_type="dynamic", factor=2.0)), 1, "llama"), "dynamic")

window = hf("mistral", MistralForCausalLM, MistralConfig(**SIZES, sliding_window=6), 2)
differs(window, hf("mistral_full", MistralForCausalLM, MistralConfig(**SIZES, sliding_window=None), 2, "mistral"), "mistral's window")
hf("qwen2", Qwen2ForCausalLM, Qwen2Config(**SIZES, tie_word_embeddings=True), 3)
gemma = dict(head_dim=16, hidden_activation="gelu_pytorch_tanh")
hf("gemma", GemmaForCausalLM, GemmaConfig(**SIZES, **gemma), 4)
gemma2 = dict(query_pre_attn_scalar=24, attn_logit_softcapping=4.0, final_logit_softcapping=5.0)
window = hf("gemma2", Gemma2ForCausalLM, Gemma2Config(**SIZES, **gemma, **gemma2, sliding_window=6), 5)
differs(window, hf("gemma2_full", Gemma2ForCausalLM, Gemma2Config(**SIZES, **gemma, **gemma2, sliding_window=40), 5, "gemma2"), "gemma2's window")
hf("phi3", Phi3ForCausalLM, Phi3Config(**SIZES), 6)
factors = lambda a: [round(1.0 + a * i, 2) for i in range(HIDDEN // HEADS // 2)]
longrope = dict(rope_scaling=dict(type="longrope", short_factor=factors(0.4), long_factor=factors(2.0)))
a = hf("phi3_short", Phi3ForCausalLM, Phi3Config(**SIZES, **longrope, original_max_position_embeddings=32), 6, "phi3")
b = hf("phi3_long", Phi3ForCausalLM, Phi3Config(**SIZES, **longrope, original_max_position_embeddings=16), 6, "phi3")
differs(a, b, "longrope's lists")
falcon = dict(vocab_size=VOCAB, hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=HEADS, alibi=False, rope_theta=1000.0,
              bos_token_id=1, eos_token_id=2)
hf("falcon_7b", FalconForCausalLM, FalconConfig(**falcon, multi_query=True, parallel_attn=True, new_decoder_architecture=False), 8)
hf("falcon_40b", FalconForCausalLM, FalconConfig(**falcon, num_kv_heads=KV, new_decoder_architecture=True), 9)
hf("falcon_rw", FalconForCausalLM, FalconConfig(**falcon, multi_query=False, parallel_attn=False, new_decoder_architecture=False, bias=True), 10)
own("qwen3", 11, model_type="qwen3", head_dim=16, tie_word_embeddings=False)
own("gemma3", 12, model_type="gemma3_text", head_dim=16, tie_word_embeddings=True, num_hidden_layers=7, sliding_window=6, sliding_window_pattern=6,
    rope_local_base_freq=100.0, query_pre_attn_scalar=16, rope_scaling=dict(rope_type="linear", factor=8.0), hidden_activation="gelu_pytorch_tanh")
(OUT / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
