"""Gradients through several operations: shared operands, views of views, written slices, recurrence, small networks."""

from common import *


def mlp(t, w1, b1, w2, b2):
    return F.linear(torch.tanh(F.linear(t, w1, b1)), w2, b2).log_softmax(-1)


def views(t):
    flat = t.narrow(1, 1, 2).permute(2, 0, 1).reshape(-1)
    rows = flat.reshape(5, 6).unsqueeze(0).expand(2, 5, 6)
    return rows.sin() * flat.reshape(5, 6).narrow(1, 2, 1) * t.select(0, 1).t().reshape(5, 4).narrow(1, 0, 1)


def write_slice(t, s):
    first = torch.cat([t[:, :1], s, t[:, 3:]], 1)
    second = torch.cat([s * 2, first[:, 2:]], 1)
    return first * second


def recurrent(t, w):
    h = t
    for _ in range(8):
        h = torch.tanh(t + h @ w)
    return h


def block(t, wn, wq, wkv, wo, wg):
    """Attention and a gated layer with residuals, as in a decoder."""
    b, n, d = t.shape
    h = t * torch.rsqrt(t.square().mean(-1, keepdim=True) + 1e-5) * wn
    q = F.linear(h, wq).reshape(b, n, 2, d // 2).transpose(1, 2)
    k, v = F.linear(h, wkv).reshape(b, n, 2, 1, d // 2).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) * 0.5 + torch.full((n, n), -math.inf, dtype=t.dtype).triu(1)
    t = t + F.linear((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d), wo)
    return t + F.linear(F.silu(F.linear(t, wg)) * t, wo)


small = [x([3, 4]), x([5, 4]), x([5]), x([2, 5]), x([2])]
case("mlp", mlp, small, ["f32", "f64", "f16"])
case("checkpointed_mlp", mlp, small, ["f32", "f64"], second=False)
case("used_twice", lambda t: t * t + t * t.sum(), [x([3, 4])], ["f32", "f64"])
case("views", views, [x([3, 4, 5])], ["f32", "f64"])
case("write_slice_twice", write_slice, [x([3, 4, 2]), x([3, 2, 2])], ["f32", "f64"])
case("recurrent", recurrent, [x([3, 4]), x([4, 4], -0.5, 0.5)], ["f32", "f64"])
case("tied_embedding", lambda i, w: F.linear(F.embedding(i.long(), w), w), [x([2, 3], 0, 7, "u32"), x([7, 4])], ["f32", "f64"])
case("decoder_block", block, [x([2, 3, 4]), x([4], 0.5, 1.5)] + [x([4, 4], -0.7, 0.7)] * 4, ["f32", "f64"])
