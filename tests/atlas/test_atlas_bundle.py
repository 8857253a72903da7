"""The atlas as a bundle, as a file and as a folder, and the commands that make them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

import pellucid
from pellucid.atlas import Atlas, class_atlas, compare_classes, place_photo, to_bundle
from pellucid.bundle import AtlasBody, Bundle, read_bundle, unpack_numbers, write_bundle
from pellucid.cli import cli
from pellucid.errors import BundleError
from tests.atlas.conftest import drawing, write_drawings


@pytest.fixture(scope="module")
def shown(built: Atlas, embedded_model: pellucid.Model, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """A copy of the atlas with a map of a class, one of two, and a photo."""
    copy = tmp_path_factory.mktemp("shown") / "atlas"
    shutil.copytree(built.folder.path, copy)
    atlas = pellucid.open_atlas(copy)
    class_atlas(atlas, embedded_model, _favourite(atlas), grid=3)
    compare_classes(atlas, embedded_model, _favourite(atlas), _favourite(atlas, 1), grid=3)
    place_photo(atlas, embedded_model, drawing("fields", 500))
    return atlas


def _favourite(atlas: Atlas, place: int = 0) -> str:
    (_, attribution), *_ = atlas.vectors("mixed4d").attributions()
    return atlas.labels[int(np.argsort(-attribution.astype(np.float32).mean(0))[place])]


@pytest.fixture(scope="module")
def bundle(shown: Atlas, embedded_model: pellucid.Model) -> Bundle:
    return to_bundle(shown, embedded_model)


def test_a_bundle_is_read_back_as_it_was_written(bundle: Bundle, shown: Atlas, tmp_path: Path):
    read = read_bundle(write_bundle(bundle.manifest, bundle.files, tmp_path / "atlas.zip"))
    body = read.manifest.body
    assert isinstance(body, AtlasBody)
    assert body.images == 90
    assert [layer.name for layer in body.layers] == shown.layers
    assert (len(body.class_atlases), len(body.two_class_maps), len(body.photos)) == (1, 1, 2)
    cells = shown.cells("mixed4d", 6)
    drawn = body.layers[1].maps[1]
    np.testing.assert_array_equal(unpack_numbers(drawn.places).round(), cells.places)
    assert drawn.counts == cells.counts.tolist()
    attribution = unpack_numbers(drawn.attribution)
    np.testing.assert_allclose(attribution, cells.attribution, atol=1e-4 * np.abs(cells.attribution).max())
    assert [best[0] for best in drawn.top] == cells.attribution.argmax(1).tolist()


def test_channels_are_found_where_the_means_of_cells_have_them(bundle: Bundle, shown: Atlas):
    body = bundle.manifest.body
    assert isinstance(body, AtlasBody)
    for layer in body.layers:
        for drawn in layer.maps:
            means = shown.cells(layer.name, drawn.columns).means
            told = drawn.channels
            assert told is not None
            assert (len(told.top), len(told.cells)) == (len(means), layer.channels)
            values, peaks = unpack_numbers(told.values), unpack_numbers(told.peaks)
            close = 1e-4 * float(means.max())
            for cell, best in enumerate(told.top):
                rest = np.delete(means[cell], best)
                np.testing.assert_allclose(values[cell, : len(best)], means[cell, best], atol=close)
                assert (np.diff(means[cell, best]) <= 0).all()
                assert len(best) == min(6, int((means[cell] > 0).sum()))
                assert rest.max() <= means[cell, best].min()
            for channel, best in enumerate(told.cells):
                assert len(best) == min(8, int((means[:, channel] > 0).sum()))
                np.testing.assert_allclose(peaks[channel, : len(best)], means[best, channel], atol=close)
                if best:
                    assert means[best[0], channel] == means[:, channel].max()


def test_channels_that_do_not_fit_are_told(bundle: Bundle, tmp_path: Path):
    body = bundle.manifest.body
    assert isinstance(body, AtlasBody)
    layer = body.layers[0]
    told = layer.maps[0].channels
    assert told is not None
    for wrong, said in [
        ({"top": told.top[1:]}, "the channels of the grid of 3"),
        ({"top": [[layer.channels], *told.top[1:]]}, "channel"),
        ({"cells": [[10_000], *told.cells[1:]]}, "cell"),
        ({"peaks": told.values}, "`peaks` of the channels"),
    ]:
        grid = replace(layer.maps[0], channels=replace(told, **wrong))
        layers = [replace(layer, maps=[grid, *layer.maps[1:]]), *body.layers[1:]]
        with pytest.raises(BundleError, match=said):
            write_bundle(replace(bundle.manifest, body=replace(body, layers=layers)), bundle.files, tmp_path / "a.zip")


def test_each_icon_stands_in_the_middle_of_its_cell(bundle: Bundle, shown: Atlas, tmp_path: Path):
    body = bundle.manifest.body
    assert isinstance(body, AtlasBody)
    tiles, cells = body.layers[1].maps[0].tiles, shown.cells("mixed4d", 3)
    icons = shown.icons("mixed4d", 3).images
    whole = Image.new("RGBA", (tiles.width, tiles.height))
    across = -(-tiles.width // tiles.side)
    for number, name in enumerate(tiles.files):
        if name:
            (tmp_path / "tile.webp").write_bytes(bundle.files[name])
            with Image.open(tmp_path / "tile.webp") as tile:
                whole.paste(tile, (number % across * tiles.side, number // across * tiles.side))
    side = tiles.width // 3
    for (column, row), icon in zip(cells.places.tolist(), icons, strict=True):
        middle = np.asarray(whole)[row * side + side // 2, column * side + side // 2]
        assert middle[3] == 255
        wanted = np.asarray(Image.fromarray(icon).resize((9, 9), Image.Resampling.BOX))[4, 4].astype(int)
        near = np.asarray(whole.crop((column * side + 36, row * side + 36, column * side + 44, row * side + 44)))
        assert np.abs(near[..., :3].reshape(-1, 3).mean(0) - wanted).max() < 45
    empty = {(x, y) for x in range(3) for y in range(3)} - set(map(tuple, cells.places.tolist()))
    for column, row in empty:
        assert np.asarray(whole)[row * side + side // 2, column * side + side // 2, 3] == 0


def test_pieces_are_cut_from_the_images_of_the_cell(bundle: Bundle, shown: Atlas):
    body = bundle.manifest.body
    assert isinstance(body, AtlasBody)
    patches = body.layers[1].maps[0].patches
    assert patches is not None
    cells = shown.cells("mixed4d", 3)
    assert patches.counts == np.minimum((cells.exemplars >= 0).sum(1), patches.columns).tolist()


def test_a_page_without_photos_holds_no_piece_of_any(shown: Atlas, bundle: Bundle, embedded_model: pellucid.Model):
    bare = to_bundle(shown, embedded_model, photos=False)
    body, full = bare.manifest.body, bundle.manifest.body
    assert isinstance(body, AtlasBody)
    assert isinstance(full, AtlasBody)
    assert full.layers[0].maps[0].patches is not None
    assert all(made.patches is None for layer in body.layers for made in layer.maps)
    assert not body.photos
    # What is left are tiles of icons, the same as with photos.
    assert {name for name in bare.files if "tiles" not in name} == set()
    assert all(bundle.files[name] == content for name, content in bare.files.items())


def test_every_command_does_what_it_says(tmp_path: Path, monkeypatch):
    from click.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    write_drawings(Path("photos"), 12)
    write_drawings(Path("more"), 1, first=70)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["atlas", *arguments, "--quiet"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    options = ("--layers", "mixed4d", "--grids", "2,4", "--projection", "pca", "--icon-size", "48", "--icon-steps", "2")
    assert "36 images" in run("build", "photos", "--out", "a", *options, "--least", "2")
    assert "39 images" in run("add", "more", "a")
    first, second = (_favourite(pellucid.open_atlas("a"), place) for place in (0, 1))
    assert "cells" in run("compare", "a", first, second)
    assert "cells" in run("class", "a", first)
    told = json.loads(run("place", "a", str(Path("photos/discs/003.jpg")), "--json"))
    assert told[0]["layer"] == "mixed4d"
    assert sum(count for _, _, count in told[0]["cells"]) == 144
    assert "mixed4d: " in run("place", "a", str(Path("photos/discs/003.jpg")))
    assert Path(run("open", "a", "--no-browser").strip()) == Path("a/page/index.html")
    assert Path("a/page/index.html").is_file()
    run("export", "a", "--out", "a.html")
    assert Path("a.html").stat().st_size > 200_000
    # Opening again replaces the page that is there.
    run("open", "a", "--no-browser")


def test_what_is_wrong_is_one_sentence(built: Atlas, tmp_path: Path):
    from click.testing import CliRunner

    def fails(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["atlas", *arguments, "--quiet"])
        assert done.exit_code != 0
        return str(done.exception) + done.output

    path = str(built.folder.path)
    assert "no atlas" in fails("open", str(tmp_path))
    assert "no file or folder" in fails("build", str(tmp_path / "nowhere"), "--out", str(tmp_path / "b"))
    assert "--grids takes numbers" in fails("build", path, "--grids", "ten")
    assert "name two classes" in fails("patch", path, "--from", "lemon", "--images", path)
    assert "column,row" in fails("patch", path, "--from", "lemon", "--to", "orange", "--images", path, "--cell", "3")
    assert "did you mean" in fails("class", path, "lemmon")
