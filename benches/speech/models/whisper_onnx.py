"""A Whisper checkpoint as transformers.js loads it, with 8-bit weights (its dtype `q8`): python whisper_onnx.py FOLDER OUT.

The graphs are those that its converter writes: dynamic quantization (DynamicQuantizeLinear, MatMulInteger) of all products with
weights, one decoder for the first and all later tokens.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from checkpoint import Checkpoint
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Graph:
    """Nodes in order; every method that adds some returns the name of their result."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self.heads = checkpoint.config["encoder_attention_heads"]
        self.width = checkpoint.config["d_model"]
        self.nodes, self.constants, self.inputs, self.outputs = [], {}, [], []
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def constant(self, values, name=None) -> str:
        name = name or self.name()
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def whole(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, count=1, domain="", outputs=None, **attributes):
        outputs = outputs or [self.name() for _ in range(count)]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, domain=domain, name=self.name(), **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def input(self, name: str, kind: int, shape: list) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, shape: list) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, FLOAT, shape))
        return name

    def product(self, x: str, weight: np.ndarray, bias=None) -> str:
        """x · weightᵀ + bias with 8-bit weights, scaled by row, and activations quantized as they come."""
        scale = np.maximum(np.abs(weight).max(1), 1e-9) / 127
        quantized = np.clip(np.rint(weight / scale[:, None]), -127, 127).astype(np.int8)
        values, step, zero = self.op("DynamicQuantizeLinear", x, count=3)
        sums = self.op("Cast", self.op("MatMulInteger", values, self.constant(quantized.T), zero), to=FLOAT)
        y = self.op("Mul", sums, self.op("Mul", step, self.constant(scale.astype(np.float32))))
        return y if bias is None else self.op("Add", y, self.constant(bias))

    def linear(self, name: str, x: str) -> str:
        bias = f"{name}.bias"
        return self.product(x, self.checkpoint[f"{name}.weight"], self.checkpoint[bias] if bias in self.checkpoint else None)

    def norm(self, name: str, x: str, outputs=None) -> str:
        weight, bias = (self.constant(self.checkpoint[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.op("LayerNormalization", x, weight, bias, outputs=outputs, epsilon=1e-5, axis=-1)

    def gelu(self, x: str) -> str:
        return self.op("Gelu", x, domain="com.microsoft")

    def split(self, x: str) -> str:
        shape = self.whole(0, -1, self.heads, self.width // self.heads)
        return self.op("Transpose", self.op("Reshape", x, shape), perm=[0, 2, 1, 3])

    def attend(self, q: str, k: str, v: str, mask=None) -> str:
        scale = self.constant(np.float32((self.width // self.heads) ** -0.5))
        scores = self.op("Mul", self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2])), scale)
        if mask is not None:
            scores = self.op("Add", scores, mask)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        return self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), self.whole(0, -1, self.width))

    def feed_forward(self, layer: str, x: str) -> str:
        inner = self.gelu(self.linear(f"{layer}.fc1", self.norm(f"{layer}.final_layer_norm", x)))
        return self.op("Add", x, self.linear(f"{layer}.fc2", inner))

    def save(self, path: Path) -> None:
        graph = helper.make_graph(self.nodes, "whisper", self.inputs, self.outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


def encoder(checkpoint: Checkpoint) -> Graph:
    g, config = Graph(checkpoint), checkpoint.config
    positions = config["max_source_positions"]
    x = g.input("input_features", FLOAT, ["batch_size", config["num_mel_bins"], 2 * positions])
    for conv, stride in (("conv1", 1), ("conv2", 2)):
        weights = [g.constant(checkpoint[f"encoder.{conv}.{part}"]) for part in ("weight", "bias")]
        x = g.gelu(g.op("Conv", x, *weights, kernel_shape=[3], pads=[1, 1], strides=[stride]))
    x = g.op("Add", g.op("Transpose", x, perm=[0, 2, 1]), g.constant(checkpoint["encoder.embed_positions.weight"]))
    for i in range(config["encoder_layers"]):
        layer = f"encoder.layers.{i}"
        y = g.norm(f"{layer}.self_attn_layer_norm", x)
        q, k, v = (g.split(g.linear(f"{layer}.self_attn.{part}_proj", y)) for part in "qkv")
        x = g.op("Add", x, g.linear(f"{layer}.self_attn.out_proj", g.attend(q, k, v)))
        x = g.feed_forward(layer, x)
    g.norm("encoder.layer_norm", x, [g.output("last_hidden_state", ["batch_size", positions, g.width])])
    return g


def decoder(checkpoint: Checkpoint) -> Graph:
    g, config = Graph(checkpoint), checkpoint.config
    layers, size = range(config["decoder_layers"]), g.width // g.heads
    ids = g.input("input_ids", INT64, ["batch_size", "count"])
    encoded = g.input("encoder_hidden_states", FLOAT, ["batch_size", "positions", g.width])
    logits = g.output("logits", ["batch_size", "count", config["vocab_size"]])
    past = {}
    for i in layers:
        for side in ("decoder", "encoder"):
            for part in ("key", "value"):
                shape = ["batch_size", g.heads, f"past_{side}_sequence_length", size]
                past[i, side, part] = g.input(f"past_key_values.{i}.{side}.{part}", FLOAT, shape)
    cached = g.input("use_cache_branch", TensorProto.BOOL, [1])
    begin = g.op("Gather", g.op("Shape", past[0, "decoder", "key"]), g.whole(2), axis=0)
    end = g.op("Add", begin, g.op("Gather", g.op("Shape", ids), g.whole(1), axis=0))
    embedding = checkpoint["decoder.embed_tokens.weight"]
    positions = g.op("Slice", g.constant(checkpoint["decoder.embed_positions.weight"]), begin, end, g.whole(0))
    x = g.op("Add", g.op("Gather", g.constant(embedding), ids), positions)
    scalar = {value: g.constant(np.array(value, np.int64)) for value in (0, 1)}
    first, last = (g.op("Squeeze", value, g.whole(0)) for value in (begin, end))
    rows = g.op("Unsqueeze", g.op("Range", first, last, scalar[1]), g.whole(1))
    columns = g.op("Unsqueeze", g.op("Range", scalar[0], last, scalar[1]), g.whole(0))
    later = g.op("Greater", columns, rows)
    mask = g.op("Where", later, g.constant(np.float32(-1e9)), g.constant(np.float32(0)))
    for i in layers:
        layer = f"decoder.layers.{i}"
        y = g.norm(f"{layer}.self_attn_layer_norm", x)
        q, k, v = (g.split(g.linear(f"{layer}.self_attn.{part}_proj", y)) for part in "qkv")
        own = []
        for part, new in (("key", k), ("value", v)):
            name = g.output(f"present.{i}.decoder.{part}", ["batch_size", g.heads, "total", size])
            own.append(g.op("Concat", past[i, "decoder", part], new, outputs=[name], axis=2))
        x = g.op("Add", x, g.linear(f"{layer}.self_attn.out_proj", g.attend(q, *own, mask)))
        y = g.norm(f"{layer}.encoder_attn_layer_norm", x)
        q = g.split(g.linear(f"{layer}.encoder_attn.q_proj", y))
        cross = [g.output(f"present.{i}.encoder.{part}", ["batch_size", g.heads, "heard", size]) for part in ("key", "value")]

        def branch(known: bool):
            kept, g.nodes = g.nodes, []
            pairs = (("key", "k"), ("value", "v"))
            if known:
                names = [g.op("Identity", past[i, "encoder", part]) for part, _ in pairs]
            else:
                names = [g.split(g.linear(f"{layer}.encoder_attn.{letter}_proj", encoded)) for _, letter in pairs]
            values = [helper.make_tensor_value_info(name, FLOAT, None) for name in names]
            made, g.nodes = helper.make_graph(g.nodes, g.name(), [], values), kept
            return made

        g.op("If", cached, outputs=cross, then_branch=branch(True), else_branch=branch(False))
        x = g.op("Add", x, g.linear(f"{layer}.encoder_attn.out_proj", g.attend(q, *cross)))
        x = g.feed_forward(layer, x)
    g.product(g.norm("decoder.layer_norm", x), embedding)
    g.nodes[-1].output[0] = logits
    return g


def main(folder: Path, out: Path) -> None:
    checkpoint = Checkpoint(folder)
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        shutil.copy(folder / name, out)
    features = {"feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "WhisperProcessor"}
    features |= {"feature_size": checkpoint.config["num_mel_bins"], "sampling_rate": 16000, "hop_length": 160, "n_fft": 400}
    features |= {"chunk_length": 30, "n_samples": 480000, "nb_max_frames": 3000, "padding_value": 0.0}
    (out / "preprocessor_config.json").write_text(json.dumps(features))
    (out / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "WhisperTokenizer"}))
    encoder(checkpoint).save(out / "onnx/encoder_model_quantized.onnx")
    decoder(checkpoint).save(out / "onnx/decoder_model_merged_quantized.onnx")


main(Path(sys.argv[1]), Path(sys.argv[2]))
