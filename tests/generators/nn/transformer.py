"""The small transformer of docs/pytorch.md, trained 100 steps: initial weights, data, and the loss of every step.

Run:  python tests/generators/nn/transformer.py      (numpy, torch >= 1.13, safetensors)
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

STEPS, BATCH, LENGTH, VOCABULARY, CLASSES = 100, 16, 12, 24, 4
torch.manual_seed(0)
torch.set_num_threads(1)


class Classifier(nn.Module):
    def __init__(self, vocabulary, size, classes):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size)
        self.position = nn.Parameter(torch.randn(LENGTH, size) * 0.02)
        layer = nn.TransformerEncoderLayer(size, 4, 4 * size, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(size))
        self.head = nn.Linear(size, classes)

    def forward(self, ids, padding):
        x = self.embedding(ids) + self.position[: ids.shape[1]]
        x = self.encoder(x, src_key_padding_mask=padding)
        real = (~padding).unsqueeze(-1).float()
        return self.head((x * real).sum(1) / real.sum(1))


# Sequences of 4 to 12 ids, the rest padding (id 0); the class is which quarter of the vocabulary the larger of the first
# and the last id falls into.
lengths = torch.randint(4, LENGTH + 1, (STEPS, BATCH))
padding = torch.arange(LENGTH) >= lengths.unsqueeze(-1)
ids = torch.randint(1, VOCABULARY, (STEPS, BATCH, LENGTH)).masked_fill(padding, 0)
last = ids.gather(-1, (lengths - 1).unsqueeze(-1)).squeeze(-1)
classes = torch.maximum(ids[..., 0], last) * CLASSES // VOCABULARY

model = Classifier(VOCABULARY, 24, CLASSES)
golden = {f"model.{k}": v.clone() for k, v in model.state_dict().items()}
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
losses = []
for step in range(STEPS):
    loss = F.cross_entropy(model(ids[step], padding[step]), classes[step])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
golden |= {"ids": ids.byte(), "padding": padding.byte(), "classes": classes.byte(), "losses": torch.tensor(losses)}
target = Path(__file__).resolve().parents[2] / "golden" / "nn" / "transformer.safetensors"
save_file({k: v.contiguous() for k, v in golden.items()}, target, {"torch": torch.__version__})
print(target, target.stat().st_size, losses[0], losses[49], losses[-1])
