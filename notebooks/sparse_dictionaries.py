# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Sparse dictionaries
#
# A layer of some hundred channels can tell more things than it has channels: things that rarely happen together can
# share them (*superposition*). A sparse dictionary looks for the things themselves: directions d₁ … d_m, often more
# than there are channels, so that every activation vector is nearly a sum of a few of them,
# $h \approx \sum_i z_i d_i$, with few $z_i \neq 0$. Here a sparse autoencoder finds one, beside non-negative
# factorization; each atom gets a picture, and both are tested first on made data whose true atoms are known. After
# Bricken et al. 2023 (*Towards Monosemanticity*) and Makhzani & Frey 2013 (top-k, [arXiv
# 1312.5663](https://arxiv.org/abs/1312.5663)). To look into another network, change the line below the imports.

# %%
from types import SimpleNamespace

import numpy as np
import torch
from charts import bars, curves
from pieces import NAMES, pieces
from torch import Tensor, nn
from torch.nn import functional

import pellucid
from pellucid.figures import maps, sheet
from pellucid.models import usual_layers
from pellucid.targets import Direction, Group

# %%
model = pellucid.load()  # or pellucid.load("inception_v1"), pellucid.load("timm:resnet50"), pellucid.wrap(…)
layer = usual_layers(model)[-1]  # or one that `model.layers` lists

# %% [markdown]
# ## The autoencoder
#
# Codes are $z = \operatorname{top}_k(\operatorname{ReLU}(W(h - b)))$, the reconstruction is $Dz + b$ with unit columns
# in D; the mean square error is minimized. Atoms that never fire would stay dead; they are set anew to vectors that are
# reconstructed worst.


# %%
class TopK(nn.Module):
    """A sparse autoencoder of which each vector uses at most k atoms."""

    def __init__(self, channels: int, atoms: int, k: int, mean: Tensor) -> None:
        super().__init__()
        start = functional.normalize(torch.randn(atoms, channels), dim=1)
        self.decoder, self.encoder = nn.Parameter(start.clone()), nn.Parameter(start.clone())
        self.mean, self.k = nn.Parameter(mean.clone()), k

    def encode(self, vectors: Tensor) -> Tensor:
        """[n, atoms], at most k of them above zero in each row."""
        raw = ((vectors - self.mean) @ self.encoder.T).relu()
        best = raw.topk(self.k, dim=1)
        return torch.zeros_like(raw).scatter(1, best.indices, best.values)

    def forward(self, codes: Tensor) -> Tensor:
        return codes @ functional.normalize(self.decoder, dim=1) + self.mean


def fit(vectors: Tensor, atoms: int, k: int, *, steps: int, rate: float = 0.003) -> tuple[TopK, list[float]]:
    """The autoencoder, and its share of the variance left unexplained after each step."""
    torch.manual_seed(0)
    coder = TopK(vectors.shape[1], atoms, k, vectors.mean(0))
    coder.decoder.data = functional.normalize(vectors[torch.randperm(len(vectors))[:atoms]] - coder.mean.data, dim=1)
    coder.encoder.data = coder.decoder.data.clone()
    optimizer = torch.optim.Adam(coder.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    total, fired, left = float(vectors.var(0).sum()), torch.zeros(atoms), []
    for step in range(steps):
        batch = vectors[torch.randint(len(vectors), (512,))]
        codes = coder.encode(batch)
        errors = (coder(codes) - batch).square().sum(1)
        optimizer.zero_grad()
        errors.mean().backward()
        optimizer.step()
        schedule.step()
        fired += (codes > 0).sum(0)
        left.append(float(errors.detach().mean()) / total)
        if step % 100 == 99 and step < 0.6 * steps:
            dead = torch.nonzero(fired == 0)[:, 0]
            worst = batch[errors.topk(min(len(dead), len(batch))).indices] - coder.mean.data
            for weights in (coder.encoder.data, coder.decoder.data):
                weights[dead[: len(worst)]] = functional.normalize(worst, dim=1)
            fired.zero_()
    return coder, left


# %% [markdown]
# ## First on data whose truth is known
#
# 96 true atoms in 48 dimensions, of which each vector mixes three: superposition, made by hand. How many of the true
# atoms does the autoencoder find (cosine above .9), and how many do principal components or the channels themselves?

# %%
random = torch.Generator().manual_seed(1)
truth = functional.normalize(torch.randn(96, 48, generator=random), dim=1)
chosen = torch.rand(20_000, 96, generator=random).topk(3, dim=1).indices
made = torch.zeros(20_000, 96).scatter(1, chosen, 0.5 + torch.rand(20_000, 3, generator=random)) @ truth
learned, _ = fit(made, 128, 3, steps=1200, rate=0.01)


def share_found(directions: Tensor) -> float:
    return float(((truth @ functional.normalize(directions, dim=1).T).abs().amax(1) > 0.9).float().mean())


components = torch.linalg.svd(made - made.mean(0), full_matrices=False)[2]
recovered = {
    "sparse autoencoder": share_found(learned.decoder.data),
    "principal components": share_found(components),
    "single channels": share_found(torch.eye(48)),
}
assert recovered["sparse autoencoder"] > 0.8 > 0.2 > recovered["principal components"]
bars(list(recovered), [100 * share for share in recovered.values()], unit="percent of 96 true atoms found")

# %% [markdown]
# ## On the network
#
# Activation vectors at all places of 300 pieces of five photos; each is brought to a common scale. A dictionary of
# real use wants a hundred times as many images.

# %%
pixels, whose = pieces(300, model.size[0])
grids = pellucid.record(model, pixels, layer)[layer].values
flat = torch.from_numpy(grids.reshape(-1, grids.shape[3]))
scale = float(flat.square().sum(1).mean().sqrt())
coder, left = fit(flat / scale, 2 * grids.shape[3], 12, steps=700)
print(
    f"{len(flat):,} vectors; 12 of {2 * grids.shape[3]} atoms explain",
    f"{1 - np.mean(left[-50:]):.0%} of the variance",
)
curves({"sparse autoencoder": (np.arange(100, 700), np.array(left[100:]))}, across="step", up="variance left")

# %%
unseen, of_photo = pieces(60, model.size[0], seed=1)
unseen_grids = pellucid.record(model, unseen, layer)[layer].values
with torch.no_grad():
    vectors = torch.from_numpy(unseen_grids.reshape(-1, grids.shape[3])) / scale
    codes = coder.encode(vectors)
    kept = 1 - float((coder(codes) - vectors).square().sum() / (vectors - coder.mean).square().sum())
print(f"on new pieces {kept:.0%}")

# %% [markdown]
# For comparison, the same number of numbers spent otherwise: the 12 strongest channels of each vector, and 12 groups of
# NMF for all vectors.

# %%
top = vectors.topk(12, dim=1)
channels_kept = float(top.values.square().sum() / vectors.square().sum())
groups = pellucid.factorize(grids, 12)
print(
    f"of the energy of h: 12 strongest channels of each vector {channels_kept:.0%},",
    f"12 groups {1 - groups.error**2:.0%}",
    end="",
)
with torch.no_grad():
    energy = 1 - float((coder(codes) - vectors).square().sum() / vectors.square().sum())
print(f", 12 atoms of each vector {energy:.0%}")
assert energy > max(channels_kept, 1 - groups.error**2)

# %% [markdown]
# ## What are the atoms?
#
# Those that fire most on new pieces: the direction as a picture, and the piece on which it fires most.

# %%
mass = codes.sum(0).numpy()
atoms = [int(atom) for atom in np.argsort(-mass)[:12]]
directions = functional.normalize(coder.decoder.data, dim=1).numpy()
drawn = pellucid.render(model, [Direction(layer, directions[atom]) for atom in atoms], steps=64, size=model.size[0])
by_piece = codes.numpy().reshape(len(unseen), -1, len(mass)).max(1)
best = [int(by_piece[:, atom].argmax()) for atom in atoms]
sheet(drawn.images, [f"atom {atom}" for atom in atoms], columns=6)

# %%
sheet([unseen[piece] for piece in best], [f"fires atom {atom}" for atom in atoms], columns=6)

# %% [markdown]
# Is the picture of an atom true to it? Coded by the same autoencoder, each picture should fire its own atom more than
# almost all others.

# %%
with torch.no_grad():
    shown = torch.from_numpy(pellucid.record(model, drawn.images.transpose(0, 3, 1, 2), layer)[layer].values) / scale
    answers = coder.encode(shown.flatten(0, 2)).view(len(atoms), -1, len(mass)).mean(1)
rank = [int((answers[place] > answers[place, atom]).sum()) for place, atom in enumerate(atoms)]
print(
    f"own atom first in {np.mean(np.array(rank) == 0):.0%}, among the first five in {np.mean(np.array(rank) < 5):.0%}"
)
assert np.mean(np.array(rank) < 5) > 0.5

# %% [markdown]
# ## Are they of one thing?
#
# We know of which photo each piece is. A unit is *selective* if what it fires for is of few photos: 1 if all of its
# activation is on one of five, 1/5 if it does not care. (Photos stand in for labels here, of which there are none.)


# %%
def selectivity(activity: np.ndarray) -> float:
    """Mean over units, weighted by activity, of the share that the unit's favourite photo has."""
    by_photo = np.stack([activity[of_photo == photo].mean((0, 1)) for photo in range(len(NAMES))])
    total = by_photo.sum(0)
    return float((by_photo.max(0)[total > 0]).sum() / total[total > 0].sum())


places = unseen_grids.reshape(len(unseen), -1, grids.shape[3])
single = selectivity(np.maximum(places, 0))
sparse = selectivity(codes.numpy().reshape(len(unseen), -1, len(mass)))
turned = selectivity(
    np.maximum(places @ np.linalg.qr(np.random.default_rng(0).normal(size=(grids.shape[3],) * 2))[0], 0)
)
print(f"selectivity: atoms {sparse:.2f}, channels {single:.2f}, random directions {turned:.2f}")
assert sparse > single > 0.2

# %% [markdown]
# ## Which atoms argue for the answer?
#
# Attribution divides h by atoms as it does by groups: codes are the where, decoder columns the what. Then the proof:
# remove single atoms and look.

# %%
image = pellucid.load_image(pellucid.example_photos()["coffee"], size=model.size)
h = pellucid.record(model, image[None], layer)[layer].values
with torch.no_grad():
    z = coder.encode(torch.from_numpy(h.reshape(-1, h.shape[3])) / scale).numpy() * scale
where = z.reshape(*h.shape[:3], -1)
logits = pellucid.record(model, image[None], "logits")["logits"].values[0]
answer = int(logits.argmax())
dictionary = SimpleNamespace(spatial=where, channels=directions)
worth = pellucid.attribute(model, image, layer=layer, target=answer).by_group(dictionary)
told = [int(atom) for atom in (*np.argsort(-worth)[:4], *np.argsort(worth)[:2])]
icons = pellucid.render(model, [Direction(layer, directions[atom]) for atom in told], steps=64)
bars([f"atom {atom}" for atom in told], worth[told], unit=f"adds to {model.label(answer)}", icons=icons.images)

# %%
maps(image, [where[0, :, :, atom] for atom in told], [f"atom {atom}" for atom in told])

# %%
tested = np.argsort(-np.abs(worth))[:40]
units = [Group(layer, directions[atom], where[0, :, :, atom]) for atom in tested]
lost = logits[answer] - pellucid.intervene_each(model, image, layer=layer, units=units)[:, answer]
agreement = float(np.corrcoef(worth[tested], lost)[0, 1])
print(f"attribution against removal of 40 atoms: r = {agreement:.2f}")
assert agreement > 0.6

# %% [markdown]
# ## Limits
#
# Another seed, another dictionary; another k, other atoms. Explained variance does not say that the atoms are the
# network's own, and a nice picture does not either: what counts is that removing an atom does what its meaning would
# predict, and that made data with known atoms are recovered, as above.
