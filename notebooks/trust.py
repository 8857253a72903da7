# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # How far to trust it
#
# Explanations are easy to make and easy to believe. This notebook asks of each kind: what would it look like if it
# meant nothing? Every measure stands beside a control, and every section ends with something that *should* fail, to
# see that it does. To look into another network, change the line below the imports.

# %%
import dataclasses

import numpy as np
from charts import bars, curves, scatter
from pieces import NAMES, pieces

import pellucid
from pellucid.figures import maps, sheet
from pellucid.models import usual_layers
from pellucid.trust import correlation, misleading, randomize_cascade, removal_curves, stability

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
early, layer = usual_layers(model)  # or two that `model.layers` lists
photo = pellucid.example_photos()["coffee"]  # or "my_photo.jpg"

# %%
image = pellucid.load_image(photo, size=model.size)
logits = pellucid.record(model, image[None], "logits")["logits"].values[0]
answer = int(logits.argmax())
h = pellucid.record(model, image[None], layer)[layer].values[0]
found = pellucid.attribute(model, image, layer=layer, target=answer)

# %% [markdown]
# ## Does attribution predict what removal does?
#
# For each channel, what attribution says that it adds to the logit, and what is lost without it. Beside it the simplest
# rival: mere strength of activation. If that did as well, attribution would be idle talk.

# %%
lost = logits[answer] - pellucid.intervene_each(model, image, layer=layer, units="channels")[:, answer]
said = correlation(found.by_channel(), lost)
strength = correlation(h.sum((0, 1)), lost)
print(f"attribution r = {said:.2f}, mere strength r = {strength:.2f}")
assert said > 0.8
assert said > strength + 0.2
scatter(
    found.by_channel(),
    lost,
    across="attribution",
    up="what is lost without the channel",
    title=f"{len(lost)} channels of {layer}: r = {said:.2f}",
)

# %% [markdown]
# The same for places, by several methods. Which of them to believe differs between networks and layers, so measure it
# on yours. (`removal` is made from such measurements, at single places and at squares: it shows what can be reached.)

# %%
without = pellucid.intervene_each(model, image, layer=layer, units="positions")[:, answer]
lost_places = (logits[answer] - without).reshape(h.shape[:2])
ways = {}
for method in ("linear", "integrated", "relaxed", "grad_cam", "sampled", "removal"):
    ways[method] = pellucid.attribute(model, image, layer=layer, target=answer, method=method, steps=16).positions()
ways["mere strength"] = np.linalg.norm(h, axis=2)
agreement = {name: correlation(values, lost_places) for name, values in ways.items()}
assert agreement["linear"] > agreement["mere strength"]
bars(list(agreement), list(agreement.values()), unit="correlation with what removing each place does")

# %%
maps(image, [lost_places, *ways.values()], ["measured", *ways], columns=4)

# %% [markdown]
# ## Deletion and insertion
#
# Take places away in the order of the map, the most important first, and put them into an empty layer in that order.
# A good order makes the logit fall early and rise early; the area between both curves says how good. The control is
# random orders (Petsiuk et al. 2018, [arXiv 1806.07421](https://arxiv.org/abs/1806.07421)).

# %%
ordered = removal_curves(model, image, found.positions(), layer=layer, label=answer, steps=16)
print(ordered.evidence("spatial", model.label(answer)).sentence)
assert ordered.gap > ordered.random_gaps.max()
curves(
    {
        "deletion": (ordered.shares, ordered.deletion),
        "insertion": (ordered.shares, ordered.insertion),
        "random deletion": (ordered.shares, ordered.random_deletion.mean(0)),
        "random insertion": (ordered.shares, ordered.random_insertion.mean(0)),
    },
    across="share of the places",
    up=f"logit of {model.label(answer)}",
)

# %% [markdown]
# **What should fail:** the map upside down.

# %%
wrong = removal_curves(model, image, found.positions()[::-1, ::-1].copy(), layer=layer, label=answer, steps=16)
print(
    f"gap of the map {ordered.gap:.2f}, of the map upside down {wrong.gap:.2f},",
    f"of random orders up to {ordered.random_gaps.max():.2f}",
)
assert wrong.gap < ordered.gap

# %% [markdown]
# ## Is it stable?
#
# Noise, a little light, a shift by a pixel: the same photo to us. The map should stay.


# %%
def map_of(view) -> np.ndarray:
    return pellucid.attribute(model, view, layer=layer, target=answer).positions()


steady = stability(model, image, map_of, copies=2)
print(steady.evidence("spatial").sentence)
assert steady.correlations.mean() > steady.control
bars(
    [*steady.changes, "the photo upside down"], [*steady.correlations, steady.control], unit="correlation with the map"
)

# %% [markdown]
# ## Does it depend on what the network has learned?
#
# Shuffle the weights, from the last layer down. A map that stays as it was tells of the photo and not of the network
# (Adebayo et al. 2018, [arXiv 1810.03292](https://arxiv.org/abs/1810.03292)). Beside it mere strength of the early
# layer, which knows nothing of the classes and should notice later.


# %%
def of_class(network: pellucid.Model) -> np.ndarray:
    return pellucid.attribute(network, image, layer=early, target=answer).positions()


def of_photo(network: pellucid.Model) -> np.ndarray:
    return np.linalg.norm(pellucid.record(network, image[None], early)[early].values[0], axis=2)


shuffled = randomize_cascade(model, of_class, control_of=of_photo, stages=6)
print(shuffled.evidence("spatial").sentence)
assert shuffled.sensitivity > 1 - np.abs(shuffled.controls).mean()
curves(
    {"attribution": np.r_[1, shuffled.similarities[0]], "mere strength": np.r_[1, shuffled.controls[0]]},
    across="stage: how far down the weights are shuffled",
    up="correlation with the map before",
)

# %% [markdown]
# ## Is a picture true to its unit?
#
# A rendering fires its unit strongly; that is what it was made for. But by the same route as real images do? For each
# picture: how unusual is the activation, does it raise other units more, and do its activations in earlier layers,
# and what they contribute to the unit, look like those of the unit's natural exemplars (Geirhos et al. 2023, [arXiv
# 2306.04719](https://arxiv.org/abs/2306.04719))? 0 is what other units' exemplars reach, 1 what its own reach among
# one another. The natural images here are pieces of five photos; thousands of different ones are what this is made
# for.

# %%
natural, whose = pieces(500, model.size[0])
means = pellucid.record(model, natural, layer)[layer].values.mean((1, 2))
by_photo = np.stack([means[whose == number].mean(0) for number in range(len(NAMES))])
# Of four photos the channel that prefers it most to the others: units that are about different things.
chosen = [int((by_photo[number] - np.delete(by_photo, number, 0).mean(0)).argmax()) for number in range(4)]
rendering = pellucid.render(model, [f"{layer}:{channel}" for channel in chosen], steps=96)
survey = pellucid.trust.survey_images(model, natural, [layer])
judged = rendering.judged(model, survey)
for entry in judged.evidence[:4]:
    print(f"{entry.about}, {entry.name}: {entry.sentence}")

# %%
exemplars = []
for channel in chosen:
    unit = pellucid.trust.as_feature(model, f"{layer}:{channel}")
    exemplars.append([natural[each.number] for each in survey.exemplars(unit, 30)[::10]])
shown = [picture for image_of, real in zip(rendering.images, exemplars, strict=True) for picture in (image_of, *real)]
sheet(
    shown,
    [text for channel in chosen for text in (f"{layer}:{channel}", "photo", "photo", "photo")],
    columns=8,
    side=135,
)

# %% [markdown]
# **What should fail:** the same pictures under one another's names.

# %%
swapped = dataclasses.replace(rendering, images=np.roll(rendering.images, 1, axis=0)).judged(model, survey)


def says(judged: pellucid.Rendering, verdict: str) -> int:
    """How many of the measures speak so."""
    return sum(entry.says == verdict for entry in judged.evidence)


print("right names:", {verdict: says(judged, verdict) for verdict in ("for", "against", "nothing")})
print("wrong names:", {verdict: says(swapped, verdict) for verdict in ("for", "against", "nothing")})
print("to beware of, by the evidence:", misleading(judged.evidence), "and", misleading(swapped.evidence))
assert says(swapped, "against") > says(judged, "against")
assert says(judged, "for") > says(swapped, "for")

# %% [markdown]
# ## Other seeds, other groups
#
# Two things that an explanation should not depend on, and does a little: the seed of a rendering, and the number of
# groups.

# %%
seeds = [pellucid.render(model, f"{layer}:{chosen[0]}", steps=64, seed=seed) for seed in range(4)]
responses = [
    pellucid.record(model, each.images.transpose(0, 3, 1, 2), layer)[layer].values[0].mean((0, 1)) for each in seeds
]
same = np.mean([correlation(responses[0], other) for other in responses[1:]])
others = pellucid.record(model, rendering.images.transpose(0, 3, 1, 2), layer)[layer].values.mean((1, 2))
different = np.mean([correlation(others[0], other) for other in others[1:]])
print(
    f"all channels' responses: to four seeds of one unit r = {same:.2f}, to pictures of four units r = {different:.2f}"
)
assert same > different
sheet([each.images[0] for each in seeds], [f"seed {seed}" for seed in range(4)], columns=4)

# %%
grouped = pellucid.factorize_range(h, range(2, 13))
errors = np.array([groups.error for groups in grouped.values()])
assert (np.diff(errors) < 0.01).all()
curves({"groups": (np.arange(2, 13), errors)}, across="number of groups", up="share of the activations left over")

# %% [markdown]
# ## What no measure here can tell
#
# That the *story* is right: that a channel is "about handles". Removal shows what a channel does for this answer on
# this photo, in a state (a channel at zero) that no photo produces. Evidence narrows down what may be believed; it
# does not believe for you. All measures with their rates on networks whose truth is known: `docs/trust.md`.
