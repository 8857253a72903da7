# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Activation atlas
#
# Feature visualization shows what units look for one by one; a photo shows some of what a layer can see. An atlas
# shows all of it at once: the activation vectors of many images, those that are alike close together, gathered in the
# cells of a grid, each cell drawn by what its mean looks like. After Carter et al. 2019, doi
# [10.23915/distill.00015](https://doi.org/10.23915/distill.00015).
#
# An atlas wants ten thousand images or more: name a folder of yours below the imports. For want of one, this notebook
# takes pieces of the five photos that come with its packages. That makes a small map of a small world, quickly.

# %%
import shutil

import numpy as np
from charts import bars
from pieces import NAMES, photos, pieces

import pellucid
from pellucid.atlas import class_atlas, compare_classes, place_photo, try_patch
from pellucid.figures import sheet
from pellucid.models import usual_layers

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
layer = usual_layers(model)[-1]  # or one that `model.layers` lists
folder = None  # or "my_photos/": sub-folders may be classes

# %%
pixels, whose = pieces(400, model.size[0])
images = folder or [(piece, NAMES[number]) for piece, number in zip(pixels, whose, strict=True)]
sheet([photo.resize((160, 160)) for photo in photos()], NAMES, columns=5)

# %% [markdown]
# ## Collect, lay out, draw
#
# Of each image a few activation vectors, at places of chance, and what each argues for: h · ∂logit/∂h for every class.
# Then a map in two dimensions (here t-SNE, which starts at once; the default is UMAP), a grid over it, and a picture of
# each cell's mean, with the cosine-weighted objective $(h \cdot v)\max(0.1, \cos(h, v))^4$ and v whitened.

# %%
shutil.rmtree("out/atlas", ignore_errors=True)
atlas = pellucid.build_atlas(
    model, images, "out/atlas", layers=layer, grids=(7,), per_image=5, projection="tsne", icon_size=64, icon_steps=32
)
cells, icons = atlas.cells(layer), atlas.icons(layer)
print(f"{atlas.images} images, {cells.counts.sum()} vectors in {len(cells)} cells")
atlas.picture(layer, side=72)

# %% [markdown]
# ## Is the map true?
#
# The atlas measures itself, each number beside what chance or a simpler method would give.

# %%
for entry in atlas.evidence:
    print("•", entry.sentence)
placed = next(entry for entry in atlas.evidence if entry.control is not None)
assert placed.value > placed.control

# %% [markdown]
# And, since we know which photo every vector is of: are neighbours on the map of one photo more often than chance has
# it? Nobody told the map about photos.

# %%
positions = atlas.positions(layer)
origins = atlas.origins(layer, np.arange(len(positions)))
image_of = np.array([image for _, image, _, _ in origins])
labels = np.array(atlas.sources[0].labels if atlas.sources[0] is not None else [NAMES[number] for number in whose])
known = labels[image_of]
sample = np.random.default_rng(0).permutation(len(positions))[:400]
distance = np.linalg.norm(positions[sample, None] - positions[None], axis=2)
distance[image_of[sample, None] == image_of[None]] = np.inf  # other vectors of the same piece do not count
nearest = distance.argsort(1)[:, :10]
together = float((known[nearest] == known[sample, None]).mean())
chance = float(np.mean([(known == name).mean() ** 2 for name in set(known)]) * len(set(known)))
print(f"of one photo with its ten nearest on the map: {together:.0%}; by chance {chance:.0%}")
assert together > 1.5 * chance

# %% [markdown]
# ## One cell
#
# What it argues for, how many vectors it holds, and from where.

# %%
number = int(cells.counts.argmax())
print(
    f"cell {tuple(cells.places[number].tolist())}: {cells.counts[number]} vectors,",
    f"argues for {atlas.cell_classes(layer, 7, number)}",
)
examples = [image_of[vector] for vector in cells.exemplars[number] if vector >= 0][:5]
sheet(
    [icons.images[number] / 255, *(pixels[example] for example in examples)],
    ["the cell", *(f"piece {place + 1}" for place in range(len(examples)))],
)

# %% [markdown]
# ## Which classes does this map know?
#
# What the network answers to the images, and a map of one class: only vectors that argue for it.

# %%
logits = pellucid.record(model, pixels, "logits")["logits"].values
answers = logits.argmax(1)
count = np.bincount(answers, minlength=len(atlas.labels))
frequent = np.argsort(-count)[:6]
bars([model.label(int(label)) for label in frequent], count[frequent], unit="pieces so answered")

# %%
# The commonest answer of all, and the commonest among pieces of the photo of which the network is least sure.
aim = int(frequent[0])
sure = np.exp(logits).max(1) / np.exp(logits).sum(1)
doubtful = int(np.argmin([sure[whose == photo].mean() for photo in range(len(NAMES))]))
source = int(np.argmax(np.bincount(answers[whose == doubtful], minlength=len(count)) * (np.arange(len(count)) != aim)))
of_class = class_atlas(atlas, model, aim, layer=layer, grid=5)
print(f"{of_class.cells.counts.sum()} vectors argue for {model.label(aim)}")
assert (of_class.cells.attribution[:, aim] > 0).all()
of_class.picture(side=72)

# %% [markdown]
# ## What tells two classes apart?
#
# From left to right runs what a vector argues for the one less what it argues for the other.

# %%
pair = compare_classes(atlas, model, source, aim, layer=layer, grid=4)
across = pair.cells.attribution[:, aim] - pair.cells.attribution[:, source]
assert np.corrcoef(pair.cells.places[:, 0], across)[0, 1] > 0.8
sheet([pair.picture(side=72)], [f"left {model.label(source)}, right {model.label(aim)}"])

# %% [markdown]
# ## A patch that should change the answer
#
# If a cell argues for a class, its picture pasted on a photo of another class should pull the answer over. Which cell,
# size and corner is chosen on images of the atlas, and counted on new pieces that had no part in the choice (though of
# the same photos), beside controls: noise, patches of random cells, and crops of real images of the class aimed at.

# %%
fresh, _ = pieces(400, model.size[0], seed=1)
trial = try_patch(atlas, model, list(fresh), source, aim, layer=layer, keep=False)
print(trial.sentence)
for share in trial.shares:
    print(
        f"  {share.name:14} {share.setting:16} {share.flipped} of {share.total}:",
        f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})",
    )

# %%
flips = {share.name: share.value for share in trial.shares}
assert flips["patch"] >= flips["noise"]
shown = [trial.patch / 255, *(trial.examples[:4] / 255)]
sheet(shown, ["the patch", *[f"read as {model.label(aim)}"] * (len(shown) - 1)], columns=5)

# %% [markdown]
# A crop of a real cup, pasted in the same place, does it as well, more often than not; and a dozen pieces of one
# photo are few. So the sentence does not call it a finding, though the patch worked each time. With thousands of
# images, some are: `docs/atlas.md` has three, with their counts.

# %% [markdown]
# ## Where does a photo lie?
#
# Which cells a photo visits, position by position.

# %%
visits = place_photo(atlas, model, pellucid.example_photos()["chelsea"], keep=False)[0].visits
here = np.floor(positions * 7).astype(int)
of_cat = []
for column, row, count in visits[:5]:
    inside = (here == (column, row)).all(1)
    of_cat.append(float((known[inside] == "cat").mean()) if inside.any() else 0.0)
    print(
        f"cell {column}, {row}: {count} places of the photo;",
        f"{of_cat[-1]:.0%} of the cell's vectors are of pieces of the cat",
    )
assert folder or np.mean(of_cat) > (known == "cat").mean()

# %% [markdown]
# ## The page
#
# `pellucid atlas open out/atlas` opens it: pan and zoom, real pieces behind each cell, search, the maps of classes.
# From a shell, with a folder of images:
#
# ```
# pellucid atlas build photos/ --layers mixed4d --grids 10,20,40 --out atlas/
# ```
#
# Distances on such a map mean little; which things lie side by side means something. What it cannot show: anything that
# none of its images has.
