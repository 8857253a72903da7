# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Building blocks
#
# Every figure of *The Building Blocks of Interpretability* (Olah et al. 2018, doi
# [10.23915/distill.00010](https://doi.org/10.23915/distill.00010)), on a photo of yours: what a layer saw at each place
# (semantic dictionary, activation grid), what argued for the answer (spatial and channel attribution, also between
# layers), and a summary of both (neuron groups and their flow). Each is checked by taking parts away. To look into
# another network, change the line below the imports.

# %%
import numpy as np
from charts import bars, scatter

import pellucid
from pellucid.figures import maps, sheet
from pellucid.models import usual_layers

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
early, layer = usual_layers(model)  # or two that `model.layers` lists
photo = pellucid.example_photos()["chelsea"]  # or "my_photo.jpg"

# %%
# Its activation grids are drawn further below, by a number of steps and not of seconds.
explanation = pellucid.explain(model, photo, layers=[early, layer], grid_seconds=0)
image = explanation.image
first, second = explanation.classes[0], explanation.classes[1]
bars(
    [score.label for score in explanation.classes],
    [100 * score.probability for score in explanation.classes],
    unit="percent",
)

# %% [markdown]
# A network that never learned "cat" as such has to choose among the breeds, big cats and dogs that it knows. Which
# parts of the photo speak for which is what the rest is about. `explain` has computed all of it already; the parts
# are its methods. `explanation.save("page.html")` writes them as a page to click through.
#
# ## Semantic dictionary: one place, its channels, their pictures
#
# An activation vector h at one place is a list of numbers without meaning. Beside a picture of each channel it can be
# read.

# %%
dictionary = explanation.semantic_dictionary(layer)
strength = np.linalg.norm(dictionary.activations, axis=2)
row, column = (int(place) for place in np.unravel_index(strength.argmax(), strength.shape))
strongest = dictionary.at(row, column)[:5]
here = np.zeros_like(strength)
here[row, column] = 1
maps(image, [here], [f"place {row}, {column} of {layer}"], side=220)

# %%
bars(
    [f"channel {channel}" for channel, _ in strongest],
    [value for _, value in strongest],
    unit=f"activation at {row}, {column}",
    icons=[dictionary.icons[channel] for channel, _ in strongest],
)

# %% [markdown]
# Which other places does the layer take for the same? The cosine of their vectors with that one, less the mean.

# %%
units = dictionary.activations / strength[:, :, None]
alike = units @ units[row, column]
assert alike.argmax() == row * strength.shape[1] + column
maps(image, [alike - alike.mean()], [f"like place {row}, {column}"], side=220)

# %% [markdown]
# ## Activation grid: every place at once
#
# For each place, a picture whose centre points in the direction of h there: maximize
# $(h \cdot v)\,\max(0.1, \cos(h, v))^4$ for each cell's own v, all cells sharing their coarse colours. Cells are as
# large as h is long.

# %%
grids = [pellucid.render_grid(model, image, layer=name, steps=24) for name in explanation.layers]
sheet([grid.sized() for grid in grids], explanation.layers, columns=2, side=420)

# %% [markdown]
# Do the cells show what the layer had there? Give each cell to the network, and compare its activations at the middle
# with those of every place of the photo. Chance would hardly ever pick the right place.

# %%
grid = grids[-1]
cells = grid.cells.reshape(-1, grid.side, grid.side, 3).transpose(0, 3, 1, 2)
seen = pellucid.record(model, cells, layer)[layer].values
middle = seen[:, seen.shape[1] // 2, seen.shape[2] // 2]
there = dictionary.activations.reshape(-1, middle.shape[1])
cosine = (middle / np.linalg.norm(middle, axis=1, keepdims=True)) @ (there / np.linalg.norm(there, axis=1)[:, None]).T
own = float((cosine.argsort(1)[:, -3:] == np.arange(len(cosine))[:, None]).any(1).mean())
print(f"own place among the three most alike: {own:.0%}; by chance {3 / len(cosine):.0%}")
assert own > 0.25

# %% [markdown]
# ## Spatial attribution: which places argue for the answer?
#
# $a_{hwc} = h_{hwc}\,\partial y/\partial h_{hwc}$, summed over channels; y is the class's logit.

# %%
every = [(score.label, name) for score in (first, second) for name in explanation.layers]
maps(
    image,
    [explanation.attribution(name, label).positions() for label, name in every],
    [f"{name}: {label}" for label, name in every],
    columns=4,
    side=210,
)

# %% [markdown]
# How far a gradient carries depends on the network. So the page shows first, and `explanation.spatial` gives, a map
# that is made to agree with what happens when places and squares of places are really removed (`method="removal"`).

# %%
maps(
    image,
    [explanation.spatial(name, label).positions() for label, name in every],
    [f"{name}: {label}" for label, name in every],
    columns=4,
    side=210,
)

# %% [markdown]
# The same between layers: which places of the earlier layer made what the later one has at one place?

# %%
links = explanation.influences[early, layer][row, column]
assert np.allclose(
    links, pellucid.attribute(model, image, layer=early, target=f"{layer}@{row},{column}").positions(), atol=1e-2
)
maps(image, [links], [f"feeds place {row}, {column} of {layer}"], side=220)

# %% [markdown]
# ## Channel attribution: which channels?
#
# The same numbers summed over places. Teal supports, orange inhibits.

# %%
argued = explanation.channels(layer, first.label)
told = [*argued.supporting(5), *reversed(argued.inhibiting(3))]
bars(
    [f"channel {channel}" for channel, _ in told],
    [value for _, value in told],
    unit=f"adds to the logit of {first.label}",
    icons=[explanation.icons[layer][channel] for channel, _ in told],
)

# %% [markdown]
# ## Two classes: why this one and not the other?
#
# Attribution is linear in y, so that of a difference is the difference of the attributions.

# %%
versus = explanation.channels(layer, first.label, versus=second.label)
both = pellucid.attribute(model, image, layer=layer, target=first.index, versus=second.index)
assert np.allclose(versus.values, both.by_channel(), atol=1e-3)
told = [*versus.supporting(4), *reversed(versus.inhibiting(4))]
icons = pellucid.render(
    model,
    [f"{layer}:{channel}@centre" for channel, _ in told],
    size=96,
    steps=64,
    alpha=True,
    cache=pellucid.store.SHIPPED,
)
bars(
    [f"channel {channel}" for channel, _ in told],
    [value for _, value in told],
    unit=f"← {second.label}      {first.label} →",
    icons=icons.images,
)

# %%
maps(image, [both.positions()], [f"{first.label} (teal) or {second.label} (orange)"], side=260)

# %% [markdown]
# ## Neuron groups
#
# The activations as a matrix of places × channels, factorized in two non-negative ones (NMF): each group is a place on
# the photo times a mixture of channels. Its picture is that of its mixture; its attribution is
# $\sum (\text{its part}) \cdot \partial y / \partial h$.

# %%
groups = explanation.groups(layer, 6)
worth = explanation.attribution(layer, first.label).by_group(groups)
order = np.argsort(-worth)
maps(
    image,
    [groups.spatial[0, :, :, group] for group in order],
    [f"{worth[group]:+.1f} to {first.label[:16]}" for group in order],
    columns=6,
    side=190,
)

# %%
places = explanation.group_icon_places[layer][6, False]
sheet([explanation.group_icons[layer][places[group]] for group in order], columns=6, side=190)

# %% [markdown]
# The groups leave something over, and it is counted: parts and remainder add up to the whole.

# %%
found = explanation.attribution(layer, first.label)
assert np.isclose(worth.sum() + found.remainder(groups), found.total, atol=1e-4)
print(f"six groups have {1 - groups.error**2:.0%} of the activations' energy")
print(f"attribution: groups {worth.sum():+.2f}, remainder {found.remainder(groups):+.2f}, together {found.total:+.2f}")

# %% [markdown]
# ## Group flow
#
# Groups of the earlier layer that are made to match the later ones (aligned), how much each feeds each, and what the
# later ones add to the classes. Rows are later groups, columns earlier ones: aligned groups lie on the diagonal.

# %%
flow = explanation.flow([early, layer])
shares = np.abs(flow.links[0])
chance = np.abs(explanation.flow([early, layer], align=False).links[0])
aligned, plain = shares.trace() / shares.sum(), chance.trace() / chance.sum()
print(f"|attribution| from each group to its own: {aligned:.0%} aligned, {plain:.0%} when not aligned")
assert aligned > plain
for label, row_of_links in zip(flow.classes, flow.class_links, strict=True):
    print(f"{label[:20]:20}", " ".join(f"{value:+6.2f}" for value in row_of_links))

# %%
maps(
    image,
    [*(flow.groups[0].spatial[0, :, :, group] for group in range(6)),
     *(flow.groups[1].spatial[0, :, :, group] for group in range(6))],
    [*(f"{early}, group {group}" for group in range(6)), *(f"{layer}, group {group}" for group in range(6))],
    columns=6,
)  # fmt: skip

# %% [markdown]
# ## Is it true?
#
# Take each group away in turn and run the rest of the network: what does the answer lose, and what had attribution said
# that it would lose?

# %%
whole = pellucid.record(model, image[None], "logits")["logits"].values[0]
classes = [score.index for score in explanation.classes]
units = [(groups, group) for group in range(6)]
lost = whole[classes] - pellucid.intervene_each(model, image, layer=layer, units=units)[:, classes]
said = np.stack([explanation.attributions[layer][number].by_group(groups) for number in classes], 1)
agreement = np.corrcoef(said.ravel(), lost.ravel())[0, 1]
assert agreement > 0.7
scatter(
    said,
    lost,
    across="what attribution says that the group adds",
    up="what is lost without it",
    title=f"6 groups × {len(classes)} classes: correlation {agreement:.2f}",
)

# %% [markdown]
# And single places, which neighbours may make up for? How well attribution predicts their removal depends on the
# network and the layer (on InceptionV1, much less well than for channels: `docs/attribution.md`), so it is measured
# each time. The map of `spatial` was made from such measurements and should agree at least as well.

# %%
for name in explanation.layers:
    lost = whole[first.index] - pellucid.intervene_each(model, image, layer=name, units="positions")[:, first.index]
    agree = [
        np.corrcoef(found.positions().ravel(), lost)[0, 1]
        for found in (explanation.attribution(name, first.label), explanation.spatial(name, first.label))
    ]
    print(f"{name}: single places, r = {agree[0]:.2f} by the gradient, {agree[1]:.2f} of the map that removals made")
    assert agree[1] > agree[0] - 0.05
for entry in explanation.evidence[:6]:
    print("•", entry.sentence)

# %%
effect = pellucid.intervene(model, image, layer=layer, remove=[(groups, int(order[0]))])
print(effect)
assert effect.change(first.label) < 0

# %%
print(explanation.save("out/building_blocks.html"))
