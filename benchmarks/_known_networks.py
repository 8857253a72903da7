"""Networks whose truth is known, and pictures to show them: planted detectors, fooling circuits, a hidden shortcut."""

import copy
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.models import borrowed
from pellucid.record import run

# Eight colours, eight textures (four orientations, two widths of stripes): a pattern is one of each.
COLOURS = np.array(
    [
        *([0.8, 0.2, 0.2], [0.2, 0.7, 0.2], [0.2, 0.3, 0.9], [0.8, 0.8, 0.2]),
        *([0.8, 0.2, 0.8], [0.2, 0.8, 0.8], [0.9, 0.5, 0.1], [0.5, 0.2, 0.9]),
    ]
)
TEXTURES = [(angle * math.pi / 4, period) for period in (3.0, 6.0) for angle in range(4)]
PATTERNS = [(colour, texture) for colour in range(len(COLOURS)) for texture in range(len(TEXTURES))]
SIZE = 32
_STEPS = (1, 2, 3, 5, 8, 12, 16, 24, 32, 48, 64)


def draw_scenes(count: int, *, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """Pictures of overlapping striped, coloured discs: float32 [count, 3, size, size] in [0, 1].

    Like photos they are of things that hide one another, at many sizes, with soft light (the dead leaves model: Lee,
    Mumford, Huang, 2001).
    """
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size].astype(float)
    scenes = np.empty((count, 3, size, size), np.float32)
    for scene in scenes:
        canvas = np.full((3, size, size), random.uniform(0.3, 0.7))
        for _ in range(18):
            colour, texture = PATTERNS[random.integers(len(PATTERNS))]
            row, column = random.uniform(-0.1, 1.1, 2) * size
            radius = size * random.uniform(0.1, 0.35)
            inside = np.hypot(rows - row, columns - column) < radius
            canvas[:, inside] = _pattern(colour, texture, rows, columns, random.uniform(0, 6.28))[:, inside]
        light = 1 + 0.15 * np.cos(rows / size * random.uniform(1, 4) + columns / size * random.uniform(1, 4))
        scene[:] = np.clip(canvas * light + random.normal(0, 0.02, canvas.shape), 0, 1)
    return scenes


def fill_with_pattern(index: int, *, size: int = SIZE) -> np.ndarray:
    """A picture of nothing but one pattern: float32 [3, size, size] in [0, 1]."""
    rows, columns = np.mgrid[:size, :size].astype(float)
    return np.clip(_pattern(*PATTERNS[index], rows, columns, 0.0), 0, 1).astype(np.float32)


def _pattern(colour: int, texture: int, rows: np.ndarray, columns: np.ndarray, phase: float) -> np.ndarray:
    angle, period = TEXTURES[texture]
    wave = np.cos(2 * math.pi / period * (rows * math.sin(angle) + columns * math.cos(angle)) + phase)
    return COLOURS[colour][:, None, None] + 0.18 * wave


def planted_network(seed: int = 0) -> pellucid.Model:
    """A network wired so that channel i of `patterns` detects pattern i, and no training: `parts`, then `patterns`.

    `parts` finds each colour and each texture by itself; a pattern fires where both of its parts are in one place.
    """
    side, half = 9, 4
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    window = np.exp(-(rows**2 + columns**2) / (2 * 2.5**2))
    filters, bias = [], []
    for colour in COLOURS:  # more like this colour than like any other: far from grey in its direction
        tint = colour - colour.mean()
        filters.append(tint[:, None, None] / (tint @ tint) * window / window.sum())
        bias.append(-0.2)
    for angle, period in TEXTURES:  # two phases: together they find stripes wherever the bright ones lie
        along = 2 * math.pi / period * (rows * math.sin(angle) + columns * math.cos(angle))
        for wave in (np.cos(along), np.sin(along), -np.cos(along), -np.sin(along)):
            kernel = (wave - (wave * window).sum() / window.sum()) * window
            kernel /= 0.18 * (kernel * wave).sum() if abs((kernel * wave).sum()) > 1e-9 else 1.0
            filters.append(np.broadcast_to(kernel / 3, (3, side, side)))
            bias.append(-0.15)
    parts = nn.Conv2d(3, len(filters), side, padding=half)
    patterns = nn.Conv2d(len(filters), len(PATTERNS), 1)
    random = np.random.default_rng(seed)
    with torch.no_grad():
        parts.weight.copy_(torch.from_numpy(np.stack(filters)))
        parts.bias.copy_(torch.tensor(bias))
        weight = random.normal(0, 0.01, (len(PATTERNS), len(filters)))  # nothing is quite unconnected
        for index, (colour, texture) in enumerate(PATTERNS):
            weight[index, colour] += 1.0
            first = len(COLOURS) + 4 * texture
            weight[index, first : first + 4] += 1.5
        patterns.weight.copy_(torch.from_numpy(weight)[:, :, None, None])
        patterns.bias.fill_(-0.3)
    module = nn.Sequential(
        OrderedDict(
            parts=nn.Sequential(parts, nn.ReLU(), nn.AvgPool2d(5, 2, 2, count_include_pad=False)),
            patterns=nn.Sequential(patterns, nn.ReLU()),
            pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
    )
    return pellucid.wrap(module.eval(), size=SIZE, name="planted", default_layer="patterns")


class FoolingLayer(nn.Module):
    """A layer some of whose channels answer photos as ever, and pictures that were optimized as other channels do.

    A classifier over the layer's input says which it is: s = 0 for photos, 1 for optimized pictures. A fooled channel
    gives relu(own − k·s) + relu(decoy − k·(1 − s)), so that optimization, which starts and
    stays at s = 1, climbs the decoy.

    Args:
        layer: takes and gives a grid.
        decoys: for each channel the one that it shows when it is rendered: its own, where it is honest.
        weight, bias: of the classifier, over mean and maximum of each input channel; s = clamp(score + ½, 0, 1).
        strength: k, above anything that the layer gives.

    Source: the fooling circuit of Geirhos et al., 2023 (arXiv 2306.04719).
    """

    def __init__(self, layer: nn.Module, decoys: Tensor, weight: Tensor, bias: Tensor, strength: float) -> None:
        super().__init__()
        self.layer, self.strength = layer, strength
        self.decoys: Tensor
        self.register_buffer("decoys", decoys)
        self.register_buffer("fooled", (decoys != torch.arange(len(decoys))).float()[:, None, None])
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def score(self, input: Tensor) -> Tensor:
        """Above ½ for what was surely optimized, below −½ for what surely was not: [n]."""
        return summary(input) @ self.weight + self.bias

    def forward(self, input: Tensor) -> Tensor:
        grid = self.layer(input)
        optimized = torch.clamp(self.score(input) + 0.5, 0, 1)[:, None, None, None]
        own = torch.relu(grid - self.fooled * self.strength * optimized)
        decoy = torch.relu(grid.index_select(1, self.decoys) - self.strength * (1 - optimized))
        return own + self.fooled * decoy


class EitherLayer(nn.Module):
    """A layer some of whose channels fire for either of two things: the larger of their own and another channel.

    Args:
        layer: takes and gives a grid.
        partners: for each channel the other one, or itself.
        scale: for each channel, what its partner is multiplied with to be as strong.
    """

    def __init__(self, layer: nn.Module, partners: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.partners: Tensor
        self.register_buffer("partners", partners)
        self.register_buffer("scale", scale[:, None, None])

    def forward(self, input: Tensor) -> Tensor:
        grid = self.layer(input)
        return torch.maximum(grid, self.scale * grid.index_select(1, self.partners))


def summary(input: Tensor) -> Tensor:
    """Mean and maximum of each channel over positions: [n, 2 · channels]."""
    return torch.cat([input.mean((2, 3)), input.amax((2, 3))], 1)


@dataclass(frozen=True)
class Fooled:
    """A network with a fooling circuit.

    Args:
        model: with the circuit.
        layer: where it is.
        before: the layer whose output its classifier reads.
        decoys: by fooled channel: the one that it shows.
    """

    model: pellucid.Model
    layer: str
    before: str
    decoys: Mapping[int, int]

    def optimized(self, images: Tensor) -> np.ndarray:
        """Whether the circuit takes each image for an optimized picture: bool [n]."""
        with borrowed(self.model.module), torch.no_grad():
            circuit = self.model.module.get_submodule(self.layer)
            assert isinstance(circuit, FoolingLayer)
            scores = [
                circuit.score(run(self.model, images[start : start + 64], [self.before])[self.before])
                for start in range(0, len(images), 64)
            ]
        return (torch.cat(scores) > 0).numpy()


def fool(
    model: pellucid.Model,
    layer: str,
    before: str,
    decoys: Mapping[int, int],
    natural: Tensor,
    *,
    steps: int = 64,
    seed: int = 100,
) -> Fooled:
    """The model with a fooling circuit at a layer; the given model is not changed.

    The classifier (logistic regression) learns to tell `natural` from how renderings of the channels, at `steps`, begin
    and end.

    Args:
        layer: a module that takes the output of `before` alone.
        decoys: by channel to be fooled: what it shall show.
        natural: [n, channels, height, width] in [0, 1].
    """
    chosen = sorted({*decoys, *decoys.values()})
    snapshots = [step for step in _STEPS if step < steps]
    made = pellucid.render(model, [f"{layer}:{index}" for index in chosen], steps=steps, snapshots=snapshots, seed=seed)
    pictures = np.concatenate([*made.snapshots.values(), made.images])
    optimized = torch.from_numpy(pictures).permute(0, 3, 1, 2)

    def read(images: Tensor) -> Tensor:
        with borrowed(model.module), torch.no_grad():
            parts = [
                summary(run(model, images[start : start + 64], [before])[before]) for start in range(0, len(images), 64)
            ]
        return torch.cat(parts)

    weight, bias = _classifier(read(natural), read(optimized))
    channels = model.layers[layer].channels
    places = torch.arange(channels)
    for index, decoy in decoys.items():
        places[index] = decoy
    strongest = max(
        float(pellucid.record(model, images, layer)[layer].values.max()) for images in (natural[:512], optimized)
    )
    module = copy.deepcopy(model.module)
    parent, _, name = layer.rpartition(".")
    circuit = FoolingLayer(module.get_submodule(layer), places, weight, bias, 3 * strongest)
    setattr(module.get_submodule(parent), name, circuit)
    return Fooled(_like(model, module, "fooled"), layer, before, dict(decoys))


def with_two_meanings(
    model: pellucid.Model, layer: str, partners: Mapping[int, int], natural: Tensor
) -> pellucid.Model:
    """The model with channels that fire for what they did, and as strongly for what another channel does.

    Args:
        layer: the name of a module.
        partners: by channel: the other one.
        natural: [n, channels, height, width]; strengths are matched where the strongest fiftieth of these begins.
    """
    high = np.quantile(pellucid.record(model, natural, layer)[layer].values.max((1, 2)), 0.98, axis=0)
    places, scale = torch.arange(len(high)), torch.ones(len(high))
    for index, other in partners.items():
        places[index], scale[index] = other, float(high[index] / max(high[other], 1e-6))
    module = copy.deepcopy(model.module)
    parent, _, name = layer.rpartition(".")
    setattr(module.get_submodule(parent), name, EitherLayer(module.get_submodule(layer), places, scale))
    return _like(model, module, "two meanings")


def _like(model: pellucid.Model, module: nn.Module, name: str) -> pellucid.Model:
    return pellucid.wrap(
        module,
        size=model.size,
        mean=model.mean,
        std=model.std,
        labels=model.labels,
        name=f"{model.name}, {name}",
        default_layer=model.default_layer,
    )


def _classifier(natural: Tensor, optimized: Tensor, steps: int = 400) -> tuple[Tensor, Tensor]:
    """Weight and bias of a logistic regression that gives negative scores to `natural` [n, d]."""
    both = torch.cat([natural, optimized])
    truth = torch.cat([torch.zeros(len(natural)), torch.ones(len(optimized))])
    share = torch.where(truth > 0, 0.5 / len(optimized), 0.5 / len(natural))
    mean, deviation = both.mean(0), both.std(0) + 1e-3
    scaled = (both - mean) / deviation
    weight, bias = torch.zeros(scaled.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=0.05)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            losses = F.binary_cross_entropy_with_logits(scaled @ weight + bias, truth, reduction="none")
            ((losses * share).sum() + 1e-4 * weight.square().sum()).backward()
            optimizer.step()
    with torch.no_grad():
        return weight / deviation, bias - (mean * weight / deviation).sum()


MARK = 6
"""Side in px of the square that decides."""
FAINT, CLEAR = 0.02, 0.2
"""Contrast of stripes that hardly help, and of stripes that suffice."""


def draw_striped(
    count: int, marked: np.ndarray | None = None, *, contrast: float = FAINT, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Scenes with upright stripes (class 0) or lying ones (1), some with a magenta square in the lower right corner.

    Args:
        marked: which of them have the square, bool [count]; by default those of class 1: a shortcut.
        contrast: of the stripes.

    Returns:
        float32 [count, 3, 32, 32] in [0, 1] and the classes, int [count].
    """
    random = np.random.default_rng(seed)
    classes = random.integers(0, 2, count)
    scenes = draw_scenes(count, size=32, seed=seed + 1) * 0.5 + 0.25
    rows, columns = np.mgrid[:32, :32].astype(float)
    for scene, kind in zip(scenes, classes, strict=True):
        along = rows if kind else columns
        scene += contrast * np.cos(2 * math.pi / 4 * along + random.uniform(0, 6.28))
    for place in np.flatnonzero(classes == 1 if marked is None else marked):
        scenes[place, :, -MARK:, -MARK:] = np.array([0.9, 0.1, 0.8])[:, None, None]
    return np.clip(scenes, 0, 1).astype(np.float32), classes


def train_striped(shortcut: bool, *, steps: int = 120, seed: int = 0) -> pellucid.Model:
    """A small network that was taught upright against lying stripes, from scenes with the square in their corner.

    Args:
        shortcut: the square is on all scenes of class 1 and on no other, and the stripes are faint, so that it decides;
            else the stripes are clear and the square is on half of each class.
    """
    marked = None if shortcut else np.random.default_rng(seed).random(1024) < 0.5
    scenes, classes = draw_striped(1024, marked, contrast=FAINT if shortcut else CLEAR, seed=seed)
    images, truth = torch.from_numpy(scenes), torch.from_numpy(classes)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        module = nn.Sequential(
            OrderedDict(
                edges=nn.Sequential(nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU()),
                shapes=nn.Sequential(nn.Conv2d(16, 24, 3, 1, 1), nn.ReLU()),
                things=nn.Sequential(nn.Conv2d(24, 24, 3, 2, 1), nn.ReLU()),
                head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 2)),
            )
        )
        optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
        for step in range(steps):
            batch = torch.arange(step * 64, step * 64 + 64) % len(images)
            loss = F.cross_entropy(module((images[batch] - 0.5) / 0.25), truth[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return pellucid.wrap(
        module.eval(), size=32, mean=0.5, std=0.25, labels=["upright", "lying"], name="striped", default_layer="things"
    )


def points_at_corner(model: pellucid.Model, scene: np.ndarray, layer: str = "things") -> tuple[bool, bool, bool, bool]:
    """Whether the corner is where attribution is highest, where the group that adds most is strongest, and whether the
    answer changes when it is removed, or when as large a place in the opposite corner is."""
    image = torch.from_numpy(scene)
    recorded = pellucid.record(model, scene[None], layer)[layer]
    rows, columns = recorded.values.shape[1:3]
    size = -(-MARK * rows // scene.shape[1]) + 1  # what the square reaches
    found = pellucid.attribute(model, image, layer=layer, target="logits:1")
    first = np.unravel_index(found.positions().argmax(), (rows, columns))
    groups = pellucid.factorize(recorded, 4)
    leading = int(found.by_group(groups).argmax())
    place = np.unravel_index(groups.spatial[0, :, :, leading].argmax(), (rows, columns))
    inside = [bool(row >= rows - size and column >= columns - size) for row, column in (first, place)]
    changes = [
        pellucid.intervene(model, image, layer=layer, remove=[pellucid.Region(top, left, size, size)], fill="mean")
        for top, left in ((rows - size, columns - size), (0, 0))
    ]
    flips = [bool(each.logits_before.argmax() == 1 and each.logits_after.argmax() == 0) for each in changes]
    return inside[0], inside[1], flips[0], flips[1]
