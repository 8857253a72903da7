# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Ten minutes: look into a network
#
# A neural network looks at a photo and says *espresso*. Why? This notebook opens it up. You need to know some Python
# and nothing about neural networks.
#
# Such a network is a long calculation, from the pixels of a photo to a number for each thing that it knows. *Training*
# made it: it was shown photos with their names, and after every few of them corrected a little.
#
# Everything runs on your machine, in about a minute: the network (a small one that knows a hundred things) and the
# photo come with Pellucid. What is said below of pictures is about these two. To look into others, change the lines
# below the imports.

# %%
import numpy as np
from charts import bars, scatter  # charts.py, beside this notebook

import pellucid
from pellucid.features.objectives import direction
from pellucid.figures import maps, sheet
from pellucid.models import usual_layers
from pellucid.store import SHIPPED  # pictures that come with the package, so that they need not be rendered

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
early, layer = usual_layers(model)  # two of its layers, see below; `model.layers` lists all
photo = pellucid.example_photos()["coffee"]  # or "my_photo.jpg"

# %%
image = pellucid.load_image(photo, size=model.size)  # numbers from 0 to 1: [red green blue, height, width]
sheet([image], side=220)

# %% [markdown]
# ## What does it answer?
#
# The network computes one number for each thing that it knows, the *logit*: the larger, the more this photo looks like
# that thing to the network. Probabilities are made from the logits: they are all positive and add up to 100 %.
# `record` reads what a network computes; `image[None]` is a list of one photo.

# %%
logits = pellucid.record(model, image[None], "logits")["logits"].values[0]
probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
best = np.argsort(-logits)[:5]
answer = int(best[0])
bars([model.label(int(number)) for number in best], 100 * probabilities[best], unit="percent")

# %% [markdown]
# It says *espresso*, with 87 %. The rest of this notebook is about where the logit of espresso comes from.

# %% [markdown]
# ## What is inside?
#
# A row of *layers*, each computed from the one before. Each lays a grid over the photo, and at every place of the grid
# a few hundred detectors say how strongly they respond there. The detectors are called *channels*, and what they say
# their *activations*. Nobody told them what to detect: they came about because they help to give right answers.

# %%
activations = pellucid.record(model, image[None], layer)[layer].values[0]
rows, columns, channels = activations.shape
print(f"{layer}: {rows} × {columns} places, {channels} channels: {activations.size:,} numbers for this photo")
print(f"{(activations == 0).mean():.0%} of them are zero: most detectors are silent in most places")

# %% [markdown]
# The six channels that respond most to this photo, and where. Dark teal is strong.

# %%
strongest = np.argsort(-activations.mean((0, 1)))[:6]
maps(image, [activations[:, :, channel] for channel in strongest], [f"channel {channel}" for channel in strongest])

# %% [markdown]
# Channel 42 responds to the coffee and at some places beside it, channel 257 to the table. Where it responds does not
# yet say to what.

# %% [markdown]
# ## What does a channel look for?
#
# Ask it. Start from noise, change the picture a little so that the channel responds more, and again, some dozens of
# times. What comes out is whatever excites this channel most. This is called *feature visualization*.

# %%
rendering = pellucid.render(model, [f"{layer}:{channel}" for channel in strongest], steps=96)
sheet(rendering.images, rendering.targets)

# %% [markdown]
# These are no photos, but patterns. Look for what repeats: channel 42 wants brown discs in pale rims.
#
# Is it true? Show the pictures to the network, as if they were photos. Each channel should respond to its own picture
# far more than it did to the photo.

# %%
shown = pellucid.record(model, rendering.images.transpose(0, 3, 1, 2), layer)[layer].values.mean((1, 2))
on_photo = activations.mean((0, 1))
times = [float(shown[place, channel] / on_photo[channel]) for place, channel in enumerate(strongest)]
print("times as strong as on the photo:", ", ".join(f"{each:.1f}" for each in times))
assert min(times) > 1

# %% [markdown]
# ## Which places argue for the answer?
#
# *Attribution* divides the answer's logit among the parts of a layer: how much would the logit fall if this part were
# a little weaker? Teal argues for the answer, orange against it. First for each place, in an earlier layer and in the
# one from above:

# %%
found = pellucid.attribute(model, image, layer=layer, target=answer)
assert np.isclose(found.positions().sum(), found.by_channel().sum())
earlier = pellucid.attribute(model, image, layer=early, target=answer)
maps(image, [earlier.positions(), found.positions()], [early, layer], side=240)

# %% [markdown]
# The coffee argues for espresso; the table, where channels responded as well, hardly matters. To respond and to matter
# are two things.
#
# The same numbers can be added up for each channel. Below are the four that argue most for the answer and the three
# that argue most against it, each with a small picture of what excites it, made as above.

# %%
order = np.argsort(-found.by_channel())
told = [*order[:4], *order[-3:]]
icons = pellucid.render(
    model, [f"{layer}:{channel}@centre" for channel in told], size=96, steps=64, alpha=True, cache=SHIPPED
).images
bars(
    [f"channel {channel}" for channel in told],
    [found.by_channel()[channel] for channel in told],
    unit=f"adds to the logit of {model.label(answer)}",
    icons=icons,
)

# %% [markdown]
# ## Is that true as well?
#
# Attribution is a prediction. Take each channel away in turn, let the rest of the network run again, and look at what
# really happens. Every channel is a point: further to the right, attribution says that it adds more; further up, more
# was lost without it. If attribution is right, the points lie on the line.

# %%
measured = logits[answer] - pellucid.intervene_each(model, image, layer=layer, units="channels")[:, answer]
predicted = found.by_channel()
agreement = np.corrcoef(predicted, measured)[0, 1]
assert agreement > 0.8
scatter(
    predicted,
    measured,
    across="what attribution says that the channel adds",
    up="what is lost without it",
    title=f"{channels} channels of {layer}: correlation {agreement:.2f}",
)

# %% [markdown]
# They do, nearly all: a *correlation* of 1 would be perfect, 0 no better than chance. Here attribution can be believed.
# A few points lie far above: without these channels more was lost than was foretold.

# %% [markdown]
# ## A summary
#
# Hundreds of channels are too many to read. Channels that respond together in the same places can be put together, to a
# handful of *groups*: here six, the one that argues most for the answer first. Where each is on the photo:

# %%
groups = pellucid.factorize(pellucid.record(model, image[None], layer)[layer], 6)
worth = found.by_group(groups)
order = np.argsort(-worth)
maps(
    image,
    [groups.spatial[0, :, :, group] for group in order],
    [f"adds {worth[group]:+.1f} to {model.label(answer)[:14]}" for group in order],
)

# %% [markdown]
# And what excites each, in the same order:

# %%
sheet(pellucid.render(model, [direction(layer, groups.channels[group]) for group in order], steps=96).images, side=192)

# %% [markdown]
# The first three are the coffee, the wall of the cup above it, and the rim at both sides. The table, the fifth, adds
# nothing.

# %% [markdown]
# ## All of it, to click through
#
# `explain` does all of the above and more, and writes one page that opens from the disk. Here it stays a file, so that
# this notebook is small; end a cell with `explanation` to have the page below it.

# %%
explanation = pellucid.explain(model, photo, layers=[early, layer], quick=True)
page = explanation.save("out/tutorial.html")
print(f"{page}: {page.stat().st_size / 1e6:.1f} MB")
assert explanation.classes[0].index == answer

# %% [markdown]
# ## What to keep in mind
#
# - A channel's picture shows what excites it *most*; it may respond to other things too: notebook
#   `feature_visualization`.
# - Attribution is a prediction, best trusted where it was tested: notebook `trust`.
# - Names such as "the handle detector" are ours. The network has none.
#
# For the methods behind each step: *Feature Visualization* (Olah, Mordvintsev, Schubert 2017, doi
# [10.23915/distill.00007](https://doi.org/10.23915/distill.00007)) and *The Building Blocks of Interpretability* (Olah
# et al. 2018, doi [10.23915/distill.00010](https://doi.org/10.23915/distill.00010)).
