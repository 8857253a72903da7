# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # DeepDream
#
# Whatever a layer sees in a photo, more of it: $\max_x \operatorname{mean}(h^2)$, from coarse to fine. The first
# pictures of this kind (Mordvintsev, Olah, Tyka, *Inceptionism*, 2015) made many people curious about networks. They
# show what a layer has words for, wherever it can read them into a photo. To dream with another network, change the
# line below the imports.

# %%
import numpy as np
import torch

import pellucid
from pellucid.features.objectives import DeepDream
from pellucid.figures import sheet
from pellucid.models import stages, usual_layers

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
early, layer = usual_layers(model)  # or two that `model.layers` lists
photo = pellucid.example_photos()["chelsea"]  # or "my_photo.jpg"

# %%
lowest = stages(model)[len(stages(model)) // 4]
image = pellucid.load_image(photo, size=224)  # any size: the picture is worked on in tiles

# %% [markdown]
# ## Layer by layer
#
# Early layers dream of edges and textures, later ones of parts of things.

# %%
dreams = {name: pellucid.dream(model, image, name, octaves=3, steps=10) for name in (lowest, early, layer)}
sheet([image, *dreams.values()], ["photo", *dreams], columns=4, side=240)


# %%
def energy(pixels: np.ndarray, name: str) -> float:
    """Mean of h² in a layer."""
    return float(np.square(pellucid.record(model, pixels[None], name)[name].values).mean())


for name, dreamt in dreams.items():
    before, after = energy(image.numpy(), name), energy(dreamt.transpose(2, 0, 1), name)
    print(f"{name}: mean of h² {before:.4f} on the photo, {after:.4f} on the dream, {after / before:.1f} times as much")
    assert after > 1.5 * before

# %% [markdown]
# ## How much
#
# `steps` and `step_size` say how far it goes, `octaves` how large the things that appear may be.

# %%
mild = pellucid.dream(model, image, layer, octaves=3, steps=4)
strong = pellucid.dream(model, image, layer, octaves=3, steps=20, step_size=0.02)
fine = pellucid.dream(model, image, layer, octaves=1, steps=12)
change = [float(np.abs(each.transpose(2, 0, 1) - image.numpy()).mean()) for each in (mild, strong)]
assert change[0] < change[1]
sheet([mild, strong, fine], ["4 steps", "20 larger steps", "one octave"], columns=3, side=240)

# %% [markdown]
# ## A dream about something
#
# Any target or objective: a class, a channel, or what the layer sees in *another* picture (here, what the cup has that
# the cat has not).

# %%
logits = pellucid.record(model, pellucid.load_image(photo, size=model.size)[None], "logits")["logits"].values[0]
other = pellucid.load_image(pellucid.example_photos()["coffee"], size=model.size)
mine = pellucid.record(model, torch.stack([pellucid.load_image(photo, size=model.size), other]), layer)[layer].values
channel = int((mine[1].mean((0, 1)) - mine[0].mean((0, 1))).argmax())
goals = {
    f"class {model.label(int(logits.argmax()))}": f"logits:{int(logits.argmax())}",
    f"channel {channel}, of the cup": f"{layer}:{channel}",
    f"{early} and {layer}": DeepDream(early) + 0.5 * DeepDream(layer),
}
about = {name: pellucid.dream(model, image, goal, octaves=3, steps=10) for name, goal in goals.items()}
sheet(list(about.values()), list(about), columns=3, side=240)

# %%
raised = pellucid.record(model, about[f"channel {channel}, of the cup"].transpose(2, 0, 1)[None], layer)[layer].values
before = pellucid.record(model, image[None], layer)[layer].values
print(
    f"channel {channel}: {before[..., channel].mean():.3f} on the photo, {raised[..., channel].mean():.3f} on the dream"
)
assert raised[..., channel].mean() > 2 * before[..., channel].mean()

# %% [markdown]
# ## From nothing
#
# Noise instead of a photo, and after each dream a small step into it. What appears is all the network's own.

# %%
torch.manual_seed(0)
scene = (0.5 + 0.15 * torch.randn(3, 160, 160)).clamp(0, 1).numpy()
scenes = []
for _ in range(4):
    scene = pellucid.dream(model, scene, layer, octaves=3, steps=6).transpose(2, 0, 1)
    scenes.append(scene)
    inner = torch.from_numpy(np.ascontiguousarray(scene[None, :, 8:-8, 8:-8]))
    scene = torch.nn.functional.interpolate(inner, (160, 160), mode="bicubic").clamp(0, 1)[0].numpy()
sheet(scenes, [f"dream {number + 1}" for number in range(4)], columns=4, side=200)

# %% [markdown]
# A dream is a picture for the eye. What a layer made of *this* photo, and nothing else, is better read off an
# activation grid (`building_blocks`) or a caricature (`parametrizations`).
