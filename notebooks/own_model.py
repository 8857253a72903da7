# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Your own model
#
# Any `torch.nn.Module` that takes a batch of images can be looked into. It is not changed. This notebook makes two
# small networks, a convolutional one and a transformer, trains them for a minute on drawn shapes, and asks both the
# same questions. For a network of yours, replace `make_cnn()` in the next cell; the rest stays.

# %%
import numpy as np
import torch
from torch import nn
from torch.nn import functional

import pellucid
from pellucid.features import transforms
from pellucid.figures import sheet


def make_cnn() -> nn.Module:
    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        *(*block(3, 16), *block(16, 32), *block(32, 32)[:3]),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4)),
    )


network = make_cnn()

# %% [markdown]
# ## Something to learn
#
# Pictures of 32 px: a disc, a ring, a cross or a set of bars, in any colour, anywhere, on a ground of any other colour.

# %%
LABELS = ["disc", "ring", "cross", "bars"]
SIDE = 32


def draw(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [count, 3, 32, 32] in [0, 1], and which shape each shows."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images, labels = [], random.integers(0, 4, count)
    for label in labels:
        radius = random.uniform(7, 11)
        down, right = y - random.uniform(10, 22), x - random.uniform(10, 22)
        distance, inside = np.hypot(down, right), np.maximum(abs(down), abs(right)) < radius
        shape = [
            distance < radius,
            abs(distance - radius + 1.5) < 1.5,
            inside & (np.minimum(abs(down), abs(right)) < 2),
            inside & (np.mod(down, 5) < 2.5),
        ][label]
        ground, colour = random.uniform(0.1, 0.9, (2, 3, 1, 1))
        picture = np.where(shape, colour, ground) + random.normal(0, 0.03, (3, SIDE, SIDE))
        images.append(picture.clip(0, 1))
    return torch.tensor(np.stack(images), dtype=torch.float32), torch.tensor(labels)


images, answers = draw(1500, seed=1)
unseen, truth = draw(300, seed=2)
sheet(list(images[:8]), [LABELS[label] for label in answers[:8]], columns=8, side=110)


# %%
def train(network: nn.Module, epochs: int, rate: float) -> float:
    """Share of unseen pictures that are named rightly after so many passes over the others."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), rate)
    batches = epochs * (len(images) // 50)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, batches)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(50):
            loss = functional.cross_entropy(network((images[rows] - 0.5) / 0.25), answers[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        return float((network((unseen - 0.5) / 0.25).argmax(1) == truth).float().mean())


rightly = train(network, epochs=6, rate=0.01)
print(f"{rightly:.0%} of 300 unseen pictures named rightly")
assert rightly > 0.9

# %% [markdown]
# ## Wrapping it
#
# `mean` and `std` are what training subtracted from a pixel in [0, 1] and divided by. They are the one thing that
# cannot be found out: with wrong ones everything runs, and the pictures are poor.

# %%
model = pellucid.wrap(network, size=SIDE, mean=0.5, std=0.25, labels=LABELS, name="shapes")
for each in model.layers.values():
    print(f"{each.name:8} {each.kind:7} {each.channels:3} channels, {each.rows} × {each.columns}")

# %% [markdown]
# Take a layer after an activation function: `6` is the second ReLU. What does each of its channels look for, and
# which place of a picture argues for the answer? Small pictures need small shifts, so the usual robustness
# transforms, made for pictures of 224 px, are replaced.

# %%
small = [transforms.Pad(4), transforms.Jitter(4), transforms.Rotate((-5.0, 0.0, 5.0))]
rendering = pellucid.render(model, "6:0-15", steps=64, transforms=small)
sheet(rendering.images, rendering.targets, columns=8, side=110)

# %% [markdown]
# A picture that stays grey belongs to a channel that nothing can excite: training let it die.

# %%
classes = pellucid.render(model, [f"logits:{label}" for label in LABELS], steps=96, transforms=small)
read_as = pellucid.record(model, classes.images.transpose(0, 3, 1, 2), "logits")["logits"].values.argmax(1)
assert list(read_as) == [0, 1, 2, 3], "the network reads each class's picture as that class"
sheet(classes.images, LABELS, columns=4, side=140)

# %% [markdown]
# These are not drawings of a disc or a cross: they are whatever raises that answer most. A network of three layers that
# averages over the picture can tell shapes by counting edges and corners, and that is what its pictures show.

# %%
shown = [int(np.flatnonzero(truth.numpy() == label)[0]) for label in range(4)]
arguing = [pellucid.attribute(model, unseen[number], layer="6", target=int(truth[number])) for number in shown]
for number, found in zip(shown, arguing, strict=True):
    without = pellucid.intervene_each(model, unseen[number], layer="6", units="channels")[:, int(truth[number])]
    whole = pellucid.record(model, unseen[number][None], "logits")["logits"].values[0, int(truth[number])]
    agreement = np.corrcoef(found.by_channel(), whole - without)[0, 1]
    print(f"{LABELS[truth[number]]}: attribution against removal of each of 32 channels, r = {agreement:.2f}")
    assert agreement > 0.8
sheet(
    [found.picture(picture) for found, picture in zip(arguing, unseen[shown], strict=True)],
    [f"what argues for {label}" for label in LABELS],
)

# %% [markdown]
# ## A transformer
#
# The same picture cut in 8 × 8 squares, each of them a *token*. Pellucid finds that these tokens are a grid and treats
# them as one; the class token is kept apart.


# %%
class SmallTransformer(nn.Module):
    """A vision transformer of two blocks (Dosovitskiy et al. 2021, arXiv 2010.11929)."""

    def __init__(self, width: int = 48, patch: int = 4, classes: int = 4) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.GELU(), nn.Conv2d(width, width, patch, patch))
        self.place = nn.Parameter(0.02 * torch.randn(1, 1 + (SIDE // patch) ** 2, width))
        self.start = nn.Parameter(torch.zeros(1, 1, width))
        layers = [nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)]
        self.blocks = nn.ModuleList([*layers, nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, batch_first=True)])
        self.head = nn.Linear(width, classes)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(pixels).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], 1) + self.place
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens[:, 0])


torch.manual_seed(1)
transformer = SmallTransformer()
rightly = train(transformer, epochs=12, rate=0.003)
print(f"{rightly:.0%} of 300 unseen pictures named rightly")
assert rightly > 0.6

# %%
tokens = pellucid.wrap(transformer, size=SIDE, mean=0.5, std=0.25, labels=LABELS, name="tokens")
print(tokens.layer("blocks.0"))
arguing = [
    pellucid.attribute(tokens, unseen[number], layer="blocks.0", target=int(truth[number]), method="integrated")
    for number in shown
]
without = pellucid.intervene_each(tokens, unseen[shown[1]], layer="blocks.0", units="channels")[:, 1]
whole = pellucid.record(tokens, unseen[shown[1]][None], "logits")["logits"].values[0, 1]
print(
    "attribution against removal of each of 48 channels:",
    f"r = {np.corrcoef(arguing[1].by_channel(), whole - without)[0, 1]:.2f}",
)
assert all(found.positions().shape == (8, 8) for found in arguing)
sheet(
    [found.picture(picture) for found, picture in zip(arguing, unseen[shown], strict=True)],
    [f"what argues for {label}" for label in LABELS],
)

# %% [markdown]
# ## It comes back as it was
#
# Mode, hooks, gradients and weights: nothing of your module was changed.

# %%
assert not network.training
assert all(parameter.requires_grad for parameter in network.parameters())
assert not any(part._forward_hooks for part in network.modules())
network.train()
pellucid.record(model, unseen[:2], "6")
assert network.training, "it was training before, and is after"
print("untouched, in mode", "train" if network.training else "eval")

# %% [markdown]
# ## The whole page

# %%
explanation = pellucid.explain(model, unseen[shown[2]], layers=["2", "6"], quick=True, n_groups=3)
print(explanation)
print(explanation.save("out/own_model.html"))

# %% [markdown]
# | your network | |
# | --- | --- |
# | returns a tuple, a dictionary or an object | `wrap(…, output=0)`, `output="logits"`, `output=lambda result: …` |
# | takes grey pictures, or seven channels | nothing to do; `channels=` says it where it cannot be read off |
# | is of timm or torchvision | `pellucid.load("timm:resnet50")`, with their own weights and preprocessing |
# | is on a GPU | move it there before `wrap`; everything then happens there |
