"""Which place of a mesh each pixel of a view shows: a z-buffer, all fragments of many triangles at once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ._mesh import Mesh

# Fragments at a time: some hundred MB.
_MOST_FRAGMENTS = 2_000_000


@dataclass(frozen=True)
class Camera:
    """From where a mesh is seen; it looks at the mesh's centre, and up is up.

    Args:
        azimuth: degrees around the y axis; 0 looks from +z, 90 from +x.
        elevation: degrees above the horizon, −90 to 90.
        distance: from the centre, in radii of the mesh; smaller gives more perspective. More than 1.
        zoom: the share of the picture's shorter side that the mesh's bounding sphere takes.

    Raises:
        InputError: the camera is inside the bounding sphere, or a zoom of 0 or less.

    Example:
        >>> pellucid.meshes.Camera(azimuth=90)
        Camera(azimuth=90, elevation=0.0, distance=4.0, zoom=0.95)
    """

    azimuth: float = 0.0
    elevation: float = 0.0
    distance: float = 4.0
    zoom: float = 0.95

    def __post_init__(self) -> None:
        if not 1 < self.distance < math.inf:
            raise InputError(f"distance is {self.distance}; expected more than 1 radius of the mesh.")
        if not 0 < self.zoom < math.inf:
            raise InputError(f"zoom is {self.zoom}; expected more than 0.")

    @property
    def axes(self) -> np.ndarray:
        """Unit vectors to the right, up, and towards the camera: float64 [3, 3]."""
        azimuth, elevation = math.radians(self.azimuth), math.radians(self.elevation)
        right = np.array([math.cos(azimuth), 0, -math.sin(azimuth)])
        towards = np.array([math.sin(azimuth) * math.cos(elevation), 0, math.cos(azimuth) * math.cos(elevation)])
        towards[1] = math.sin(elevation)
        return np.stack([right, np.cross(towards, right), towards])


def cameras_around(count: int, *, lowest: float = -30.0, highest: float = 45.0, zoom: float = 0.95) -> list[Camera]:
    """Cameras all around, spread evenly over a band of elevations.

    They climb from the lowest to the highest, each a golden angle on from the one before (a Fibonacci spiral).

    Args:
        count: of cameras.
        lowest, highest: elevations between which they stand, degrees.
        zoom: of each.

    Raises:
        InputError: no camera, or no such elevations.

    Example:
        >>> [round(camera.azimuth) for camera in pellucid.meshes.cameras_around(4)]
        [0, 138, 275, 53]
    """
    if count < 1:
        raise InputError(f"there are {count} views; expected 1 or more.")
    if not -90 <= lowest <= highest <= 90:
        raise InputError(f"elevations are {lowest} to {highest}; expected −90 to 90, the lower one first.")
    low, high = math.sin(math.radians(lowest)), math.sin(math.radians(highest))
    # Even steps of the sine are even steps of area.
    heights = [low + (high - low) * (index + 0.5) / count for index in range(count)]
    golden = 180 * (3 - math.sqrt(5))
    return [
        Camera(index * golden % 360, math.degrees(math.asin(height)), zoom=zoom) for index, height in enumerate(heights)
    ]


@dataclass(frozen=True, eq=False)
class Raster:
    """What each pixel of a view shows; of those that show nothing, `triangle` is −1 and the rest 0.

    Args:
        triangle: int64 [height, width], the number of the triangle.
        depth: float32 [height, width], distance from the camera along its axis, in the mesh's unit.
        coordinates: float32 [height, width, 2], u and v.
        normals: float32 [height, width, 3], unit vectors on the side that is seen: right, up, towards the camera.
    """

    triangle: np.ndarray
    depth: np.ndarray
    coordinates: np.ndarray
    normals: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """Whether a pixel shows the mesh: bool [height, width]."""
        return self.triangle >= 0


def rasterize(mesh: Mesh, camera: Camera, size: int | tuple[int, int]) -> Raster:
    """What each pixel of a view of a mesh shows, at the pixel's centre; the nearest triangle hides those behind it.

    Triangles are seen from both sides. Texture coordinates and normals are interpolated over the surface, not over the
    picture (perspective-correct).

    Args:
        size: height and width of the view, px.

    Raises:
        InputError: no such size.

    Example:
        >>> pellucid.meshes.rasterize(pellucid.meshes.sphere(), pellucid.meshes.Camera(), 32).coordinates.shape
        (32, 32, 2)
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise InputError(f"size is {size}; expected 1 px or more.")
    axes = camera.axes
    seen = (mesh.vertices.astype(np.float64) - mesh.centre) @ axes.T / mesh.radius
    away = camera.distance - seen[:, 2]  # positive, since the camera is outside of all
    focus = camera.zoom * min(height, width) / 2 * math.sqrt(camera.distance**2 - 1)
    columns, rows = width / 2 + focus * seen[:, 0] / away, height / 2 - focus * seen[:, 1] / away
    corners = np.stack([columns, rows, 1 / away], 1)[mesh.triangles]

    nearest = np.full(height * width, np.inf)
    triangle = np.full(height * width, -1, dtype=np.int64)
    for pixels, numbers, depth in _fragments(corners, height, width):
        np.minimum.at(nearest, pixels, depth)
        front = depth == nearest[pixels]
        triangle[pixels[front]] = numbers[front]

    shown = np.flatnonzero(triangle >= 0)
    numbers = triangle[shown]
    weights = _barycentric(corners[numbers], shown % width + 0.5, shown // width + 0.5) * corners[numbers, :, 2]
    weights /= weights.sum(1, keepdims=True)
    vertices = mesh.triangles[numbers]

    def interpolated(values: np.ndarray) -> np.ndarray:
        return np.einsum("nc,ncd->nd", weights, values[vertices])

    place = interpolated(seen)
    normals = interpolated(mesh.normals @ axes.T)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    towards = np.array([0, 0, camera.distance]) - place
    normals *= np.where((normals * towards).sum(1, keepdims=True) < 0, -1, 1)

    def laid_out(values: np.ndarray) -> np.ndarray:
        whole = np.zeros((height * width, *values.shape[1:]), np.float32)
        whole[shown] = values
        return whole.reshape(height, width, *values.shape[1:])

    return Raster(
        triangle.reshape(height, width),
        laid_out((camera.distance - place[:, 2]) * mesh.radius),
        laid_out(interpolated(mesh.coordinates)),
        laid_out(normals),
    )


def _fragments(corners: np.ndarray, height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pixels whose centres triangles cover: the pixel, the number of the triangle and the depth of each, in parts.

    Args:
        corners: [triangles, 3, 3], column, row and 1 / depth of each corner.
    """
    # Pixel k has its centre at k + 0.5.
    first = np.ceil(corners[:, :, :2].min(1) - 0.5).clip(0, [width, height]).astype(np.int64)
    last = np.floor(corners[:, :, :2].max(1) - 0.5).clip(-1, [width - 1, height - 1]).astype(np.int64)
    sides = (last - first + 1).clip(0)
    counts = sides.prod(1)
    numbers = np.flatnonzero(counts)
    ends = np.cumsum(counts[numbers])
    start = 0
    while start < len(numbers):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _MOST_FRAGMENTS, side="right")))
        part = np.repeat(numbers[start:stop], counts[numbers[start:stop]])
        place = np.arange(len(part)) - np.repeat(
            ends[start:stop] - counts[numbers[start:stop]] - done, counts[numbers[start:stop]]
        )
        column, row = first[part, 0] + place % sides[part, 0], first[part, 1] + place // sides[part, 0]
        weights = _barycentric(corners[part], column + 0.5, row + 0.5)
        inside = (weights >= 0).all(1)
        depth = 1 / (weights[inside] * corners[part[inside], :, 2]).sum(1)  # 1 / depth is linear in the picture
        yield row[inside] * width + column[inside], part[inside], depth
        start = stop


def _barycentric(corners: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Weights of a triangle's corners at a point of the picture, [n, 3]; −1 for triangles that are seen edge-on."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, corner, :2].T for corner in range(3))
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    whole = np.where(area == 0, 1.0, area)
    second = ((column - ax) * (cy - ay) - (cx - ax) * (row - ay)) / whole
    third = ((bx - ax) * (row - ay) - (column - ax) * (by - ay)) / whole
    weights = np.stack([1 - second - third, second, third], 1)
    return np.where((area == 0)[:, None], -1.0, weights)
