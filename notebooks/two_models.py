# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Comparing two models
#
# What did fine-tuning change? Did two training runs learn the same? Which detector of one network is which of the
# other? Here a copy of a network is trained on for a minute (to tell of which of five photos a piece is), and set
# beside the original and beside a network of the same shape with random weights, for scale. To begin with another
# network, change the line below the imports; to compare two of yours, replace `second` as well.

# %%
import copy

import numpy as np
import torch
from charts import bars, curves
from pieces import NAMES, pieces
from torch import nn
from torch.nn import functional

import pellucid
from pellucid.figures import maps, sheet
from pellucid.models import stages, usual_layers

# %%
first = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
layers, layer = stages(first), usual_layers(first)[-1]
side = 2 * first.size[0] // 3  # of the pieces, px: smaller than usual, so that it is done in a minute

# %%
pixels, whose = pieces(200, side, seed=1)


def tuned(model: pellucid.Model) -> pellucid.Model:
    """A copy that has learned to say of which photo a piece is; every weight may change."""
    torch.manual_seed(0)
    module = copy.deepcopy(model.module).requires_grad_()
    head = nn.Linear(len(model.labels), len(NAMES))
    images, photo = pieces(320, side, seed=2)
    optimizer = torch.optim.AdamW(
        [{"params": module.parameters(), "lr": 1e-4}, {"params": head.parameters(), "lr": 1e-2}], weight_decay=0.0
    )
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (model.mean, model.std))
    for _ in range(4):
        for rows in torch.randperm(len(images)).split(32):
            # Colours are shuffled and dimmed, so that it has to learn more than which photo is red.
            batch = torch.from_numpy(images[rows.numpy()])[:, torch.randperm(3)] * (
                0.6 + 0.4 * torch.rand(len(rows), 1, 1, 1)
            )
            loss = functional.cross_entropy(head(module((batch - mean) / std)), torch.from_numpy(photo[rows.numpy()]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    whole = nn.Sequential(module, head).eval().requires_grad_(False)
    with torch.no_grad():
        guesses = whole((torch.from_numpy(pixels) - mean) / std).argmax(1).numpy()
    print(f"{(guesses == whose).mean():.0%} of 200 new pieces said rightly")
    return pellucid.wrap(
        module.eval(), size=model.size, mean=model.mean, std=model.std, labels=model.labels, name="tuned"
    )


def scrambled(model: pellucid.Model) -> pellucid.Model:
    """The same architecture with each weight tensor's numbers in random order."""
    torch.manual_seed(0)
    module = copy.deepcopy(model.module)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(weight.flatten()[torch.randperm(weight.numel())].view_as(weight))
    return pellucid.wrap(module, size=model.size, mean=model.mean, std=model.std, labels=model.labels, name="scrambled")


second, chance = tuned(first), scrambled(first)

# %% [markdown]
# ## How alike are the layers?
#
# Linear CKA (Kornblith et al. 2019, [arXiv 1905.00414](https://arxiv.org/abs/1905.00414)): with X and Y two layers'
# activations on the same images, centred, $\|Y^\top X\|_F^2 / (\|X^\top X\|_F \|Y^\top Y\|_F)$. 1 means the same up
# to a turn and a scale. The scrambled network shows what two unrelated networks have in common merely because their
# images are the same.


# %%
def responses(model: pellucid.Model) -> dict[str, np.ndarray]:
    """By layer, each image's mean activations: [images, channels]."""
    recorded = pellucid.record(model, pixels, layers)
    return {name: found.values.mean((1, 2)) for name, found in recorded.items()}


def cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(0), y - y.mean(0)
    return float(np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


seen = {model.name: responses(model) for model in (first, second, chance)}
alike = {
    f"{first.name} and {model.name}": np.array([cka(seen[first.name][name], seen[model.name][name]) for name in layers])
    for model in (first, second, chance)
}
print(f"{'linear CKA of':14}", *alike, sep="   ")
for place, name in enumerate(layers):
    print(f"{name:14}", *(f"{values[place]:{len(pair)}.2f}" for pair, values in alike.items()), sep="   ")
itself, trained, random = alike.values()
assert np.allclose(itself, 1)
assert trained[0] > trained[-1] > random[-1], "late layers change most, and stay nearer than chance"
curves(alike, across=f"stage, from {layers[0]} to {layers[-1]}", up="linear CKA")

# %% [markdown]
# ## Which channel is which?
#
# Channels of both networks whose responses to the same images rise and fall together. A fine-tuned network keeps the
# numbers of its channels, so the truth is known here: channel 7 should find channel 7.


# %%
def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[channels of x, channels of y]; 0 for a channel that is the same on all images."""
    x, y = ((each - each.mean(0)) / np.maximum(each.std(0), 1e-6) for each in (x, y))
    return x.T @ y / len(x)


matched = correlations(seen[first.name][layer], seen[second.name][layer])
own = float((matched.argmax(1) == np.arange(len(matched))).mean())
by_chance = correlations(seen[first.name][layer], seen[chance.name][layer])
print(f"{layer}: {own:.0%} of channels find themselves; 1 in {len(matched)} would by chance")
print(
    f"best correlation of a channel, median: {np.median(matched.max(1)):.2f};",
    f"with the scrambled network {np.median(by_chance.max(1)):.2f}",
)
assert own > 0.5

# %% [markdown]
# ## What has changed, and what has not
#
# The channels whose responses changed least and most, drawn for both networks from the same start.

# %%
same = np.diag(matched)
alive = seen[first.name][layer].std(0) > np.median(seen[first.name][layer].std(0))
order = [int(channel) for channel in np.argsort(-np.where(alive, same, np.nan)) if alive[channel]]
steady, moved = order[:4], order[-4:]
drawn = {
    model.name: pellucid.render(model, [f"{layer}:{channel}" for channel in (*steady, *moved)], steps=64)
    for model in (first, second)
}
sheet(
    [*drawn[first.name].images, *drawn[second.name].images],
    [
        *(f"{channel}: r = {same[channel]:.2f}" for channel in (*steady, *moved)),
        *(f"{channel}, tuned" for channel in (*steady, *moved)),
    ],
    columns=8,
    side=135,
)

# %% [markdown]
# Are they pictures of the same thing? What the original's whole layer does on the picture that either network made of a
# channel, beside pictures of different channels.

# %%
made = [
    pellucid.record(first, each.images.transpose(0, 3, 1, 2), layer)[layer].values.mean((1, 2))
    for each in drawn.values()
]
likeness = np.corrcoef(*made)[:8, 8:]
same_channel, others = np.diag(likeness), likeness[~np.eye(8, dtype=bool)]
print(
    f"steady channels r = {same_channel[:4].mean():.2f}, changed ones {same_channel[4:].mean():.2f},",
    f"different channels {others.mean():.2f}",
)
assert same_channel.min() > others.mean()

# %% [markdown]
# ## The same photo
#
# What both say, and where they look. Attribution of one class, side by side and on one scale.

# %%
image = pellucid.load_image(pellucid.example_photos()["coffee"], size=first.size)
logits = {model.name: pellucid.record(model, image[None], "logits")["logits"].values[0] for model in (first, second)}
answer = int(logits[first.name].argmax())
for model in (first, second):
    print(
        f"{model.name}: {first.label(int(logits[model.name].argmax()))};",
        f"logit of {first.label(answer)} {logits[model.name][answer]:.1f}",
    )
found = [pellucid.attribute(model, image, layer=layer, target=answer) for model in (first, second)]
maps(image, [each.positions() for each in found], [first.name, second.name], side=240, together=True)

# %%
change = found[1].by_channel() - found[0].by_channel()
told = [int(channel) for channel in (*np.argsort(-change)[:3], *np.argsort(change)[:3])]
bars(
    [f"channel {channel}" for channel in told],
    change[told],
    unit=f"change of what the channel adds to {first.label(answer)}",
    icons=pellucid.render(second, [f"{layer}:{channel}" for channel in told], steps=64, size=side).images,
)

# %% [markdown]
# ## Limits
#
# CKA on two hundred pieces of five photos says how alike two layers are *on these*. High correlation is no proof that
# two channels mean the same: both may follow a third thing that these images share. Two networks that were trained
# apart have no channels in common by number; matching by correlation, as above, is then all there is.
