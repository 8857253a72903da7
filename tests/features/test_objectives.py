"""Objectives: what they are worth against numpy, how they combine, and how they are written down."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

import pellucid
from pellucid.errors import InputError, TargetError
from pellucid.features import objectives
from pellucid.features.objectives import (
    Activation,
    Alignment,
    Blurriness,
    Caricature,
    Constant,
    DeepDream,
    Difference,
    Interpolation,
    Likeness,
    Magnitude,
    Norm,
    Objective,
    Opacity,
    Product,
    Revealed,
    Style,
    Sum,
    TotalVariation,
    as_objective,
    channel,
    cosine_weighted,
    direction,
    from_json,
    logit,
    neuron,
    to_json,
)
from pellucid.targets import Channel, Direction, Logit, Neuron

RNG = np.random.default_rng(0)
COPIES = 4
REFERENCE = RNG.normal(size=(6, 3, 5)).astype(np.float32)


class Drawn:
    """Readings of drawn numbers."""

    def __init__(self, copies: int = COPIES, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.images = torch.from_numpy(rng.random((copies, 3, 7, 9), np.float32))
        self.opacity = torch.from_numpy(rng.random((copies, 7, 9), np.float32))
        self.grids = {
            "conv": torch.from_numpy(rng.normal(size=(copies, 6, 3, 5)).astype(np.float32)),
            "late": torch.from_numpy(rng.normal(size=(copies, 4, 2, 2)).astype(np.float32)),
            "logits": torch.from_numpy(rng.normal(size=(copies, 8, 1, 1)).astype(np.float32)),
        }

    def grid(self, layer: str) -> torch.Tensor:
        return self.grids[layer]

    def channel(self, layer: str, index: int) -> torch.Tensor:
        return self.grids[layer][:, index]


DRAWN = Drawn()
H = {name: grid.numpy().astype(np.float64) for name, grid in DRAWN.grids.items()}
IMAGES = DRAWN.images.numpy().astype(np.float64)


def gram(grid: np.ndarray) -> np.ndarray:
    flat = grid.reshape(*grid.shape[:2], -1)
    return np.einsum("ncp,ndp->ncd", flat, flat) / flat.shape[2]


def likeness(grid: np.ndarray) -> np.ndarray:
    flat = gram(grid).reshape(len(grid), -1)
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    return np.array([np.mean([flat[i] @ flat[j] for j in range(len(flat)) if j != i]) for i in range(len(flat))])


def alignment(grid: np.ndarray, decay: float) -> np.ndarray:
    count = len(grid)
    return np.array(
        [
            -sum(np.mean((grid[i] - grid[j]) ** 2) / decay ** abs(i - j) for j in range(count)) / count
            for i in range(count)
        ]
    )


def weighted(grid: np.ndarray, vector: np.ndarray, power: float) -> np.ndarray:
    worth = np.zeros((len(grid), *grid.shape[2:]))
    for n, y, x in np.ndindex(worth.shape):
        h = grid[n, :, y, x]
        cosine = h @ vector / (np.linalg.norm(h) * np.linalg.norm(vector))
        worth[n, y, x] = h @ vector * max(0.1, cosine) ** power
    return worth


def caricature(grid: np.ndarray, power: float) -> np.ndarray:
    dot = np.array([(h * REFERENCE).sum() for h in grid])
    cosine = dot / np.array([np.linalg.norm(h) * np.linalg.norm(REFERENCE) for h in grid])
    return dot / 15 * np.maximum(0.1, cosine) ** power


def blurred(images: np.ndarray) -> np.ndarray:
    out = np.zeros_like(images)
    for y, x in np.ndindex(images.shape[2:]):
        out[:, :, y, x] = images[:, :, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean((2, 3))
    return out


VECTOR = RNG.normal(size=6)
STYLE_REFERENCE = RNG.normal(size=(6, 4, 4)).astype(np.float32)
STYLE_GRAM = gram(STYLE_REFERENCE[None].astype(np.float64))[0]
SHARE = np.linspace(0, 1, COPIES)
ORACLES = [
    (channel("conv", 2), H["conv"][:, 2].mean((1, 2))),
    (neuron("conv", 1), H["conv"][:, 1, 1, 2]),
    (neuron("late", 1), H["late"][:, 1, 1, 1]),
    (neuron("conv", 1, 0, 4), H["conv"][:, 1, 0, 4]),
    (neuron("conv", 1, -1, -2), H["conv"][:, 1, 2, 3]),
    (logit(3), H["logits"][:, 3, 0, 0]),
    (direction("conv", VECTOR), np.einsum("nchw,c->n", H["conv"], VECTOR) / 15),
    (direction("conv", VECTOR, 2, 0), H["conv"][:, :, 2, 0] @ VECTOR),
    (direction("conv", VECTOR, cosine_power=4), weighted(H["conv"], VECTOR, 4).mean((1, 2))),
    (direction("conv", VECTOR, 1, 1, cosine_power=2), weighted(H["conv"], VECTOR, 2)[:, 1, 1]),
    (DeepDream("late"), (H["late"] ** 2).mean((1, 2, 3))),
    (
        TotalVariation(),
        np.abs(np.diff(IMAGES, axis=2)).mean((1, 2, 3)) + np.abs(np.diff(IMAGES, axis=3)).mean((1, 2, 3)),
    ),
    (Norm(1), np.abs(IMAGES - 0.5).mean((1, 2, 3))),
    (Norm(2, centre=0.2), np.sqrt(((IMAGES - 0.2) ** 2).mean((1, 2, 3)))),
    (Opacity(), DRAWN.opacity.numpy().mean((1, 2))),
    (Blurriness(), -((IMAGES - blurred(IMAGES)) ** 2).mean((1, 2, 3))),
    (
        Interpolation(channel("conv", 0), logit(1)),
        (1 - SHARE) * H["conv"][:, 0].mean((1, 2)) + SHARE * H["logits"][:, 1, 0, 0],
    ),
    (Alignment("late"), alignment(H["late"], 2)),
    (Alignment("late", decay=3.0), alignment(H["late"], 3)),
    (Likeness("conv"), likeness(H["conv"])),
    (Difference("conv", REFERENCE), ((H["conv"] - REFERENCE) ** 2).mean((1, 2, 3))),
    (Caricature("conv", REFERENCE), caricature(H["conv"], 1)),
    (Caricature("conv", REFERENCE, power=3), caricature(H["conv"], 3)),
    (Style("conv", STYLE_REFERENCE), np.abs(gram(H["conv"]) - STYLE_GRAM).mean((1, 2)) / np.abs(STYLE_GRAM).mean()),
    (Magnitude(channel("conv", 2) - 1), np.abs(H["conv"][:, 2].mean((1, 2)) - 1)),
    (Revealed(Constant(2.0)), 2 * (1 - DRAWN.opacity.numpy().mean((1, 2)))),
    (Revealed(Constant(-2.0)), -2 * (1 + DRAWN.opacity.numpy().mean((1, 2)))),
    (Constant(2.5), np.full(COPIES, 2.5)),
    (
        0.2 * channel("conv", 3) - neuron("conv", 0) + 0.1 * TotalVariation(),
        0.2 * H["conv"][:, 3].mean((1, 2))
        - H["conv"][:, 0, 1, 2]
        + 0.1 * (np.abs(np.diff(IMAGES, axis=2)).mean((1, 2, 3)) + np.abs(np.diff(IMAGES, axis=3)).mean((1, 2, 3))),
    ),
]


@pytest.mark.parametrize(("objective", "expected"), ORACLES, ids=lambda v: repr(v) if isinstance(v, Objective) else "")
def test_worth_against_numpy(objective, expected):
    found = objective.value(DRAWN)
    assert found.shape == (COPIES,)
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-5, atol=1e-5)


def test_every_kind_of_objective_has_an_oracle():
    tested = {type(objective).__name__ for objective, _ in ORACLES} | {"Sum", "Product", "_ToReference"}
    own = {name for name, kind in Objective.kinds.items() if kind.__module__ == objectives.__name__}
    assert tested == own


@pytest.mark.parametrize(("objective", "_expected"), ORACLES, ids=lambda v: repr(v) if isinstance(v, Objective) else "")
def test_written_down_and_read_again(objective, _expected):
    text = json.dumps(to_json(objective))
    again = from_json(json.loads(text))
    assert type(again) is type(objective)
    assert json.dumps(to_json(again)) == text
    assert repr(again) == repr(objective)
    assert again.needs() == objective.needs()
    torch.testing.assert_close(again.value(DRAWN), objective.value(DRAWN), rtol=0, atol=0)


UNITS = st.one_of(
    st.builds(lambda i: channel("conv", i), st.integers(0, 5)),
    st.builds(lambda i, y, x: neuron("conv", i, y, x), st.integers(0, 5), st.integers(0, 2), st.integers(0, 4)),
    st.builds(lambda i: neuron("late", i), st.integers(0, 3)),
    st.builds(logit, st.integers(0, 7)),
    st.just(TotalVariation()),
)
NUMBERS = st.integers(-40, 40).map(lambda n: n / 8)


def _more(inner):
    return st.one_of(
        st.builds(lambda a, b: a + b, inner, inner),
        st.builds(lambda a, b: a - b, inner, inner),
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, n: n * a, inner, NUMBERS),
        st.builds(lambda a, n: a * n, inner, NUMBERS),
        st.builds(lambda a, n: n - a, inner, NUMBERS),
        st.builds(lambda a, n: a + n, inner, NUMBERS),
        st.builds(lambda a: -a, inner),
    )


TREES = st.recursive(UNITS, _more, max_leaves=8)


@given(tree=TREES)
@settings(max_examples=150, deadline=None)
def test_any_expression_survives_json_and_its_own_repr(tree):
    assert from_json(json.loads(json.dumps(to_json(tree)))) == tree
    names = {name: getattr(objectives, name) for name in ("channel", "neuron", "logit", "TotalVariation")}
    value = tree.value(DRAWN)
    pasted = as_objective(eval(repr(tree), names)).value(DRAWN)
    torch.testing.assert_close(pasted, value, rtol=1e-4, atol=1e-4 * max(1.0, value.abs().max().item()))


@given(first=TREES, second=TREES, number=NUMBERS)
@settings(max_examples=60, deadline=None)
def test_arithmetic_is_that_of_the_values(first, second, number):
    a, b = first.value(DRAWN), second.value(DRAWN)
    scale = max(1.0, a.abs().max().item(), b.abs().max().item()) ** 2
    for combined, expected in (
        (first + second, a + b),
        (first - second, a - b),
        (first * second, a * b),
        (number * first, number * a),
        (first * number, number * a),
        (number + first, a + number),
        (first - number, a - number),
        (number - first, number - a),
        (-first, -a),
        (sum([first, second]), a + b),
    ):
        torch.testing.assert_close(combined.value(DRAWN), expected, rtol=1e-4, atol=1e-4 * scale)
    joined = {*first.needs(), *second.needs()}
    assert set((first + second).needs()) == set((first * second).needs()) == joined


def test_readable():
    assert repr(0.2 * channel("mixed4a", 3) - neuron("mixed4d", 426)) == (
        "0.2 * channel('mixed4a', 3) - neuron('mixed4d', 426)"
    )
    assert repr(-(channel("a", 1) - logit("lemon"))) == "-(channel('a', 1) - logit('lemon'))"
    assert repr(direction("a", [1, 2], 0, 0)) == "direction('a', <2 numbers>)"
    assert repr(Caricature("a", np.zeros((4, 2, 3)))) == "Caricature('a', <4×2×3>)"


def test_objectives_are_values():
    assert channel("a", 1) + 2 * logit("lemon") == channel("a", 1) + 2 * logit("lemon")
    assert hash(channel("a", 1) - neuron("b", 2)) == hash(channel("a", 1) - neuron("b", 2))
    assert channel("a", 1) != channel("a", 2)


def test_needs_join_channels_and_all():
    assert channel("a", 1).needs() == neuron("a", 1).needs() == {"a": frozenset({1})}
    assert logit(3).needs() == {"logits": frozenset({3})}
    assert direction("a", [1, 2]).needs() == DeepDream("a").needs() == {"a": None}
    both = channel("a", 1) - 0.5 * channel("a", 4) + logit(2)
    assert both.needs() == {"a": frozenset({1, 4}), "logits": frozenset({2})}
    assert (both + Likeness("a")).needs() == (Likeness("a") + both).needs() == {"a": None, "logits": frozenset({2})}
    assert Interpolation(channel("a", 1), channel("b", 2)).needs() == {"a": frozenset({1}), "b": frozenset({2})}
    assert (TotalVariation() + Norm() + Opacity() + Blurriness() + 3).needs() == {}


@given(scale=st.floats(1e-3, 1e3), power=st.sampled_from([1.0, 2.0, 4.0]))
@settings(max_examples=30, deadline=None)
def test_the_cosine_factor_knows_nothing_of_the_scale_of_either_vector(scale, power):
    grid, vector = DRAWN.grids["conv"], torch.from_numpy(VECTOR.astype(np.float32))
    plain = cosine_weighted(grid, vector, power)
    torch.testing.assert_close(
        cosine_weighted(grid, vector * scale, power), plain * scale, rtol=1e-4, atol=1e-5 * scale
    )
    torch.testing.assert_close(
        cosine_weighted(grid * scale, vector, power), plain * scale, rtol=1e-4, atol=1e-5 * scale
    )


def test_the_cosine_factor_ends_at_a_tenth():
    vector = torch.tensor([1.0, 0.0])
    against, across = torch.tensor([-3.0, 0.0]), torch.tensor([0.05, 1.0])
    grid = torch.stack([against, across])[:, :, None, None]
    worth = cosine_weighted(grid, vector, 2)[:, 0, 0]
    torch.testing.assert_close(worth, torch.tensor([-3 * 0.01, 0.05 * 0.01]))
    along = cosine_weighted(torch.tensor([[[[5.0]], [[0.0]]]]), vector, 4)
    torch.testing.assert_close(along, torch.full((1, 1, 1), 5.0))


def test_a_dead_layer_has_a_gradient_that_is_a_number():
    grid = torch.zeros(1, 2, 2, 2, requires_grad=True)
    worth = cosine_weighted(grid, torch.tensor([1.0, 2.0]), 4).sum()
    assert torch.isfinite(torch.autograd.grad(worth, grid)[0]).all()
    flat = Drawn()
    flat.images = torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
    assert torch.isfinite(torch.autograd.grad(Norm(2).value(flat).sum(), flat.images)[0]).all()


def test_likeness_of_equal_images_is_one_and_of_one_image_nothing():
    same = Drawn(3)
    same.grids["conv"] = (
        same.grids["conv"][:1].expand(3, -1, -1, -1) * torch.tensor([1.0, 2.0, 0.5])[:, None, None, None]
    )
    torch.testing.assert_close(Likeness("conv").value(same), torch.ones(3))
    torch.testing.assert_close(Likeness("conv").value(Drawn(1)), torch.zeros(1))


def test_a_magnitude_is_not_optimized():
    readings = Drawn(2)
    grid = readings.grids["conv"].requires_grad_()
    worth = channel("conv", 0) * Magnitude(channel("conv", 1))
    (gradient,) = torch.autograd.grad(worth.value(readings).sum(), grid)
    assert gradient[:, 0].any()
    assert not gradient[:, 1].any()


def test_alignment_prefers_likeness_of_neighbours():
    readings = Drawn(4)
    base = readings.grids["late"][:1]
    steps = torch.arange(4.0)[:, None, None, None]
    readings.grids["late"] = base + steps  # each a little further
    smooth = Alignment("late").value(readings).mean()
    readings.grids["late"] = base + steps[[0, 2, 1, 3]]
    assert smooth > Alignment("late").value(readings).mean()
    readings.grids["late"] = base.expand(4, -1, -1, -1)
    torch.testing.assert_close(Alignment("late").value(readings), torch.zeros(4))


def test_interpolation_of_one_image_is_the_first():
    objective = Interpolation(channel("conv", 0), channel("conv", 1))
    torch.testing.assert_close(objective.value(Drawn(1)), channel("conv", 0).value(Drawn(1)))


def test_style_takes_a_reference_of_another_size_and_the_others_do_not():
    with pytest.raises(InputError, match=r"the reference at conv is \[6, 4, 4\].*\[6, 3, 5\]; render at the size"):
        Difference("conv", STYLE_REFERENCE).value(DRAWN)
    same = Style("conv", H["conv"][0])
    assert same.value(DRAWN)[0].item() == pytest.approx(0, abs=1e-5)


def test_blurriness_pulls_each_pixel_to_its_neighbourhood():
    readings = Drawn(1)
    readings.images = readings.images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Blurriness().value(readings).sum(), readings.images)
    images = readings.images.detach().numpy()
    np.testing.assert_allclose(gradient.numpy(), 2 * (blurred(images) - images) / images[0].size, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mixed4d:426", Activation(Channel("mixed4d", 426))),
        (" -mixed4d:426 ", -Activation(Channel("mixed4d", 426))),
        ("--a:1", Product((Constant(-1.0), -channel("a", 1)))),
        ("a:1@2,3", Activation(Neuron("a", 1, 2, 3))),
        ("logits:Labrador retriever", Activation(Logit("Labrador retriever"))),
        (Direction("a", (1.0,)), Activation(Direction("a", (1.0,)))),
        (3, Constant(3.0)),
    ],
)
def test_targets_and_texts_are_objectives(text, expected):
    assert as_objective(text) == expected


def test_positions_outside_are_refused():
    for row, column in ((3, 0), (0, 5), (-4, 0)):
        with pytest.raises(TargetError, match=rf"conv has no position {row},{column} at this size: it is 3×5"):
            neuron("conv", 0, row, column).value(DRAWN)


def test_a_label_needs_a_model():
    with pytest.raises(TargetError, match="checked"):
        logit("lemon").value(DRAWN)


def _model():
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    return pellucid.wrap(module, size=12, labels=["lemon", "barn"])


@pytest.mark.parametrize(
    ("objective", "layer"),
    [
        (channel("O", 1), None),
        (DeepDream("nowhere"), None),
        (Alignment("nowhere"), None),
        (Likeness("nowhere"), None),
        (Style("nowhere", REFERENCE), None),
        (Interpolation(channel("0", 1), channel("0", 6)), None),
        (2 * (channel("0", 1) - logit("lemonade stand")), None),
        (direction("0", [1, 2]), None),
        (neuron("logits", 0, 0, 0), None),
    ],
)
def test_checking_finds_what_the_model_does_not_have(objective, layer):
    with pytest.raises(TargetError):
        objective.checked(_model())


def test_checking_names_classes_by_number_everywhere():
    objective = Interpolation(0.5 * logit("Barn"), Sum((logit("lemon"), Product((Constant(2.0), logit(1))))))
    checked = objective.checked(_model())
    assert checked == Interpolation(0.5 * logit(1), Sum((logit(0), Product((Constant(2.0), logit(1))))))
    assert objective.needs() == {"logits": None}
    assert checked.needs() == {"logits": frozenset({0, 1})}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"objective": "Nothing"},
        {"objective": "Constant"},
        {"objective": "Constant", "amount": 1, "more": 2},
        {"objective": "Difference", "layer": "a", "reference": {"float32": "AAAA", "shape": [4]}},
        {"objective": "Difference", "layer": "a", "reference": {"float32": "~", "shape": [1]}},
        {"objective": "Sum", "parts": [{"objective": "Nothing"}]},
    ],
)
def test_json_of_something_else_is_refused(value):
    with pytest.raises(InputError, match="as an objective"):
        from_json(value)


def test_a_direction_at_the_centre_is_a_weighted_sum_of_neurons():
    generator = torch.Generator().manual_seed(3)
    grid = torch.rand((1, 4, 5, 7), generator=generator)
    readings = type("R", (), {"grid": lambda self, layer: grid})()
    vector = [0.5, -1.0, 2.0, 0.25]
    value = direction("block", vector, centred=True).value(readings)
    np.testing.assert_allclose(value.numpy(), [float(grid[0, :, 2, 3] @ torch.tensor(vector))], rtol=1e-6)
    everywhere = direction("block", vector).value(readings)
    assert abs(float(everywhere) - float(value)) > 1e-3
