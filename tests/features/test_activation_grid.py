"""Activation grids: cells that the network recognizes, a preview against numpy, budgets, interrupts, the cache."""

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid
from pellucid.errors import InputError, TargetError, WeightsError
from pellucid.features import ActivationGrid, _render_grid, cut_out, preview_grid, render_grid
from pellucid.record import run
from pellucid.store import RenderCache

QUICK = {"layer": "block", "side": 12, "precision": "float32"}


@pytest.fixture
def photo() -> torch.Tensor:
    """Stripes on the left, a slope on the right: positions that differ."""
    generator = torch.Generator().manual_seed(3)
    picture = torch.rand((3, 32, 32), generator=generator) * 0.2
    picture[:, :, :16:4] += 0.8
    picture[0, :, 16:] += torch.linspace(0, 0.8, 16)
    return picture.clamp(0, 1)


def cosines(model, grid: ActivationGrid, values: np.ndarray) -> np.ndarray:
    """Between each position's vector (rows) and the middle of the layer on each cell alone (columns)."""
    cells = grid.cells.reshape(-1, grid.side, grid.side, grid.image.shape[2]).transpose(0, 3, 1, 2)
    made = pellucid.record(model, np.ascontiguousarray(cells), grid.layer)[grid.layer].values
    middle = made[:, made.shape[1] // 2, made.shape[2] // 2]
    unit = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in (values.reshape(len(middle), -1), middle)]
    return unit[0] @ unit[1].T


def test_each_cell_is_about_its_own_position(small, photo):
    values = pellucid.record(small, photo[None], "block")["block"].values[0]
    grid = render_grid(small, photo, steps=40, **QUICK)
    assert grid.image.shape == (8 * 12, 8 * 12, 3)
    assert grid.image.dtype == np.float32
    assert 0 <= grid.image.min() < grid.image.max() <= 1
    found = cosines(small, grid, values)
    before = cosines(small, render_grid(small, photo, steps=1, **QUICK), values)
    assert found.diagonal().mean() > before.diagonal().mean() + 0.05
    # Directions of one photo are alike; each cell still fits its own better than that of the average position.
    assert (found.diagonal() > found.mean(0)).mean() > 0.8
    assert grid.objective[-5:].mean() > grid.objective[0]


def test_strength_and_cells_by_numpy(small, photo):
    values = pellucid.record(small, photo[None], "block")["block"].values[0]
    grid = render_grid(small, photo, steps=2, **QUICK)
    norms = np.sqrt((values.astype(float) ** 2).sum(2))
    np.testing.assert_allclose(grid.strength, norms / norms.max(), rtol=1e-6)
    np.testing.assert_array_equal(grid.cells[3, 5], grid.image[36:48, 60:72])


def test_the_same_seed_gives_the_same_grid_and_another_another(small, photo):
    first, again, other = (render_grid(small, photo, steps=3, seed=seed, **QUICK).image for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_recorded_activations_give_what_the_photo_gives(small, photo):
    recorded = pellucid.record(small, photo[None], "block")["block"]
    grids = [render_grid(small, source, steps=2, **QUICK).image for source in (photo, photo.numpy(), recorded)]
    np.testing.assert_array_equal(grids[0], grids[1])
    np.testing.assert_array_equal(grids[0], grids[2])


def test_chunks_of_cells_change_nothing_but_rounding(small, photo, monkeypatch):
    whole = render_grid(small, photo, steps=2, **QUICK).image
    monkeypatch.setattr(_render_grid, "_CHUNK_PIXELS", 5 * 12 * 12)
    np.testing.assert_allclose(render_grid(small, photo, steps=2, **QUICK).image, whole, atol=2e-3)


def test_the_gradient_by_finite_differences(small):
    """Moving all pixels along the gradient raises the summed value as fast as its norm says (float64)."""
    small.module.double()
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand((3, 3, 12, 12), generator=generator, dtype=torch.float64)
    vectors = torch.nn.functional.normalize(torch.rand((3, 12), generator=generator, dtype=torch.float64), dim=1)

    def network(images):
        return run(small, images, ["block"])["block"]

    @torch.no_grad()
    def value(images):
        middle = network(images)[:, :, 1, 1]
        projection = (middle * vectors).sum(1)
        return float((projection * (projection / middle.norm(dim=1)).clamp(min=0.1) ** 4).sum())

    with torch.no_grad():
        grid = network(pixels)
    assert grid.shape[2:] == (3, 3)
    gradient, projection = _render_grid._gradient(network, pixels, vectors, False)
    step = 1e-3
    slope = (value(pixels + step * gradient) - value(pixels - step * gradient)) / (2 * step)
    assert slope == pytest.approx(float(gradient.square().sum()), rel=1e-2)
    assert projection == pytest.approx(float((grid[:, :, 1, 1] * vectors).sum(1).mean()), rel=1e-5)


@pytest.mark.parametrize("length", [3, 4, 1])
def test_the_middle_of_a_grid(length):
    grid = torch.arange(length * length, dtype=torch.float32).view(1, 1, length, length)
    assert float(_render_grid._centre(grid)) == (length * length - 1) / 2


def test_a_network_that_cannot_be_traced_gives_the_same(make_model, photo):
    plain = render_grid(make_model(), photo, steps=2, **QUICK)
    hooked = render_grid(make_model(branching=True), photo, steps=2, **QUICK)
    np.testing.assert_allclose(hooked.image, plain.image, atol=2e-3)
    assert "hooks" in hooked.provenance["remarks"][0]
    assert not plain.provenance["remarks"]


def test_a_grey_network(make_model):
    grid = render_grid(make_model(channels=1), torch.rand(1, 32, 32), steps=2, **QUICK)
    assert grid.image.shape == (96, 96, 1)
    assert grid.sized().shape == (96, 96, 1)


@pytest.mark.parametrize("budget", [1e-6, 0.4])
def test_steps_follow_the_budget(small, photo, budget, monkeypatch):
    """On a clock that moves by a hundredth of a second whenever it is read, a budget gives a number of steps."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(_render_grid.time, "perf_counter", lambda: 0.01 * next(ticks))
    grid = render_grid(small, photo, budget_seconds=budget, **QUICK)
    if budget < 0.01:
        assert grid.provenance["steps"] == 1
    else:
        assert grid.provenance["steps"] in range(36, 41)
    assert grid.provenance["settings"]["budget_seconds"] == budget


def test_progress_ends_where_it_said(small, photo):
    events = []
    render_grid(small, photo, steps=4, progress=events.append, **QUICK)
    assert [event.done for event in events] == [1, 2, 3, 4]
    assert {event.total for event in events} == {4}


def test_an_interrupt_returns_what_there_is_and_keeps_nothing(small, photo, tmp_path):
    def stop(event):
        if event.done == 3:
            raise KeyboardInterrupt

    grid = render_grid(small, photo, steps=9, progress=stop, cache=RenderCache(tmp_path), **QUICK)
    assert grid.interrupted
    assert grid.provenance["interrupted"]
    assert len(grid.objective) == 3
    assert not list(tmp_path.rglob("*.webp"))


def test_the_second_time_comes_from_the_cache(small, photo, tmp_path):
    cache = RenderCache(tmp_path)
    first = render_grid(small, photo, steps=3, cache=cache, **QUICK)
    again = render_grid(small, photo, steps=3, cache=cache, **QUICK)
    np.testing.assert_allclose(again.image, first.image, atol=1e-6)
    np.testing.assert_allclose(again.objective, first.objective, atol=1e-3)
    np.testing.assert_array_equal(again.strength, first.strength)
    assert (first.provenance["from_cache"], again.provenance["from_cache"]) == (False, True)
    for change in ({"seed": 1}, {"steps": 2}, {"side": 16}, {"layer": "last"}):
        other = render_grid(small, photo, cache=cache, **{**QUICK, "steps": 3, **change})
        assert not other.provenance["from_cache"], change
    assert not render_grid(small, 1 - photo, steps=3, cache=cache, **QUICK).provenance["from_cache"]


def test_the_module_comes_back_as_it_was(small, photo):
    small.module.train()
    render_grid(small, photo, steps=1, **QUICK)
    assert small.module.training
    assert all(parameter.grad is None for parameter in small.module.parameters())


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"layer": "head"}, TargetError, "no positions"),
        ({"layer": "blok"}, TargetError, "did you mean"),
        ({"steps": 0}, InputError, "steps is 0"),
        ({"side": 2}, InputError, "side is 2"),
        ({"budget_seconds": 0}, InputError, "budget_seconds is 0"),
        ({"budget_seconds": -1.0}, InputError, "budget_seconds is -1"),
        ({"budget_seconds": float("nan")}, InputError, "budget_seconds is nan"),
    ],
)
def test_settings_that_do_not_fit(small, photo, change, error, says):
    with pytest.raises(error, match=says):
        render_grid(small, photo, **{**QUICK, **change})


def test_sources_that_do_not_fit(small, photo):
    layers = pellucid.record(small, photo[None].repeat(2, 1, 1, 1), ["block", "last"])
    nothing = pellucid.Activations(layers["block"].layer, np.zeros((1, 8, 8, 12), np.float32))
    lost = pellucid.Activations(layers["block"].layer, np.full((1, 8, 8, 12), np.nan, np.float32))
    for source, says in [
        (nothing, "block is zero everywhere"),
        (lost, "not all finite"),
        (layers["block"], "2 images"),
        (pellucid.Activations(layers["last"].layer, layers["last"].values[:1]), "record those of block"),
        (photo[None], r"expected \[channels, height, width\]"),
    ]:
        with pytest.raises(InputError, match=says) as caught:
            render_grid(small, source, **QUICK)
        assert str(caught.value).count(". ") == 0


def test_a_preview_by_numpy():
    random = np.random.default_rng(0)
    values = random.random((3, 4, 6)).astype(np.float32)
    values[1, 2, [1, 4, 5]] = 0
    icons = random.integers(0, 256, (3, 8, 8, 3)).astype(np.float32) / 255
    grid = preview_grid(values, icons, channels=[1, 4, 5], side=8, top=2, power=2.0, layer="x")
    assert grid.image.shape == (24, 32, 3)
    for row in range(3):
        for column in range(4):
            raised = values[row, column, [1, 4, 5]].astype(float)
            best = sorted(range(3), key=lambda k: -raised[k])[:2]
            expected = np.ones((8, 8, 3))
            if raised.any():
                weights = raised[best] ** 2 / (raised[best] ** 2).sum()
                expected = sum(weight * icons[k] for weight, k in zip(weights, best, strict=True))
            np.testing.assert_allclose(grid.cells[row, column], expected, atol=1e-5)


def test_a_preview_cuts_out_the_object():
    icon = np.zeros((1, 40, 40, 4), np.float32)
    icon[0, 4:14, 20:30] = (1, 0, 0, 1)
    grid = preview_grid(np.ones((1, 1, 1)), icon, channels=[0], side=20)
    red = (grid.image[..., 1] < 0.5).mean()
    assert red > 4 * (10 * 10) / (40 * 40)  # far larger than in the icon
    clear = preview_grid(np.ones((1, 1, 1)), np.zeros((1, 8, 8, 4)), channels=[0], side=4)
    assert clear.image.min() == 1


def test_what_is_cut_out_keeps_its_colours_and_is_centred():
    icon = np.zeros((40, 60, 4), np.float32)
    icon[..., 2] = 1  # a transparent ground whose colour must not show
    icon[5:15, 30:40] = (1, 0.5, 0, 1)
    cut = cut_out(icon, side=30, spread=2.0)
    opaque = cut[..., 3] > 0.5
    np.testing.assert_allclose(cut[opaque][:, :3], np.broadcast_to([1, 0.5, 0], (opaque.sum(), 3)), atol=1e-3)
    rows, columns = np.nonzero(opaque)
    assert (rows.mean(), columns.mean()) == pytest.approx((14.5, 14.5), abs=1)
    assert 0.2 < opaque.mean() < cut_out(icon, side=30, spread=1.4)[..., 3].mean()


@pytest.mark.parametrize(
    ("values", "icons", "settings", "says"),
    [
        (np.zeros((2, 2, 3)), np.zeros((1, 4, 4, 3)), {"channels": [0]}, "zero everywhere"),
        (np.ones((2, 3)), np.zeros((1, 4, 4, 3)), {"channels": [0]}, "rows, columns, channels"),
        (np.ones((2, 2, 3)), np.zeros((1, 4, 4, 3)), {"channels": [3]}, "have 0 to 2"),
        (np.ones((2, 2, 3)), np.zeros((1, 4, 4, 3)), {"channels": [0, 1]}, "for 2 channels"),
        (np.ones((2, 2, 3)), np.zeros((0, 4, 4, 3)), {"channels": []}, "for 0 channels"),
        (np.ones((2, 2, 3)), np.zeros((1, 4, 4, 3)), {"channels": [0], "top": 0}, "top is 0"),
    ],
)
def test_previews_that_do_not_fit(values, icons, settings, says):
    with pytest.raises(InputError, match=says):
        preview_grid(values, icons, **settings)


def test_cells_in_proportion_to_their_strength(tmp_path):
    strength = np.array([[1.0, 0.5], [0.01, 0.25]], np.float32)
    grid = ActivationGrid("x", np.zeros((40, 40, 3), np.float32), strength)
    dark = (grid.sized(smallest=0.1)[..., 0] < 0.5).reshape(2, 20, 2, 20).sum((1, 3))
    np.testing.assert_array_equal(dark, [[400, 100], [4, 25]])
    grid.save(tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (40, 40)
    with pytest.raises(InputError, match="names no format"):
        grid.save(tmp_path / "grid.xyz")
    assert grid._repr_png_().startswith(b"\x89PNG")


@pytest.mark.slow
def test_real_cells_point_where_the_photo_does(data):
    try:
        model = pellucid.load("inception_v1", weights=data / "models", download=False)
    except WeightsError as error:
        pytest.skip(str(error))
    image = pellucid.load_image(data / "reference" / "photos" / "dog_cat.jpeg", size=224)
    values = pellucid.record(model, image[None], "mixed4a")["mixed4a"].values[0, 1::4, 1::4]
    layer = model.layer("mixed4a")
    part = pellucid.Activations(layer, np.ascontiguousarray(values[None]))
    grid = render_grid(model, part, layer="mixed4a", steps=24, precision="float32")
    assert grid.side == 112
    found = cosines(model, grid, values)
    assert found.diagonal().mean() > 0.5
    assert (found.argmax(0) == np.arange(len(found))).mean() > 0.7
