"""Solids: the rasterizer against rays, shapes against their formulas, textures against not being optimized."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pellucid
from pellucid.errors import InputError, TargetError
from pellucid.features import meshes
from pellucid.features.images import CPPN, Parametrization
from pellucid.features.meshes import Camera, Mesh, cameras_around, rasterize
from pellucid.features.meshes._views import Surface, show, surface
from pellucid.features.objectives import Interpolation, Style, channel, to_json
from pellucid.pictures import to_bytes

CAMERAS = [Camera(), Camera(130, 35), Camera(-60, -50, distance=1.6), Camera(10, 90), Camera(200, 5, 3, zoom=1.7)]
SHAPES = {"sphere": meshes.sphere(), "torus": meshes.torus(), "knot": meshes.torus_knot(), "vase": meshes.vase()}


def rays(camera: Camera, size: tuple[int, int], radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The camera's place about the mesh's centre, and unit directions through all pixels' centres."""
    height, width = size
    right, up, towards = camera.axes
    focus = camera.zoom * min(size) / 2 * np.sqrt(camera.distance**2 - 1)
    columns, rows = np.meshgrid(np.arange(width) + 0.5 - width / 2, height / 2 - np.arange(height) - 0.5)
    directions = columns[..., None] * right + rows[..., None] * up - focus * towards
    return camera.distance * radius * towards, directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def away_from_edges(mask: np.ndarray) -> np.ndarray:
    """Pixels whose neighbours are all within the mask."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return np.all([padded[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)


def quad(corners, coordinates=((0, 0), (1, 0), (1, 1), (0, 1))) -> Mesh:
    return Mesh(np.array(corners, float), np.array([[0, 1, 2], [0, 2, 3]]), np.array(coordinates, float))


def joined(*parts: Mesh) -> Mesh:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.coordinates for part in parts]),
    )


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("size", [(48, 48), (40, 64)])
def test_a_sphere_is_where_rays_meet_it(camera, size):
    raster = rasterize(meshes.sphere(256, 128), camera, size)
    place, directions = rays(camera, size, 1.0)
    middle = directions @ place
    under = middle**2 - (place @ place - 1)
    hit = under > 0
    assert (raster.covered != hit).mean() < 0.02  # polygons are a little smaller than the ball
    inner = away_from_edges(hit)
    assert raster.covered[inner].all()
    points = place + directions * (-middle - np.sqrt(np.maximum(under, 0)))[..., None]
    depth = (place - points) @ camera.axes[2]
    np.testing.assert_allclose(raster.depth[inner], depth[inner], atol=4e-3)
    u = np.arctan2(points[..., 0], points[..., 2]) / (2 * np.pi) + 0.5
    v = np.arcsin(points[..., 1].clip(-1, 1)) / np.pi + 0.5
    near_pole = np.abs(points[..., 1]) > 0.95  # there u is a point
    wrong = np.abs(raster.coordinates[..., 0] - u)
    assert np.minimum(wrong, 1 - wrong)[inner & ~near_pole].max() < 4e-3
    np.testing.assert_allclose(raster.coordinates[..., 1][inner], v[inner], atol=4e-3)
    normals = points @ camera.axes.T
    assert np.abs(raster.normals - normals)[inner].max() < 0.03
    assert (raster.triangle[~raster.covered] == -1).all()
    assert not raster.depth[~raster.covered].any()


def test_texture_coordinates_are_those_of_the_plane_and_not_of_the_picture():
    # A floor that runs away from the camera: in the picture its far half is much smaller than its near one.
    floor = quad([(-1, -0.3, 1), (1, -0.3, 1), (1, 0.3, -1), (-1, 0.3, -1)])
    camera, size = Camera(20, 10, distance=1.3), (90, 90)
    raster = rasterize(floor, camera, size)
    place, directions = rays(camera, size, floor.radius)
    normal = np.cross([2, 0, 0], [0, 0.6, -2])
    points = place + directions * (-(place @ normal) / (directions @ normal))[..., None]
    exact = np.stack([(points[..., 0] + 1) / 2, (1 - points[..., 2]) / 2], -1)
    assert raster.covered.sum() > 500
    np.testing.assert_allclose(raster.coordinates[raster.covered], exact[raster.covered], atol=1e-4)
    inside = ((exact > 0.01) & (exact < 0.99)).all(-1)
    assert raster.covered[inside].all()
    outside = ((exact < -0.01) | (exact > 1.01)).any(-1)
    assert not raster.covered[outside].any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_surface_hides_the_other(order):
    far = quad([(-1, -1, -0.5), (1, -1, -0.5), (1, 1, -0.5), (-1, 1, -0.5)], [(0.25, 0.25)] * 4)
    near = quad([(-0.5, -0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, 0.5), (-0.5, 0.5, 0.5)], [(0.75, 0.75)] * 4)
    both = joined(*[(far, near)[index] for index in order])
    front, back = (rasterize(both, Camera(azimuth), 61).coordinates[..., 0] for azimuth in (0, 180))
    assert front[30, 30] == 0.75
    assert back[30, 30] == 0.25
    assert set(np.unique(front)) == {0, 0.25, 0.75}


def test_fragments_in_parts_are_those_of_one_triangle_after_another(monkeypatch):
    generator = np.random.default_rng(0)
    soup = Mesh(generator.normal(size=(60, 3)), np.arange(60).reshape(20, 3), generator.random((60, 2)))
    camera = Camera(30, 20, distance=1.5)
    nearest = np.full((32, 32), np.inf)
    number = np.full((32, 32), -1)
    for index in range(20):  # each alone, in the frame of all
        seen = (soup.vertices - soup.centre) @ camera.axes.T / soup.radius
        focus = camera.zoom * 16 * np.sqrt(camera.distance**2 - 1)
        corners = seen[soup.triangles[index]]
        away = camera.distance - corners[:, 2]
        x, y = 16 + focus * corners[:, 0] / away, 16 - focus * corners[:, 1] / away
        for row in range(32):
            for column in range(32):
                matrix = np.stack([x, y, np.ones(3)])
                weights = np.linalg.solve(matrix, [column + 0.5, row + 0.5, 1])
                if (weights >= 0).all() and 1 / (weights / away).sum() < nearest[row, column]:
                    nearest[row, column] = 1 / (weights / away).sum()
                    number[row, column] = index
    np.testing.assert_array_equal(rasterize(soup, camera, 32).triangle, number)
    monkeypatch.setattr("pellucid.features.meshes._rasterize._MOST_FRAGMENTS", 50)
    np.testing.assert_array_equal(rasterize(soup, camera, 32).triangle, number)


def test_the_pictures_gradient_is_that_of_finite_differences():
    seen = surface(meshes.torus(), [Camera(0, 30), Camera(180, -20)], (7, 6))
    double = Surface(**{name: value.double() for name, value in vars(seen).items()})
    texture = torch.rand((2, 1, 5, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda each: show(each, double), texture.requires_grad_())


@pytest.mark.parametrize("name", ["sphere", "torus", "vase"])
def test_a_seam_is_a_place_like_any_other(name):
    # Turned by a quarter, with the texture moved by a quarter, the solid looks the same: the seam comes to the front.
    texture = torch.rand((1, 3, 24, 32), generator=torch.Generator().manual_seed(0))
    front = show(texture, surface(SHAPES[name], [Camera(0, 20)], (48, 48)))
    for quarter in (1, 2, 3):
        moved = texture.roll(8 * quarter, dims=3)
        turned = show(moved, surface(SHAPES[name], [Camera(90 * quarter, 20)], (48, 48)))
        # But for edges of triangles that fall exactly on a sample.
        assert (turned - front).abs().max() < 0.05
        assert (turned - front).abs().mean() < 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_closed_and_their_triangles_face_outwards(name):
    mesh = SHAPES[name]
    _, place = np.unique(mesh.vertices, axis=0, return_inverse=True)
    faces = place.reshape(-1)[mesh.triangles]
    edges = Counter(tuple(edge) for face in faces.tolist() for edge in pairwise([*face, face[0]]))
    assert set(edges.values()) == {1}
    assert all((second, first) in edges for first, second in edges)
    a, b, c = mesh.vertices[mesh.triangles].astype(float).transpose(1, 0, 2)
    volume = np.einsum("nd,nd->", a, np.cross(b, c)) / 6
    expected = {"sphere": 4 / 3 * np.pi, "torus": 2 * np.pi**2 * 0.45**2}.get(name)
    assert volume > 0
    assert expected is None or volume == pytest.approx(expected, rel=0.01)
    assert mesh.coordinates.min() == 0
    assert mesh.coordinates.max() == 1


def test_what_the_texture_measures_on_a_surface():
    width, height = meshes.sphere(128, 64).extent
    assert width == pytest.approx(2 * np.pi * np.pi / 4, rel=0.01)  # the mean of a cosine over the area
    assert height == pytest.approx(np.pi, rel=0.01)
    _, around = meshes.torus(0.3).extent
    assert around == pytest.approx(2 * np.pi * 0.3, rel=0.01)


def test_cameras_are_spread():
    cameras = cameras_around(24, lowest=-30, highest=45)
    towards = np.stack([camera.axes[2] for camera in cameras])
    assert -0.5 <= towards[:, 1].min() < -0.4
    assert 0.6 < towards[:, 1].max() <= np.sin(np.radians(45)) + 1e-9
    angles = np.degrees(np.arccos((towards @ towards.T - 2 * np.eye(24)).clip(-1, 1)))
    assert angles.min() > 15
    np.testing.assert_allclose(
        [camera.axes @ camera.axes.T for camera in cameras], np.tile(np.eye(3), (24, 1, 1)), atol=1e-12
    )


def test_views_are_a_parametrization_that_shares_one_texture():
    cameras = tuple(cameras_around(3))
    views = meshes.TexturedViews(SHAPES["torus"], cameras, (32, 48), CPPN())
    assert isinstance(views, Parametrization)
    parameters = views.start((3, 24, 24), 3, torch.Generator().manual_seed(0))
    assert {len(each) for each in parameters} == {1}
    pictures = views.decode(parameters, (3, 24, 24))
    assert pictures.shape == (3, 4, 24, 24)
    assert not pictures[:, :3].masked_select(pictures[:, 3:] == 0).any()
    covered = pictures[:, 3].mean((1, 2))
    for share, camera in zip(covered, cameras, strict=True):
        assert share == pytest.approx(rasterize(SHAPES["torus"], camera, 48).covered.mean(), abs=1e-6)
    two = views.decode([torch.cat([each, each + 1]) for each in parameters], (3, 24, 24))
    torch.testing.assert_close(two[:3], pictures)


def brightness(small, solid, cameras, layer, unit):
    """Mean activation of a unit on views of a solid on mid-grey."""
    views = solid.look(cameras, small.size)
    pixels = views[..., :3] * views[..., 3:] + 0.5 * (1 - views[..., 3:])
    return pellucid.record(small, torch.from_numpy(pixels).permute(0, 3, 1, 2), layer)[layer].values[..., unit].mean()


def test_a_texture_fires_its_unit_from_where_it_was_not_optimized(embedded_model):
    settings = {"views": 6, "size": 64, "seed": 1}
    cameras = [Camera(azimuth, elevation) for azimuth, elevation in ((33, 0), (100, 20), (165, -15), (250, 30))]
    start = pellucid.render_texture(embedded_model, "mixed4a:40", SHAPES["vase"], steps=1, learning_rate=0, **settings)
    other = pellucid.render_texture(embedded_model, "mixed4a:41", SHAPES["vase"], steps=24, **settings)
    solid = pellucid.render_texture(embedded_model, "mixed4a:40", SHAPES["vase"], steps=24, **settings)
    fires = [brightness(embedded_model, each, cameras, "mixed4a", 40) for each in (start, other, solid)]
    assert fires[2] > 3 * max(fires[:2])
    assert solid.views.objective[:, -1].min() > solid.views.objective[:, 0].max()
    assert not set(np.round([c.azimuth for c in solid.cameras])) & {33, 100, 165, 250}


def test_a_texture_can_fire_one_unit_in_front_and_another_behind(small):
    front, back = channel("last", 1), channel("last", 7)
    cameras = [Camera(0), Camera(180)]
    settings = {"views": cameras, "size": 32, "steps": 40, "precision": "float32"}
    solid = pellucid.render_texture(small, Interpolation(front, back), SHAPES["sphere"], **settings)
    first, second = ([brightness(small, solid, [camera], "last", unit) for unit in (1, 7)] for camera in cameras)
    assert first[0] > second[0]
    assert second[1] > first[1]


def test_what_a_result_says(small):
    solid = pellucid.render_texture(
        small, "last:1", SHAPES["torus"], views=3, size=(24, 32), texture_size=(20, 40), steps=3, seed=4
    )
    assert solid.texture.shape == (20, 40, 3)
    assert solid.texture.min() > 0
    assert solid.views.images.shape == (3, 24, 32, 4)
    np.testing.assert_allclose(solid.look(solid.cameras, (24, 32)), solid.views.images, atol=1e-6)
    assert solid.views.objective.shape == (3, 3)
    assert solid.views.targets == ("last:1~1", "last:1~2", "last:1~3")
    # The views' opacity is not what is optimized, so the objective is the plain one.
    assert solid.views.provenance["objectives"] == [to_json(channel("last", 1))]
    told = solid.views.provenance["settings"]["parametrization"]
    assert told["cameras"][0]["kind"] == "Camera"
    assert told["mesh"]["vertices"]["shape"] == list(SHAPES["torus"].vertices.shape)
    again = pellucid.render_texture(
        small, "last:1", SHAPES["torus"], views=3, size=(24, 32), texture_size=(20, 40), steps=3, seed=4
    )
    np.testing.assert_array_equal(again.texture, solid.texture)
    assert solid._repr_png_().startswith(b"\x89PNG")
    assert "last:1" in repr(solid)


def test_the_texture_is_as_fine_as_the_views(small):
    def drawn(mesh, size):
        return pellucid.render_texture(small, "last:1", mesh, views=1, size=size, steps=1).texture.shape[:2]

    rows, columns = drawn(SHAPES["torus"], 64)
    assert columns > 2 * rows  # a ring is longer than it is round
    assert np.prod(drawn(SHAPES["torus"], 128)) == pytest.approx(4 * rows * columns, rel=0.2)


def test_a_dead_texture_is_helped():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    torch.manual_seed(0)
    nn.init.normal_(module[0].weight, std=0.2)  # type: ignore[arg-type]
    nn.init.constant_(module[0].bias, -5.0)  # type: ignore[arg-type]
    model = pellucid.wrap(module, size=24)
    settings = {"views": 2, "size": 24, "steps": 16, "transforms": [], "learning_rate": 0.3}
    still = pellucid.render_texture(model, "1:2", SHAPES["sphere"], **{**settings, "learning_rate": 0.0})
    solid = pellucid.render_texture(model, "1:2", SHAPES["sphere"], **settings)
    assert not np.array_equal(still.texture, solid.texture)


class Readings:
    def __init__(self, grid: torch.Tensor, opacity: torch.Tensor) -> None:
        self.images, self.opacity, self._grid = torch.zeros(len(grid), 3, 8, 8), opacity, grid

    def grid(self, layer: str) -> torch.Tensor:
        return self._grid


def test_style_together_looks_only_where_the_pictures_are_opaque():
    grid = torch.randn((2, 5, 4, 4), generator=torch.Generator().manual_seed(0))
    style = Style("a", np.random.default_rng(0).normal(size=(5, 3, 3)), together=True)
    opacity = torch.zeros(2, 8, 8)
    opacity[:, :, :4] = 1  # the left half, which is two columns of the grid
    left = style.value(Readings(grid[..., :2], torch.ones(2, 8, 8)))  # type: ignore[arg-type]
    torch.testing.assert_close(style.value(Readings(grid, opacity)), left)  # type: ignore[arg-type]


def test_style_together_is_of_the_mean_gram_matrix():
    grid = torch.randn((2, 5, 4, 4), generator=torch.Generator().manual_seed(0))
    reference = np.random.default_rng(0).normal(size=(5, 3, 3)).astype(np.float32)
    value = Style("a", reference, together=True).value(Readings(grid, torch.ones(2, 8, 8)))  # type: ignore[arg-type]
    flat, wanted = grid.flatten(2).numpy(), reference.reshape(5, 9)
    gram = np.mean([each @ each.T / 16 for each in flat], 0)
    wanted = wanted @ wanted.T / 9
    np.testing.assert_allclose(value, [np.abs(gram - wanted).mean() / np.abs(wanted).mean()] * 2, rtol=1e-5)


def test_a_solid_takes_on_the_style_of_an_image(small):
    picture = torch.zeros(3, 32, 32)
    picture[0] = 0.9
    picture[:, ::8] = 0.05  # red, with dark lines
    layers = ["first", "block"]
    settings = {"views": 4, "size": 32, "precision": "float32"}
    start = pellucid.render_texture_style(
        small, picture, layers, SHAPES["sphere"], steps=1, learning_rate=0, **settings
    )
    solid = pellucid.render_texture_style(small, picture, layers, SHAPES["sphere"], steps=60, **settings)
    assert solid.views.objective[:, -1].mean() > 0.7 * start.views.objective[:, -1].mean()  # both negative
    red, green, _ = solid.texture.reshape(-1, 3).mean(0)
    assert red > green + 0.1
    said = [term["objective"] for term in solid.views.provenance["objectives"][0]["parts"]]
    assert said == ["Product", "Product"]
    with pytest.raises(InputError, match="at least one layer"):
        pellucid.render_texture_style(small, picture, [], SHAPES["sphere"])


def parsed(path):
    """A reader of its own: corner positions, corner texture coordinates, and the picture that the material names."""
    rows = [line.split() for line in path.read_text().splitlines()]
    v, vt = (np.array([[float(x) for x in row[1:]] for row in rows if row[0] == kind]) for kind in ("v", "vt"))
    faces = np.array([[corner.split("/") for corner in row[1:]] for row in rows if row[0] == "f"], int) - 1
    library = next(row[1] for row in rows if row[0] == "mtllib")
    material = next(row[1] for row in rows if row[0] == "usemtl")
    said = (path.parent / library).read_text().splitlines()
    assert f"newmtl {material}" in said
    picture = next(line.split()[1] for line in said if line.startswith("map_Kd"))
    return v[faces[..., 0]], vt[faces[..., 1]], np.asarray(Image.open(path.parent / picture))


def test_files_hold_the_solid_as_other_programs_read_it(small, tmp_path):
    solid = pellucid.render_texture(small, "last:1", SHAPES["vase"], views=2, size=32, steps=2)
    path = solid.save(tmp_path / "my vase.obj")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["my vase.obj", "my_vase.mtl", "my_vase.png"]
    corners, places, picture = parsed(path)
    mesh = SHAPES["vase"]
    np.testing.assert_allclose(corners, mesh.vertices[mesh.triangles], atol=1e-5)
    np.testing.assert_allclose(places, mesh.coordinates[mesh.triangles], atol=1e-5)
    np.testing.assert_array_equal(picture, to_bytes(solid.texture))
    again = meshes.read_mesh(path)
    np.testing.assert_allclose(again.vertices[again.triangles], mesh.vertices[mesh.triangles], atol=1e-5)
    np.testing.assert_allclose(again.coordinates[again.triangles], mesh.coordinates[mesh.triangles], atol=1e-5)


def test_the_first_row_of_a_texture_is_its_upper_edge():
    texture = torch.zeros(1, 3, 20, 20)
    texture[:, 0, :10] = 1  # the upper half is red
    view = show(texture, surface(SHAPES["sphere"], [Camera()], (32, 32)))[0]
    assert view[0, 8, 16] > 0.5
    assert view[0, 24, 16] == 0


def test_a_film_of_the_turning_solid(small, tmp_path):
    solid = pellucid.render_texture(small, "last:1", SHAPES["torus"], views=2, size=32, steps=2)
    for name in ("ring.gif", "ring.webp"):
        with Image.open(solid.save_turntable(tmp_path / name, frames=5, size=(24, 40))) as film:
            assert (film.size, film.n_frames) == ((40, 24), 5)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(solid.turntable(4, 24)[1], solid.look(Camera(90, 15), 24)[0])
    with pytest.raises(InputError, match=r"\.gif or \.webp"):
        solid.save_turntable(tmp_path / "ring.avi")
    with pytest.raises(InputError, match=r"does not end in \.obj"):
        solid.save(tmp_path / "ring.stl")


def test_faces_are_read_as_the_format_has_them(tmp_path):
    path = tmp_path / "square.obj"
    path.write_text(
        "# a comment\no square\nv 0 0 0\nv 1 0 0 1.0\nv 1 1 \\\n0\nv 0 1 0\nvt 0 0\nvt 1 0 0\nvt 1 1\nvt 0 1\n"
        "vn 0 0 1\nusemtl paint\ns 1\nf 1/1/1 2/2/1 3/3/1 4/4/1 # a fan\nf -4/-4 -2/-2 -1/-1\n"
    )
    mesh = meshes.read_mesh(path)
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 2, 3]]
    np.testing.assert_array_equal(mesh.vertices[:, :2], mesh.coordinates)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no faces"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "line 4: 'f 1 2 3' cannot be read: the face has no texture"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 4/1\n", "line 5: .* no vertex 4"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/2\n", "no texture coordinate 2"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 0/1 1/1 2/1\n", "no vertex 0"),
        ("v 0 0\n", "a vertex needs 3 numbers"),
        ("v 0 0 zero\n", "line 1: 'v 0 0 zero'"),
        ("v 0 0 0\nvt 0 0\nf 1/1 1/1\n", "a face needs 3 corners"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 nan\nvt 0 0\nf 1/1 2/1 3/1\n", "not finite"),
        ("v 0 0 0\nvt 0 0\nf 1/1 1/1 1/1\n", "at one point"),
        ("\x00\xff\x89PNG", "has no faces"),
    ],
)
def test_damaged_files_are_refused_in_a_sentence(text, said, tmp_path):
    path = tmp_path / "bad.obj"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said):
        meshes.read_mesh(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nothing\.obj"):
        meshes.read_mesh(tmp_path / "nothing.obj")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Mesh([[0, 0]], [[0, 0, 0]], [[0, 0]]), r"vertices of the mesh are \[1, 2\]"),  # type: ignore[arg-type]
        (lambda: Mesh([["a", 0, 0]], [[0, 0, 0]], [[0, 0]]), "no array of numbers"),  # type: ignore[arg-type]
        (lambda: quad([(0, 0, 0), (1, 0, 0), (1, 1, 0)]), "3 vertices and 4 texture coordinates"),
        (lambda: Mesh(np.eye(3), np.array([[0, 1, 3]]), np.zeros((3, 2))), "0 to 3; there are 0 to 2"),
        (lambda: Mesh(np.eye(3), np.array([[0.0, 1, 2]]), np.zeros((3, 2))), "expected integers"),
        (lambda: Mesh(np.eye(3), np.zeros((0, 3), int), np.zeros((3, 2))), "1 or more"),
        (lambda: Mesh(np.eye(3), np.array([[0, 1, 2]]), np.zeros((3, 2))).extent, "span no area"),
        (lambda: Camera(distance=1), "more than 1 radius"),
        (lambda: Camera(zoom=0), "more than 0"),
        (lambda: cameras_around(0), "1 or more"),
        (lambda: cameras_around(2, lowest=50, highest=10), "lower one first"),
        (lambda: rasterize(SHAPES["torus"], Camera(), 0), "1 px or more"),
        (lambda: meshes.torus(1.5), "thickness is 1.5"),
        (lambda: meshes.torus_knot(thickness=0), "thickness is 0"),
        (lambda: meshes.torus_knot(0), "turns is 0"),
        (lambda: meshes.sphere(2), "columns is 2"),
        (lambda: meshes.revolve(np.array([[-1.0, 0], [1, 1]])), "radius of -1"),
        (lambda: meshes.revolve(np.zeros((1, 2))), "2 points or more"),
    ],
)
def test_what_cannot_be_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"views": 0}, InputError),
        ({"views": []}, InputError),
        ({"steps": 0}, InputError),
        ({"size": 1}, InputError),
        ({"texture_size": 1}, InputError),
        ({"mesh": "vase.obj"}, InputError),
        ({"target": "nowhere:1"}, TargetError),
    ],
)
def test_settings_that_do_not_fit_are_refused(small, changes, error):
    given = {"target": "last:1", "mesh": SHAPES["torus"], "steps": 1, "views": 1} | changes
    with pytest.raises(error):
        pellucid.render_texture(small, **given)
