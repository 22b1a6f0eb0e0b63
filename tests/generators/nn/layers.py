"""Results and gradients of layers, from PyTorch.

Run:  python tests/generators/nn/layers.py      (numpy, torch >= 1.13, safetensors)

Stored of each case: the layer's state dict (`state`), inputs (`in`), results (`out`), and the gradients of
`sum(out * w)` over all results with respect to parameters (`grad`) and floating inputs (`grad_in`); `w` of a result is
`cos(0), cos(1), …`. `after` holds buffers (running statistics) once it has run.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
golden = {}


def case(name, layer, inputs, f=None):
    """`f(layer, *inputs)` gives a tensor or several; without it the layer is called."""
    for p in layer.parameters():
        p.data = torch.randn_like(p) * 0.4 + (1.0 if p.dim() == 1 and "norm" in name else 0.0)
    for key, value in layer.state_dict().items():
        golden[f"{name}/state/{key}"] = value.clone()
    leaves = [t.clone().requires_grad_() if t.is_floating_point() else t for t in inputs]
    for i, t in enumerate(inputs):
        golden[f"{name}/in/{i}"] = t
    out = f(layer, *leaves) if f else layer(*leaves)
    out = [out] if isinstance(out, torch.Tensor) else list(out)
    total = 0.0
    for i, t in enumerate(out):
        golden[f"{name}/out/{i}"] = t.detach()
        total = total + (t * torch.cos(torch.arange(t.numel(), dtype=t.dtype)).reshape(t.shape)).sum()
    total.backward()
    for key, p in layer.named_parameters():
        golden[f"{name}/grad/{key}"] = p.grad
    for i, t in enumerate(leaves):
        if t.is_floating_point():
            golden[f"{name}/grad_in/{i}"] = t.grad
    for key, value in layer.named_buffers():
        golden[f"{name}/after/{key}"] = value.float()


r = torch.randn
case("linear", nn.Linear(5, 3), [r(2, 4, 5)])
case("linear_plain", nn.Linear(5, 3, bias=False), [r(5)])
case("embedding", nn.Embedding(7, 3), [torch.tensor([[1, 0, 6], [3, 3, 1]])])
embedding = nn.Embedding(7, 3, padding_idx=3)
case("embedding_padding", embedding, [torch.tensor([[1, 0, 6], [3, 3, 1]])])
case("conv1d", nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), [r(2, 4, 9)])
case("conv2d", nn.Conv2d(3, 5, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1)), [r(2, 3, 7, 6)])
case("conv_transpose1d", nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), [r(2, 4, 5)])
case("conv_transpose2d", nn.ConvTranspose2d(3, 5, (3, 2), stride=2, bias=False), [r(2, 3, 4, 3)])
case("layer_norm", nn.LayerNorm(6), [r(3, 6)])
case("group_norm", nn.GroupNorm(2, 6), [r(2, 6, 3)])
case("instance_norm", nn.InstanceNorm2d(3, affine=True), [r(2, 3, 4, 3)])
case("instance_norm_plain", nn.InstanceNorm1d(3), [r(2, 3, 5)])
case("batch_norm1d", nn.BatchNorm1d(3), [r(4, 3) * 2 + 1])
case("batch_norm2d", nn.BatchNorm2d(3, momentum=0.3, eps=1e-3), [r(2, 3, 4, 3) * 2 + 1])
case("batch_norm_cumulative", nn.BatchNorm1d(3, momentum=None), [r(4, 3, 2), r(4, 3, 2) + 1], lambda l, a, b: (l(a), l(b)))
used = nn.BatchNorm2d(3)
used.running_mean, used.running_var = r(3), r(3) ** 2 + 0.5
case("batch_norm_eval", used.eval(), [r(2, 3, 4, 3)])
case("batch_norm_untracked", nn.BatchNorm1d(3, affine=False, track_running_stats=False), [r(4, 3)])
case("prelu", nn.PReLU(3), [r(2, 3, 4)])

case("rnn", nn.RNN(3, 4), [r(5, 2, 3)])
case("rnn_relu", nn.RNN(3, 4, num_layers=2, nonlinearity="relu", bias=False, batch_first=True), [r(2, 5, 3), r(2, 2, 4)])
case("lstm", nn.LSTM(3, 4), [r(5, 2, 3)], lambda l, x: (lambda o: (o[0], *o[1]))(l(x)))
case("lstm_deep", nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), [r(2, 5, 3), r(4, 2, 4), r(4, 2, 4)],
     lambda l, x, h, c: (lambda o: (o[0], *o[1]))(l(x, (h, c))))
case("gru", nn.GRU(3, 4), [r(5, 2, 3), r(1, 2, 4)])
case("gru_deep", nn.GRU(3, 4, num_layers=2, bidirectional=True), [r(5, 2, 3)])
case("gru_single", nn.GRU(3, 4, bidirectional=True), [r(5, 3), r(2, 4)])

out = lambda l, q, k, v, **more: l(q, k, v, **more)
itself = lambda **more: (lambda l, x: l(x, x, x, **more)[0])
case("attention", nn.MultiheadAttention(8, 2), [r(5, 3, 8)], lambda l, x: l(x, x, x))
case("attention_batch_first", nn.MultiheadAttention(8, 4, bias=False, batch_first=True), [r(3, 5, 8)], itself())
case("attention_cross", nn.MultiheadAttention(8, 2, kdim=6, vdim=4), [r(5, 3, 8), r(7, 3, 6), r(7, 3, 4)], lambda l, q, k, v: l(q, k, v))
case("attention_read", nn.MultiheadAttention(8, 2), [r(5, 3, 8), r(7, 3, 8)], lambda l, q, k: l(q, k, k)[0])
case("attention_single", nn.MultiheadAttention(8, 2), [r(5, 8)], lambda l, x: l(x, x, x))
padding = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
case("attention_padding", nn.MultiheadAttention(8, 2), [r(5, 3, 8)], itself(key_padding_mask=padding))
later = torch.ones(5, 5).triu(1).bool()
case("attention_causal", nn.MultiheadAttention(8, 2), [r(5, 3, 8)], lambda l, x: l(x, x, x, attn_mask=later))
case("attention_bias", nn.MultiheadAttention(8, 2), [r(5, 3, 8), r(6, 5, 5)], lambda l, x, m: l(x, x, x, attn_mask=m, key_padding_mask=padding)[0])

encoder = lambda **more: nn.TransformerEncoderLayer(8, 2, 12, 0.0, **more)
case("encoder_norm", encoder(), [r(5, 3, 8)])
case("encoder_norm_first", encoder(activation="gelu", norm_first=True, batch_first=True), [r(3, 5, 8)],
     lambda l, x: l(x, src_mask=later, src_key_padding_mask=padding))
case("encoder_stack_norm", nn.TransformerEncoder(encoder(), 2, nn.LayerNorm(8)), [r(5, 3, 8)])
decoder = nn.TransformerDecoderLayer(8, 2, 12, 0.0, norm_first=True)
case("decoder_norm_first", decoder, [r(5, 3, 8), r(4, 3, 8)], lambda l, x, m: l(x, m, tgt_mask=later))
decoder = nn.TransformerDecoderLayer(8, 2, 12, 0.0)
case("decoder_stack_norm", nn.TransformerDecoder(decoder, 2), [r(5, 3, 8), r(5, 3, 8)],
     lambda l, x, m: l(x, m, tgt_mask=later, memory_key_padding_mask=padding))

target = Path(__file__).resolve().parents[2] / "golden" / "nn" / "layers.safetensors"
save_file({k: v.detach().clone().contiguous() for k, v in golden.items()}, target, {"torch": torch.__version__})
print(target, target.stat().st_size)
