"""Losses."""

from common import *

BOTH = ["f32", "f64"]
REDUCTIONS = ["none", "mean", "sum"]


def loss(op, f, inputs, args=None, name=None, reductions=REDUCTIONS, **more):
    for reduction in reductions:
        made = {**(args or {}), "reduction": reduction}
        case(op, lambda *t: f(*t, reduction=reduction), inputs, BOTH if reduction == "mean" else ["f32"], made,
             name=f"{name or op}_{reduction}", **more)


# ---- classes
logits, classes = x([6, 5]), x([6], 0, 5, "i64")
for name, args in {"cross_entropy": {}, "cross_entropy_ignore": {"ignore_index": 2},
                   "cross_entropy_smooth": {"label_smoothing": 0.1}, "cross_entropy_smooth_ignore": {"label_smoothing": 0.3, "ignore_index": 0}}.items():
    loss("cross_entropy", lambda t, y, reduction: F.cross_entropy(t, y, reduction=reduction, **args), [logits, classes], args, name)
    loss("cross_entropy", lambda t, y, w, reduction: F.cross_entropy(t, y, w.detach(), reduction=reduction, **args),
         [logits, classes, x([5], 0.1, 2)], {**args, "weight": True}, f"{name}_weight")
loss("cross_entropy", F.cross_entropy, [x([2, 4, 3, 2]), x([2, 3, 2], 0, 4, "i64")], name="cross_entropy_images")
loss("cross_entropy", F.cross_entropy, [x([5]), x([], 0, 5, "i64")], name="cross_entropy_single")
loss("cross_entropy", F.cross_entropy, [x([3, 40]), x([3], 0, 40, "u32")], name="cross_entropy_u32", reductions=["mean"])
for smoothing in (0.0, 0.2):
    f = lambda t, y, reduction: F.cross_entropy(t, y, reduction=reduction, label_smoothing=smoothing)
    loss("cross_entropy", f, [x([4, 5]), x([4, 5], 0, 1)], {"label_smoothing": smoothing}, f"cross_entropy_probabilities_{smoothing}")
f = lambda t, y, w, reduction: F.cross_entropy(t, y, w.detach(), reduction=reduction)
loss("cross_entropy", f, [x([4, 5, 2]), x([4, 5, 2], 0, 1), x([5], 0.1, 2)], {"weight": True}, "cross_entropy_probabilities_weight")
loss("nll_loss", F.nll_loss, [x([6, 5], -3, 0), classes])
f = lambda t, y, w, reduction: F.nll_loss(t, y, w.detach(), ignore_index=1, reduction=reduction)
loss("nll_loss", f, [x([6, 5, 2], -3, 0), x([6, 2], 0, 5, "i64"), x([5], 0.1, 2)], {"weight": True, "ignore_index": 1}, "nll_loss_weight")

# ---- differences
for shape, name in (([3, 4], ""), ([0], "_empty"), ([], "_scalar")):
    reductions = ["none", "sum"] if name == "_empty" else REDUCTIONS
    loss("mse_loss", F.mse_loss, [x(shape), x(shape)], name=f"mse_loss{name}", reductions=reductions)
    loss("l1_loss", F.l1_loss, [x(shape), x(shape)], name=f"l1_loss{name}", reductions=reductions)
for size in (0.5, 2.0):
    loss("huber_loss", lambda t, y, reduction: F.huber_loss(t, y, reduction=reduction, delta=size), [x([3, 4]), x([3, 4])], {"size": size}, f"huber_loss_{size}")
    loss("smooth_l1_loss", lambda t, y, reduction: F.smooth_l1_loss(t, y, reduction=reduction, beta=size), [x([3, 4]), x([3, 4])], {"size": size}, f"smooth_l1_loss_{size}")
loss("smooth_l1_loss", lambda t, y, reduction: F.smooth_l1_loss(t, y, reduction=reduction, beta=0.0), [x([3, 4]), x([3, 4])], {"size": 0.0}, "smooth_l1_loss_0")

# ---- probabilities
loss("binary_cross_entropy", F.binary_cross_entropy, [x([3, 4], 0.02, 0.98), x([3, 4], 0, 1)])
f = lambda t, y, w, reduction: F.binary_cross_entropy(t, y, w.detach(), reduction=reduction)
loss("binary_cross_entropy", f, [x([3, 4], 0.02, 0.98), x([3, 4], 0, 1), x([4], 0, 2)], {"weight": True}, "binary_cross_entropy_weight")
logits = F.binary_cross_entropy_with_logits
loss("binary_cross_entropy_with_logits", logits, [x([3, 4], -40, 40), x([3, 4], 0, 1)])
f = lambda t, y, w, p, reduction: logits(t, y, w.detach(), pos_weight=p.detach(), reduction=reduction)
loss("binary_cross_entropy_with_logits", f, [x([3, 4]), x([3, 4], 0, 1), x([3, 1], 0, 2), x([4], 0, 3)], {"weight": True, "pos_weight": True}, "binary_cross_entropy_with_logits_weight")
for log in (False, True):
    target = x([3, 4], -3, 0) if log else x([3, 4], 0.01, 1)
    loss("kl_div", lambda t, y, reduction: F.kl_div(t, y, reduction=reduction, log_target=log), [x([3, 4], -3, 0), target],
         {"log_target": log}, f"kl_div_{log}", REDUCTIONS + ["batchmean"])
