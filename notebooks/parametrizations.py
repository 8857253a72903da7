# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Differentiable parametrizations
#
# Not the pixels are optimized, but something from which the picture is computed. As long as that computation has a
# gradient, anything will do, and what it is decides how the result looks. After *Differentiable Image
# Parameterizations* (Mordvintsev, Pezzotti, Schubert, Olah 2018, doi
# [10.23915/distill.00012](https://doi.org/10.23915/distill.00012)). To look into another network, change the line
# below the imports.

# %%
from dataclasses import dataclass, replace

import numpy as np
import torch

import pellucid
from pellucid.features import images
from pellucid.features.objectives import Interpolation, as_objective
from pellucid.figures import sheet
from pellucid.models import stages, usual_layers

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
early, layer = usual_layers(model)  # or two that `model.layers` lists

# %%
coffee, cat = (pellucid.load_image(path, size=model.size) for path in pellucid.example_photos().values())
means = pellucid.record(model, np.stack([coffee, cat]), layer)[layer].values.mean((1, 2))
unit, other = int(means[0].argmax()), int(means[1].argmax())
print(f"channels of {layer}: {unit} fires most on the cup, {other} on the cat")


def answers(pixels: np.ndarray) -> np.ndarray:
    """The layer's mean activations on pictures [n, height, width, 3]: [n, channels]."""
    return pellucid.record(model, pixels[..., :3].transpose(0, 3, 1, 2), layer)[layer].values.mean((1, 2))


# %% [markdown]
# ## Aligned interpolation
#
# Pictures of a mixture of two units, for a slider or an animation. Optimized one by one, each finds a solution of its
# own and nothing stays in its place. If all share a coarse part (`images.Shared`: a spectrum for each picture, plus
# two smaller ones for all), they are aligned.

# %%
alone = pellucid.render_interpolation(
    model, f"{layer}:{unit}", f"{layer}:{other}", copies=6, steps=64, parametrization=images.Fourier()
)
aligned = pellucid.render_interpolation(model, f"{layer}:{unit}", f"{layer}:{other}", copies=6, steps=64)


def step_between(pixels: np.ndarray) -> float:
    """Mean square change of a pixel from one picture to the next, as a share of the pictures' own variance."""
    return float(np.square(np.diff(pixels, axis=0)).mean() / pixels.var())


print(
    f"change from picture to picture: alone {step_between(alone.images):.2f}, shared {step_between(aligned.images):.2f}"
)
assert step_between(aligned.images) < step_between(alone.images)
sheet([*alone.images, *aligned.images], ["alone"] * 6 + ["shared coarse part"] * 6, columns=6)

# %% [markdown]
# ## Style transfer
#
# A picture with the texture of one image (Gram matrices of early layers) and the content of another (activations of a
# later one); after Gatys et al. 2015, [arXiv 1508.06576](https://arxiv.org/abs/1508.06576). With pixels as parameters
# this worked on VGG only; in Fourier space it works on other networks as well.

# %%
texture = stages(model)[:4]
painted = pellucid.render_style(model, cat, texture, content=coffee, content_layer=early, steps=96, style_weight=2.0)
repeated = pellucid.render_style(model, cat, texture, steps=96)


def grams(pixels: np.ndarray) -> np.ndarray:
    grid = pellucid.record(model, pixels[None], texture[-1])[texture[-1]].values[0]
    flat = grid.reshape(-1, grid.shape[2])
    return flat.T @ flat / len(flat)


before, after = (
    np.abs(grams(each) - grams(cat.numpy())).mean() for each in (coffee.numpy(), painted.images[0].transpose(2, 0, 1))
)
print(f"distance of {texture[-1]}'s Gram matrix from the cat's: cup {before:.3f}, painted cup {after:.3f}")
assert after < before
sheet([coffee, cat, painted.images[0], repeated.images[0]], ["content", "style", "both", "style alone"], columns=4)

# %% [markdown]
# ## A network that paints: CPPN
#
# A small network from the coordinates (x, y) to a colour; its weights are optimized. Smooth, without grain, and sharp
# at any size: the same weights can be evaluated on a finer grid.

# %%
painted = pellucid.render(
    model, [f"{layer}:{unit}", f"{layer}:{other}"], steps=160, seed=2, parametrization=images.CPPN()
)
plain = pellucid.render(model, [f"{layer}:{unit}", f"{layer}:{other}"], steps=96)
shown = answers(painted.images)
assert shown[0, unit] > means[0, unit]
assert shown[1, other] > means[1, other]
sheet([*painted.images, *plain.images], ["CPPN", "CPPN", "Fourier", "Fourier"], columns=4)


# %% [markdown]
# ## A parametrization of your own: mixing weights
#
# Between two such networks, mix the *weights* and not the pixels. A parametrization is any object with `start` (random
# parameters) and `decode` (from them to pictures); this one has the weights of two networks and makes six pictures of
# them, all of which are optimized at once: the first for one unit, the last for the other, those between for both.


# %%
@dataclass(frozen=True)
class Mixed(images.CPPN):
    """Pictures by networks whose weights lie between those of two."""

    frames: int = 6

    def start(self, shape, copies, generator):
        return super().start(shape, min(copies, 2), generator)

    def decode(self, parameters, shape):
        share = torch.linspace(0, 1, self.frames).view(-1, 1, 1).to(parameters[0])
        return super().decode([torch.lerp(weights[:1], weights[-1:], share) for weights in parameters], shape)


goal = Interpolation(as_objective(f"{layer}:{unit}"), as_objective(f"{layer}:{other}"))
mixed = pellucid.render(model, goal, copies=6, steps=128, parametrization=Mixed())
shown = answers(mixed.images)
assert shown[0, unit] > shown[-1, unit]
assert shown[0, other] < shown[-1, other]
print(f"change from picture to picture: {step_between(mixed.images):.2f}")
sheet(mixed.images, [f"{share:.0%} of {other}" for share in np.linspace(0, 1, 6)])

# %% [markdown]
# ## Transparency
#
# A fourth channel says where the picture is opaque. What is transparent is shown on other random grounds at every step,
# so it has to do without; and the objective is worth more the less is opaque. What the unit needs remains.

# %%
goals = [f"{layer}:{unit}@centre", f"{layer}:{other}@centre", f"{layer}:{unit}", f"{layer}:{other}"]
clear = pellucid.render(model, goals, steps=96, alpha=True)
opacity = clear.images[..., 3].mean((1, 2))
print("opaque:", ", ".join(f"{share:.0%}" for share in opacity))
assert clear.images.shape[3] == 4
assert opacity[:2].max() < 0.5
sheet(clear.images, goals, columns=4)

# %% [markdown]
# ## The spectrum of natural photos: MACO
#
# Only the *phase* of the spectrum is optimized; its magnitude is fixed to the mean of natural photos (Fel et al.
# 2023, [arXiv 2306.06805](https://arxiv.org/abs/2306.06805)). The picture cannot become noise or a poster, whatever
# the network would like. It is twice as large as what the network sees, and seen through two crops at each step. Where
# the gradient went over all steps tells what the unit wanted; the rest may be left transparent.

# %%
natural = pellucid.render_magnitude_constrained(model, [f"{layer}:{unit}", f"{layer}:{other}"], steps=96, alpha=True)


def spectrum(pixels: np.ndarray) -> np.ndarray:
    """Amplitude of the grey picture by frequency, relative to its whole; in logarithms, 1/f is a straight line."""
    grey = pixels.mean(-1)
    amplitude = np.abs(np.fft.fft2(grey - grey.mean()))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(grey.shape[1]), np.fft.fftfreq(grey.shape[0])))
    rings = np.digitize(radius, np.linspace(0.02, 0.5, 13))
    means = np.array([amplitude[rings == ring].mean() for ring in range(1, 13)])
    return np.log(means / means.sum())


photo_like = spectrum(cat.numpy().transpose(1, 2, 0))
distance = {
    name: np.abs(spectrum(found.images[1][..., :3]) - photo_like).mean()
    for name, found in (("MACO", natural), ("Fourier", plain))
}
print("distance of the spectrum from the cat photo's:", distance)
assert distance["MACO"] < distance["Fourier"]
sheet(
    [*natural.images[..., :3], *natural.images, *plain.images],
    ["MACO", "MACO", "with its opacity", "with its opacity", "Fourier", "Fourier"],
    columns=6,
    side=192,
)

# %% [markdown]
# ## Accentuation, caricature, inversion
#
# Parameters can also start *from a photo* (the inverse of the Fourier map). Accentuation raises a unit from there for
# a few steps; a caricature maximizes $h \cdot h_0\,\cos(h, h_0)$ with h₀ the photo's own activations; an inversion
# searches for another picture with the *same* activations: what a layer cannot tell from the photo.

# %%
accentuated = pellucid.render_accentuation(model, coffee, f"{layer}:{other}", steps=32)
exaggerated = pellucid.render_caricature(model, coffee, layer, steps=96)
inverted = [pellucid.render_inversion(model, coffee, name, steps=128) for name in (early, layer)]
shown = answers(accentuated.images)
assert shown[0, other] > means[0, other]


def apart(pixels: np.ndarray, name: str) -> float:
    """‖h − h₀‖ / ‖h₀‖ of a layer on a picture and on the cup."""
    pair = pellucid.record(model, np.stack([pixels.transpose(2, 0, 1), coffee.numpy()]), name)[name].values
    return float(np.linalg.norm(pair[0] - pair[1]) / np.linalg.norm(pair[1]))


for name, found in zip((early, layer), inverted, strict=True):
    print(f"{name}: activations of the inversion differ by {apart(found.images[0], name):.0%}; the cat's by", end=" ")
    print(f"{apart(cat.numpy().transpose(1, 2, 0), name):.0%}")
    assert apart(found.images[0], name) < apart(cat.numpy().transpose(1, 2, 0), name)
sheet(
    [coffee, accentuated.images[0], exaggerated.images[0], *(found.images[0] for found in inverted)],
    ["photo", f"more of channel {other}", f"caricature of {layer}", f"inversion of {early}", f"inversion of {layer}"],
    columns=5,
)

# %% [markdown]
# ## Textures of solids
#
# The picture may also be a *view of a solid*, and what is optimized its texture. The shape stays as it is, so each view
# is rasterized once, into a map from pixels to places on the texture; the texture sampled there has a gradient. All
# views are shown to the network at once, and the texture has to do for every one of them. The vase is one of
# `pellucid.meshes`; `meshes.read_mesh("bunny.obj")` reads others.

# %%
vase = pellucid.meshes.vase()
solid = pellucid.render_texture(model, f"{layer}:{unit}", vase, views=6, steps=64)
solid.picture(columns=7)

# %% [markdown]
# Whether it holds from where nobody looked while it was made: four other places, beside the same vase in plain grey.

# %%
elsewhere = [pellucid.meshes.Camera(azimuth, 10) for azimuth in (20, 110, 200, 290)]


def on_grey(views: np.ndarray) -> np.ndarray:
    return views[..., :3] * views[..., 3:] + 0.5 * (1 - views[..., 3:])


plain = replace(solid, texture=np.full_like(solid.texture, 0.5))
fires, idle = (answers(on_grey(each.look(elsewhere, model.size)))[:, unit] for each in (solid, plain))
print("textured:", fires.round(2), "grey:", idle.round(2), f"on the cup: {means[0, unit]:.2f}")
assert fires.min() > 2 * idle.max()

# %% [markdown]
# The same with the style of an image: Gram matrices, averaged over the views and over where the solid is in them.
# `solid.save("vase.obj")` writes what any 3-D program opens, `solid.save_turntable("vase.gif")` a film.

# %%
painted = pellucid.render_texture_style(model, coffee, stages(model)[:6], vase, views=6, steps=64)
before, after = -painted.views.objective[0, [0, -1]]  # of all views together
print(f"distance from the style: {before:.2f} before, {after:.2f} after")
assert after < 0.7 * before
sheet(
    [*solid.look(elsewhere), *painted.look(elsewhere)],
    [f"channel {unit}"] * 4 + ["style of the cup"] * 4,
    columns=4,
    side=192,
)
