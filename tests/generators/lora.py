"""Adapters of the tiny models of tests/golden/models with what PEFT computes: tests/golden/lora/.

    python -m venv venv && venv/bin/pip install torch==1.13.1 transformers==4.44.2 safetensors peft==0.8.2 accelerate==0.25.0
    venv/bin/python tests/generators/lora.py

Each case is a folder as PEFT's `save_pretrained` writes it, and `<case>.expected.safetensors`: the logits of a batch with the
adapters, the next-token loss of that batch, its gradients by the parameters' names, the losses of AdamW steps, and one
merged weight.
"""
import json, pathlib, shutil, warnings
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, FalconForCausalLM, LlamaForCausalLM

warnings.filterwarnings("ignore")
GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
OUT = GOLDEN / "lora"
OUT.mkdir(exist_ok=True)
IDS = torch.randint(3, 80, (3, 9), generator=torch.Generator().manual_seed(3))
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def loss_of(model):
    logits = model(input_ids=IDS, use_cache=False).logits.float()
    return logits, torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())


def case(name, base, kind, merged, **options):
    config = AutoConfig.for_model(**json.loads((GOLDEN / "models" / f"{base}.config.json").read_text()))
    config._attn_implementation = "eager"
    model = kind(config).float().eval()
    state = {n: t.float() for n, t in load_file(GOLDEN / "models" / f"{base}.safetensors").items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all("inv_freq" in m or m == "lm_head.weight" for m in missing), (missing, unexpected)
    model.tie_weights()
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
    g = torch.Generator().manual_seed(len(name))
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for n, p in trained.items():
        p.data.copy_(torch.randn(p.shape, generator=g) * (0.3 if "lora_A" in n else 0.1))
    shutil.rmtree(OUT / name, ignore_errors=True)
    model.create_or_update_model_card = lambda folder: None
    model.save_pretrained(OUT / name, safe_serialization=True)
    out = {}
    out["ids"] = IDS.to(torch.uint8)
    logits, loss = loss_of(model)
    out["logits"] = logits.detach()
    loss.backward()
    for n, p in trained.items():
        out["grad." + n.replace(".default", "")] = p.grad.clone()
    optimizer = torch.optim.AdamW(trained.values(), lr=0.01, weight_decay=0.01)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        _, loss = loss_of(model)
        loss.backward()
        losses.append(loss.detach())
        optimizer.step()
    out["losses"] = torch.stack(losses)
    module = model.get_submodule("base_model.model." + merged)
    module.merge()
    out["trained_and_merged"] = module.weight.detach()
    save_file({n: t.contiguous() for n, t in out.items()}, OUT / f"{name}.expected.safetensors")
    print(name, [round(float(l), 4) for l in losses], float((logits - out["logits"]).abs().max()))


case("llama", "llama", LlamaForCausalLM, "model.layers.1.self_attn.q_proj", r=4, lora_alpha=6, target_modules=ALL)
case("llama_rs", "llama", LlamaForCausalLM, "model.layers.1.self_attn.v_proj", r=2, lora_alpha=3, use_rslora=True,
     target_modules=["q_proj", "v_proj"])
case("falcon", "falcon_40b", FalconForCausalLM, "transformer.h.1.mlp.dense_4h_to_h", r=3, lora_alpha=6,
     target_modules=["query_key_value", "dense", "dense_4h_to_h"])
