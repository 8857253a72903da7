# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Feature visualization
#
# What does a unit respond to? An image x is searched for that makes it fire:
#
# $$x^* = \arg\max_x\; \mathbb{E}_t\, f(t(x))$$
#
# with f the unit's activation and t a small random change of the picture (a shift, a turn, a zoom) that is drawn anew
# at every step, so that only what survives such changes is left. After *Feature Visualization* (Olah, Mordvintsev,
# Schubert 2017, doi [10.23915/distill.00007](https://doi.org/10.23915/distill.00007)). To look into another network,
# change the line below the imports.

# %%
import numpy as np
import torch
from charts import curves
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import pellucid
from pellucid.features import images, transforms
from pellucid.features.objectives import Magnitude, TotalVariation, channel, logit
from pellucid.figures import sheet
from pellucid.models import usual_layers

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
early, layer = usual_layers(model)  # or two that `model.layers` lists

# %%
photos = [pellucid.load_image(path, size=model.size) for path in pellucid.example_photos().values()]
means = pellucid.record(model, np.stack(photos), layer)[layer].values.mean((1, 2))
unit, other, third = (int(number) for number in np.argsort(-means.max(0))[:3])
print(f"channels of {layer} that fire most on the two photos of the package: {unit}, {other}, {third}")

# %% [markdown]
# ## What is optimized: a neuron, a channel, a layer, a class
#
# The same search with other questions. A *channel* is the same detector at every place, so its picture is full of what
# it looks for; a *neuron* is the detector at one place, here the centre; a class is the end of the network.

# %%
answer = int(pellucid.record(model, photos[0][None], "logits")["logits"].values[0].argmax())
goals = [f"{layer}:{unit}@centre", f"{layer}:{unit}", f"logits:{answer}"]
rendering = pellucid.render(model, goals, steps=128)
sheet(
    rendering.images, [f"neuron {unit}, centre", f"channel {unit}", f"class {model.label(answer)}"], columns=3, side=220
)

# %% [markdown]
# How it grows. `snapshots` keeps the picture after some steps, `objective` what it was worth after each.

# %%
growing = pellucid.render(model, f"{layer}:{unit}", steps=128, snapshots=[1, 4, 16, 48, 128])
assert growing.objective[0, -1] > 3 * growing.objective[0, 0]
sheet([growing.snapshots[step][0] for step in growing.snapshots], [f"step {step}" for step in growing.snapshots])

# %%
curves({f"{layer}:{unit}": growing.objective[0]}, across="step", up="mean activation")

# %% [markdown]
# ## Other answers to the same question: diversity
#
# One picture is one answer. Pushed apart (the Gram matrices of their activations should be unlike), several pictures
# show what else the unit responds to; pushed too far, some show nothing of it.

# %%
diverse = pellucid.render_diverse(model, f"{layer}:{unit}", copies=4, diversity=0.7, steps=96)
plain = pellucid.render_diverse(model, f"{layer}:{unit}", copies=4, diversity=0.0, steps=96)


def likeness(rendering: pellucid.Rendering) -> float:
    """Mean cosine of the pictures' Gram matrices in the layer."""
    grids = pellucid.record(model, rendering.images.transpose(0, 3, 1, 2), layer)[layer].values
    flat = grids.reshape(len(grids), -1, grids.shape[3])
    gram = np.einsum("npc,npd->ncd", flat, flat).reshape(len(grids), -1)
    gram /= np.linalg.norm(gram, axis=1, keepdims=True)
    return float((gram @ gram.T)[~np.eye(len(gram), dtype=bool)].mean())


def strength(rendering: pellucid.Rendering) -> np.ndarray:
    """The unit's mean activation on each picture."""
    return pellucid.record(model, rendering.images.transpose(0, 3, 1, 2), layer)[layer].values[..., unit].mean((1, 2))


print(f"likeness of four plain pictures {likeness(plain):.2f}, of four diverse ones {likeness(diverse):.2f}")
shares = strength(diverse) / strength(plain).mean()
print("the diverse ones fire the unit as strongly as the plain ones:", ", ".join(f"{share:.0%}" for share in shares))
assert likeness(diverse) < likeness(plain)
sheet([*plain.images, *diverse.images], ["plain"] * 4 + ["diverse"] * 4, columns=4)

# %% [markdown]
# ## The other direction: negative units
#
# What makes the channel fall? After a ReLU an activation cannot fall below zero, so ask a layer before it. Parts of a
# block that lie before their ReLU are there under their own names (`model.layers` lists all of them): here, the last
# one up to the earlier layer that has numbers below zero.

# %%
names = list(model.layers)
inside = [name for name in names[: names.index(early) + 1] if model.layers[name].kind != "vector"]
recorded = pellucid.record(model, photos[0][None], inside)
signed = [name for name in inside if recorded[name].values.min() < 0][-1]
on_photo = recorded[signed].values[0].mean((0, 1))
wide = int(np.argsort(-np.abs(on_photo))[0])
both = pellucid.render(model, [f"{signed}:{wide}", f"-{signed}:{wide}"], steps=96)
reached = pellucid.record(model, both.images.transpose(0, 3, 1, 2), signed)[signed].values[..., wide].mean((1, 2))
print(f"{signed}:{wide}: {reached[0]:+.2f} on its picture, {reached[1]:+.2f} on the picture of its opposite")
assert reached[0] > 0 > reached[1]
sheet(both.images, ["what raises it", "what lowers it"], side=200)

# %% [markdown]
# ## Two units at once: interaction
#
# Objectives add up. The sum of two units asks for a picture that both like.

# %%
first, second = channel(layer, unit), channel(layer, other)
joint = pellucid.render(model, [first, first + second, second, first - second], steps=96)
sheet(joint.images, [f"{unit}", f"{unit} + {other}", f"{other}", f"{unit} − {other}"], columns=4)

# %% [markdown]
# From one unit to another. The pictures share their coarse structure, so that one turns into the next.

# %%
between = pellucid.render_interpolation(model, f"{layer}:{unit}", f"{layer}:{third}", copies=6, steps=96)
values = pellucid.record(model, between.images.transpose(0, 3, 1, 2), layer)[layer].values.mean((1, 2))
assert values[0, unit] > values[-1, unit]
assert values[0, third] < values[-1, third]
sheet(between.images, [f"{share:.0%} of {third}" for share in np.linspace(0, 1, 6)])

# %% [markdown]
# ## With and without regularization
#
# What is optimized, and what it has to withstand, decides how a picture looks. On most networks, bare pixels give
# noise that fires the unit as well as anything (try `pellucid.load("inception_v1")` above). The network inside the
# package was trained to withstand small changes of its input, and its gradients are tidy by themselves: here the
# difference is one of grain. What total variation costs is stated in units of what the unit is worth (`Magnitude`), so
# that it suits any network.

# %%
settings = {
    "pixels, no transforms": {"parametrization": images.Pixel(), "transforms": []},
    "+ total variation": {"parametrization": images.Pixel(), "transforms": []},
    "pixels, transforms": {"parametrization": images.Pixel()},
    "Fourier, no transforms": {"transforms": []},
    "Fourier, transforms": {},
    "natural spectrum (MACO)": None,
}
found = {}
for name, options in settings.items():
    goal = first - 2 * TotalVariation() * Magnitude(first) if "variation" in name else first
    found[name] = (
        pellucid.render_magnitude_constrained(model, goal, steps=96)
        if options is None
        else pellucid.render(model, goal, steps=64, **options)
    )
sheet([each.images[0] for each in found.values()], list(found), columns=3, side=210)


# %%
def fineness(image: np.ndarray) -> float:
    """Share of the picture's energy above a quarter of the highest frequency, its mean apart."""
    power = np.abs(np.fft.fft2(image - image.mean((0, 1)), axes=(0, 1))) ** 2
    high = np.hypot(*np.meshgrid(np.fft.fftfreq(image.shape[1]), np.fft.fftfreq(image.shape[0]))) > 0.125
    return float(power[high].sum() / power.sum())


for name, each in found.items():
    print(f"{name:24} {fineness(each.images[0]):.0%} of the energy in fine detail")
assert fineness(found["pixels, no transforms"].images[0]) > fineness(found["Fourier, transforms"].images[0])

# %% [markdown]
# ## Any number of channels
#
# A network need not see red, green and blue. This one sees the brightness of two pictures at once, as from two
# satellites' bands, and tells which is shifted against the other; it is trained for a few seconds.

# %%
torch.manual_seed(0)


def two_bands(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [count, 2, 28, 28] in [0, 1]: in both bands the same pattern, or in the second its negative."""
    pattern = functional.interpolate(torch.rand(count, 1, 7, 7), (28, 28), mode="bicubic").clamp(0, 1)
    same = torch.rand(count) < 0.5
    return torch.cat([pattern, torch.where(same[:, None, None, None], pattern, 1 - pattern)], 1), same.long()


def trained(network: nn.Module, make, steps: int) -> nn.Module:
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        pixels, answers = make(64)
        loss = functional.cross_entropy(network((pixels - 0.5) / 0.25), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def small(bands: int, classes: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(bands, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 24, 5, 2, 2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes)),
    )


bands = pellucid.wrap(trained(small(2, 2), two_bands, 150), size=28, channels=2, mean=0.5, std=0.25)
gentle = [transforms.Pad(4), transforms.Jitter(4)]
pair = pellucid.render(bands, ["logits:1", "logits:0"], steps=96, transforms=gentle).images
same, opposite = (np.corrcoef(image[..., 0].ravel(), image[..., 1].ravel())[0, 1] for image in pair)
print(f"correlation of the two bands: {same:+.2f} in the picture of 'same', {opposite:+.2f} in that of 'opposite'")
assert same > 0 > opposite
sheet(
    [pair[0, ..., 0], pair[0, ..., 1], pair[1, ..., 0], pair[1, ..., 1]],
    ["same: band 1", "same: band 2", "opposite: band 1", "opposite: band 2"],
    columns=4,
    side=150,
)

# %% [markdown]
# ## Small images
#
# Digits of 8 × 8 px (they come with scikit-learn), enlarged to 28: what does each digit look like to
# a network that knows nothing else? Small pictures need small transforms; the usual ones would push them out of the
# frame.

# %%
digits = load_digits()
grey = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
grey = functional.interpolate(grey, (28, 28), mode="bilinear").clamp(0, 1)
rows = iter(torch.randint(0, 1500, (400, 64)))


def some_digits(_count: int) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = next(rows)
    return grey[chosen], torch.tensor(digits.target[chosen])


reader = trained(small(1, 10), some_digits, 400)
with torch.no_grad():
    rightly = float((reader((grey[1500:] - 0.5) / 0.25).argmax(1).numpy() == digits.target[1500:]).mean())
print(f"{rightly:.0%} of 297 unseen digits read rightly")
assert rightly > 0.8
reading = pellucid.wrap(reader, size=28, channels=1, mean=0.5, std=0.25, labels=[str(digit) for digit in range(10)])
rest = 0.1 * sum(logit(digit) for digit in range(10))  # a digit and not the others: the logit less the mean of all
drawn = pellucid.render(reading, [logit(digit) - rest for digit in range(10)], steps=96, transforms=gentle)
read_as = pellucid.record(reading, drawn.images.transpose(0, 3, 1, 2), "logits")["logits"].values.argmax(1)
print("the network reads the ten pictures as", *read_as)
assert (read_as == np.arange(10)).mean() >= 0.8
sheet(drawn.images, [str(digit) for digit in range(10)], columns=10, side=90)

# %% [markdown]
# The network reads each of them as its digit, and hardly anyone else would: a network that averages over the picture
# counts strokes and their directions. A picture of a unit shows what the *network* goes by, which may not be what we
# do.
#
# ## Limits
#
# A picture fires its unit several times as strongly as any photo; it is not a typical photo of what the unit sees.
# Networks can be made whose pictures mislead (Geirhos et al. 2023, [arXiv
# 2306.04719](https://arxiv.org/abs/2306.04719)); the notebook `trust` measures that. Real photos beside a picture
# help people more than the picture alone (Borowski et al. 2021, [arXiv
# 2010.12606](https://arxiv.org/abs/2010.12606)).
