"""A Llama model in a GGUF file as transformers.js loads it, in f32 and with 8-bit weights: python llama_onnx.py GGUF OUT.

The same weights, dequantized. The graphs have onnxruntime's fused operations, as those that its exporters write (GroupQueryAttention with
the rotation in it, SkipSimplifiedLayerNormalization; DynamicQuantizeLinear and MatMulInteger for its dtype `q8`).
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from gguf import GGUFReader, dequantize
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
CONTRIB = "com.microsoft"


class Model:
    """Sizes and weights of a GGUF file."""

    def __init__(self, path: Path):
        reader = GGUFReader(path)
        field = lambda name: reader.fields[f"llama.{name}"].contents()
        self.layers, self.hidden, self.inner = (field(n) for n in ("block_count", "embedding_length", "feed_forward_length"))
        self.heads, self.kv_heads = field("attention.head_count"), field("attention.head_count_kv")
        self.eps, self.base = field("attention.layer_norm_rms_epsilon"), field("rope.freq_base")
        self.size = self.hidden // self.heads
        self.tensors = {tensor.name: tensor for tensor in reader.tensors}
        self.vocab = len(reader.fields["tokenizer.ggml.tokens"].data)

    def __getitem__(self, name: str) -> np.ndarray:
        tensor = self.tensors[f"{name}.weight"]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32)


class Graph:
    """Nodes in order; every method that adds some returns the name of their result."""

    def __init__(self, eight_bits: bool):
        self.eight_bits, self.count = eight_bits, 0
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def constant(self, values) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), self.name()))
        return self.constants[-1].name

    def op(self, kind: str, *inputs: str, outputs=1, **attributes):
        names = [self.name() for _ in range(outputs)] if isinstance(outputs, int) else outputs
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=self.name(), **attributes))
        return names[0] if len(names) == 1 else names

    def value(self, values: list, name: str, kind: int, shape: list) -> str:
        values.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def product(self, x: str, weight: np.ndarray, outputs=1) -> str:
        """x · weightᵀ; 8-bit weights are scaled by row."""
        if not self.eight_bits:
            return self.op("MatMul", x, self.constant(weight.T), outputs=outputs)
        scale = np.maximum(np.abs(weight).max(1), 1e-9) / 127
        quantized = np.clip(np.rint(weight / scale[:, None]), -127, 127).astype(np.int8)
        values, step, zero = self.op("DynamicQuantizeLinear", x, outputs=3)
        sums = self.op("Cast", self.op("MatMulInteger", values, self.constant(quantized.T), zero), to=FLOAT)
        return self.op("Mul", sums, self.op("Mul", step, self.constant(scale.astype(np.float32))), outputs=outputs)

    def save(self, path: Path) -> None:
        graph = helper.make_graph(self.nodes, "llama", self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


def decoder(model: Model, eight_bits: bool) -> Graph:
    g = Graph(eight_bits)
    ids = g.value(g.inputs, "input_ids", INT64, ["batch_size", "count"])
    mask = g.value(g.inputs, "attention_mask", INT64, ["batch_size", "total"])
    one = g.constant(np.array([1], np.int64))
    last = g.op("Cast", g.op("Sub", g.op("ReduceSum", mask, one, keepdims=0), one), to=INT32)
    total = g.op("Cast", g.op("Squeeze", g.op("Gather", g.op("Shape", mask), one, axis=0), g.constant(np.array([0], np.int64))), to=INT32)
    turns = np.outer(np.arange(2048), model.base ** (-np.arange(0, model.size, 2) / model.size))
    cos, sin = (g.constant(f(turns).astype(np.float32)) for f in (np.cos, np.sin))
    embedding = model["token_embd"]
    x = g.op("Gather", g.constant(embedding), ids)
    normed = g.op("SimplifiedLayerNormalization", x, g.constant(model["blk.0.attn_norm"]), axis=-1, epsilon=model.eps)

    def add(x: str, y: str, norm: np.ndarray) -> tuple[str, str]:
        """The norm of x + y, and x + y."""
        result, total = g.name(), g.name()
        outputs = [result, "", "", total]
        g.op("SkipSimplifiedLayerNormalization", x, y, g.constant(norm), outputs=outputs, domain=CONTRIB, epsilon=model.eps)
        return result, total

    for i in range(model.layers):
        block = f"blk.{i}"
        shape = lambda length: ["batch_size", model.kv_heads, length, model.size]
        past = [g.value(g.inputs, f"past_key_values.{i}.{part}", FLOAT, shape("past_sequence_length")) for part in ("key", "value")]
        present = [g.value(g.outputs, f"present.{i}.{part}", FLOAT, shape("total")) for part in ("key", "value")]
        q, k, v = (g.product(normed, model[f"{block}.attn_{part}"]) for part in "qkv")
        # GGUF files of Llama keep the rows of queries and keys in the order of interleaved rotation.
        mixed = g.name()
        g.op("GroupQueryAttention", q, k, v, *past, last, total, cos, sin, outputs=[mixed, *present], domain=CONTRIB,
             num_heads=model.heads, kv_num_heads=model.kv_heads, do_rotary=1, rotary_interleaved=1)
        normed, x = add(x, g.product(mixed, model[f"{block}.attn_output"]), model[f"{block}.ffn_norm"])
        gate, up = (g.product(normed, model[f"{block}.ffn_{part}"]) for part in ("gate", "up"))
        inner = g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)
        after = model[f"blk.{i + 1}.attn_norm"] if i + 1 < model.layers else model["output_norm"]
        normed, x = add(x, g.product(inner, model[f"{block}.ffn_down"]), after)
    head = model["output"] if "output.weight" in model.tensors else embedding
    logits = g.value(g.outputs, "logits", FLOAT, ["batch_size", "count", model.vocab])
    g.product(normed, head, outputs=[logits])
    return g


def main(gguf: Path, out: Path) -> None:
    model = Model(gguf)
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": model.hidden}
    config |= {"num_attention_heads": model.heads, "num_key_value_heads": model.kv_heads, "num_hidden_layers": model.layers}
    config |= {"head_dim": model.size, "intermediate_size": model.inner, "vocab_size": model.vocab}
    (out / "config.json").write_text(json.dumps(config))
    (out / "generation_config.json").write_text("{}")
    decoder(model, False).save(out / "onnx/model.onnx")
    decoder(model, True).save(out / "onnx/model_quantized.onnx")


main(Path(sys.argv[1]), Path(sys.argv[2]))
