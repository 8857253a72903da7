# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Transformers
#
# A vision transformer cuts the picture in squares and turns each into a *token*, a vector that travels through the
# network and exchanges information with the others (Dosovitskiy et al. 2021, [arXiv
# 2010.11929](https://arxiv.org/abs/2010.11929)). Pellucid lays the tokens out as a grid again and treats them like
# the positions of a convolutional layer; class and register tokens are kept apart.
#
# With random weights nothing here would mean anything. So the first part trains a small transformer on drawn pictures
# in which the truth is known, and the second looks into a real one (DeiT-Tiny, Touvron et al. 2021, [arXiv
# 2012.12877](https://arxiv.org/abs/2012.12877)) where its weights are at hand: in a folder that `PELLUCID_DATA`
# names, or by `pellucid.load("timm:deit_tiny_patch16_224")`, which downloads them. Without, that part is left out.

# %%
import os
from pathlib import Path

import numpy as np
import torch
from charts import bars
from torch import nn
from torch.nn import functional

import pellucid
from pellucid.features import transforms
from pellucid.figures import overlay, sheet

# %% [markdown]
# ## A small one, whose task we know
#
# Somewhere on a cluttered ground lies one shape; its kind is the answer. Attribution ought to point at its tokens.

# %%
LABELS = ["disc", "ring", "cross"]
SIDE, PATCH = 32, 4


def draw(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Pictures [count, 3, 32, 32] in [0, 1], their classes, and where the shape is, bool [count, 32, 32]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images, labels, masks = [], random.integers(0, 3, count), []
    for label in labels:
        radius = random.uniform(5, 7)
        down, right = y - random.uniform(8, 24), x - random.uniform(8, 24)
        distance, inside = np.hypot(down, right), np.maximum(abs(down), abs(right)) < radius
        shape = [
            distance < radius,
            abs(distance - radius + 1) < 1.2,
            inside & (np.minimum(abs(down), abs(right)) < 1.6),
        ][label]
        picture = np.full((3, SIDE, SIDE), random.uniform(0.15, 0.4)) + random.normal(0, 0.04, (3, SIDE, SIDE))
        for _ in range(6):  # clutter: small squares of other colours
            top, left, side = *random.integers(0, SIDE - 3, 2), random.integers(2, 4)
            picture[:, top : top + side, left : left + side] = random.uniform(0.1, 0.7, (3, 1, 1))
        picture = np.where(shape, random.uniform(0.6, 1, (3, 1, 1)), picture)
        images.append(picture.clip(0, 1))
        masks.append(shape)
    return torch.tensor(np.stack(images), dtype=torch.float32), torch.tensor(labels), np.stack(masks)


class SmallTransformer(nn.Module):
    """Three blocks of attention over 8 × 8 tokens and one class token."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), nn.GELU(), nn.Conv2d(width, width, PATCH, PATCH))
        self.place = nn.Parameter(0.02 * torch.randn(1, 1 + (SIDE // PATCH) ** 2, width))
        self.start = nn.Parameter(torch.zeros(1, 1, width))
        layer = [
            nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(3)
        ]
        self.blocks, self.norm, self.head = nn.ModuleList(layer), nn.LayerNorm(width), nn.Linear(width, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(pixels).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], 1) + self.place
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)[:, 0])


torch.manual_seed(0)
network = SmallTransformer()
images, answers, _ = draw(1600, seed=1)
tests, truth, masks = draw(200, seed=2)
optimizer = torch.optim.AdamW(network.parameters(), 0.003)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, 12 * 32)
for _ in range(12):
    for rows in torch.randperm(len(images)).split(50):
        loss = functional.cross_entropy(network((images[rows] - 0.5) / 0.25), answers[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
model = pellucid.wrap(network.eval(), size=SIDE, mean=0.5, std=0.25, labels=LABELS, name="small")
logits = pellucid.record(model, tests, "logits")["logits"].values
print(f"{(logits.argmax(1) == truth.numpy()).mean():.0%} of 200 unseen pictures named rightly")
assert (logits.argmax(1) == truth.numpy()).mean() > 0.8
sheet(list(tests[:6]), [LABELS[label] for label in truth[:6]], side=130)

# %%
for name in ("blocks.0", "blocks.1", "blocks.2"):
    place = model.layer(name)
    print(
        f"{name}: {place.kind}, {place.rows} × {place.columns} × {place.channels}, and {place.extra_tokens} token apart"
    )

# %% [markdown]
# ## Which tokens argue for the answer?
#
# Attribution along a path (`integrated`), because attention is anything but linear. We know where the shape is: how
# much of |attribution| lies on tokens that touch it, and how much of the area do they have?

# %%
touched = masks.reshape(len(masks), 8, PATCH, 8, PATCH).any((2, 4))
right = np.flatnonzero(logits.argmax(1) == truth.numpy())[:40]


def argues(number: int, layer: str, method: str) -> pellucid.Attribution:
    """What argues for the right answer rather than for the strongest other one."""
    first, rival = (int(label) for label in np.argsort(-logits[number])[:2])
    return pellucid.attribute(model, tests[number], layer=layer, target=first, versus=rival, method=method, steps=16)


def on_shape(layer: str, method: str) -> float:
    """How many times its share of the tokens the shape has of |attribution|, mean over 40 pictures."""
    shares = []
    for number in right:
        found = argues(number, layer, method)
        size = np.abs(found.positions())
        shares.append(size[touched[number]].sum() / size.sum() / touched[number].mean())
    return float(np.mean(shares))


table = {
    f"{layer}, {method}": on_shape(layer, method)
    for layer in ("blocks.0", "blocks.1")
    for method in ("linear", "integrated")
}
assert max(table.values()) > 1.5
bars(list(table), list(table.values()), unit="times as much attribution on the shape as chance would put there")

# %%
shown = [int(number) for number in right[:6]]
sheet(
    [argues(number, "blocks.0", "integrated").picture(tests[number]) for number in shown],
    [LABELS[truth[number]] for number in shown],
)

# %% [markdown]
# Where it is, attribution tells well. Its sign is less to be relied on here: after the first block every token has
# seen every other, and what argues for a *cross* may as well be what the empty ground says of the shape that it does
# not have.

# %% [markdown]
# ## Take tokens away
#
# Removing tokens from a block's output takes from all later blocks what they would have told them. Nine at a time, a
# square of three by three, since neighbours know much of what one token knows.

# %%
lost = {"on the shape": [], "elsewhere": []}
for number in right[:20]:
    label = int(truth[number])
    without = pellucid.intervene_each(model, tests[number], layer="blocks.0", units="squares", fill="mean")[:, label]
    fallen = (logits[number, label] - without).reshape(8, 8)
    lost["on the shape"].append(fallen[touched[number]].mean())
    lost["elsewhere"].append(fallen[~touched[number]].mean())
print({place: round(float(np.mean(values)), 3) for place, values in lost.items()})
assert np.mean(lost["on the shape"]) > np.mean(lost["elsewhere"])

# %% [markdown]
# ## What do its channels look for?
#
# Channels of a transformer have both signs, and directions matter more than channels: groups of positive and negative
# parts, or the principal components of the tokens, are often better questions. Here the classes and some directions.

# %%
gentle = [transforms.Pad(4), transforms.Jitter(4)]
classes = pellucid.render(model, [f"logits:{label}" for label in LABELS], steps=96, transforms=gentle)
tokens = pellucid.record(model, tests, "blocks.1")["blocks.1"].values
components = pellucid.factorize(tokens, 3, method="pca")
directions = [pellucid.Direction("blocks.1", sign * vector) for vector in components.channels[1:3] for sign in (1, -1)]
drawn = pellucid.render(model, directions, steps=96, transforms=gentle)
assert (
    pellucid.record(model, classes.images.transpose(0, 3, 1, 2), "logits")["logits"].values.argmax(1) == range(3)
).all()
sheet(
    [*classes.images, *drawn.images],
    [*LABELS, "component 2, +", "component 2, −", "component 3, +", "component 3, −"],
    columns=7,
    side=130,
)

# %%
sheet(
    [overlay(tests[number], components.spatial[number, :, :, 1]) for number in shown],
    ["component 2"] * 6,
)

# %% [markdown]
# ## A real one
#
# DeiT-Tiny: 12 blocks, 14 × 14 tokens of 192 channels.

# %%
weights = [
    Path(folder) / "models" / "deit_tiny_patch16_224.safetensors"
    for folder in os.environ.get("PELLUCID_DATA", "").split(os.pathsep)
]
weights = next((path for path in weights if path.is_file()), None)
deit = pellucid.load("timm:deit_tiny_patch16_224", weights=weights) if weights else None
print("DeiT-Tiny is at hand" if deit else "no weights of DeiT-Tiny at hand: the rest is left out")

# %%
if deit:
    photos = [pellucid.load_image(path, size=deit.size) for path in pellucid.example_photos().values()]
    logits = pellucid.record(deit, np.stack(photos), "logits")["logits"].values
    for name, row in zip(pellucid.example_photos(), logits, strict=True):
        print(name, "→", ", ".join(deit.label(int(index)).split(",")[0] for index in np.argsort(-row)[:3]))
    assert "espresso" in deit.label(int(logits[0].argmax()))

# %%
if deit:
    names = ["blocks.2", "blocks.5", "blocks.8"]
    found = [
        pellucid.attribute(deit, photo, layer=name, target=int(row.argmax()), method="integrated", steps=12)
        for photo, row in zip(photos, logits, strict=True)
        for name in names
    ]

# %%
sheet([each.picture(photos[place // 3]) for place, each in enumerate(found)], names * 2) if deit else None

# %% [markdown]
# Principal components of its tokens over both photos, three of them as red, green and blue: what is of one kind gets
# one colour. Some tokens stand out where there is little to see; larger transformers are known to keep things of
# their own in such places (Darcet et al. 2023, [arXiv 2309.16588](https://arxiv.org/abs/2309.16588)).

# %%
if deit:
    tokens = pellucid.record(deit, np.stack(photos), "blocks.9")["blocks.9"].values
    parts = pellucid.factorize(tokens, 4, method="pca").spatial[..., 1:]
    low, high = np.percentile(parts, 2, (0, 1, 2)), np.percentile(parts, 98, (0, 1, 2))
    coloured = ((parts - low) / (high - low)).clip(0, 1)
    shown = [photos[0], coloured[0], photos[1], coloured[1]]

# %%
sheet(shown, ["photo", "tokens"] * 2, columns=4, sharp=True) if deit else None

# %% [markdown]
# Three channels of a block, and the classes that it gave to the photos.

# %%
if deit:
    signs = pellucid.record(deit, np.stack(photos), "blocks.6")["blocks.6"].values.mean((1, 2))
    busiest = [int(channel) for channel in np.argsort(-np.abs(signs[0] - signs[1]))[:3]]
    goals = [f"blocks.6:{channel}" for channel in busiest] + [f"logits:{int(row.argmax())}" for row in logits]
    drawn = pellucid.render(deit, goals, steps=64)
    captions = [*goals[:3], *(deit.label(int(row.argmax())).split(",")[0] for row in logits)]

# %%
sheet(drawn.images, captions, columns=5) if deit else None

# %% [markdown]
# Transformers give poorer pictures than convolutional networks from the same settings: single channels of the residual
# stream are not privileged, and tokens beyond the first blocks mix places. Directions found on real images (components,
# `factorize`, a sparse dictionary) and attribution with removal carry further than pictures of single channels.
