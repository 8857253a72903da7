"""Triangle meshes with texture coordinates."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import InputError


@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface of triangles, each of whose corners has a place on a texture.

    Where the texture has a seam, vertices stand twice at one position, with other texture coordinates.

    Args:
        vertices: float32 [vertices, 3], x to the right, y up, z towards the viewer; any unit.
        triangles: int64 [triangles, 3], numbers of vertices, counter-clockwise seen from outside.
        coordinates: float32 [vertices, 2], u to the right and v upwards, each in [0, 1]; beyond, the texture repeats.

    Raises:
        InputError: a shape or number that does not fit, or no triangle.

    Example:
        >>> pellucid.meshes.Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], [[0, 0], [1, 0], [0, 1]])
        <Mesh of 3 vertices and 1 triangles>
    """

    vertices: np.ndarray
    triangles: np.ndarray
    coordinates: np.ndarray

    def __post_init__(self) -> None:
        vertices, coordinates = _numbers("vertices", self.vertices, 3), _numbers("coordinates", self.coordinates, 2)
        triangles = np.asarray(self.triangles)
        if len(vertices) != len(coordinates):
            raise InputError(
                f"a mesh has {len(vertices)} vertices and {len(coordinates)} texture coordinates; give one for each."
            )
        if triangles.ndim != 2 or triangles.shape[1] != 3 or not len(triangles) or triangles.dtype.kind not in "iu":
            raise InputError(
                f"triangles are {triangles.dtype} {list(triangles.shape)}; expected integers [triangles, 3], 1 or more."
            )
        if triangles.min() < 0 or triangles.max() >= len(vertices):
            raise InputError(
                f"triangles name vertices {triangles.min()} to {triangles.max()}; there are 0 to {len(vertices) - 1}."
            )
        for name, value in (
            ("vertices", vertices),
            ("triangles", triangles.astype(np.int64)),
            ("coordinates", coordinates),
        ):
            object.__setattr__(self, name, value)
        if not self.radius > 0:
            raise InputError("all vertices of the mesh lie at one point.")

    def __repr__(self) -> str:
        return f"<Mesh of {len(self.vertices)} vertices and {len(self.triangles)} triangles>"

    @cached_property
    def centre(self) -> np.ndarray:
        """The middle of the bounding box: float32 [3]."""
        used = self.vertices[self.triangles.reshape(-1)]
        return (used.min(0) + used.max(0)) / 2

    @cached_property
    def radius(self) -> float:
        """The largest distance of a vertex from `centre`."""
        used = self.vertices[self.triangles.reshape(-1)]
        return float(np.linalg.norm(used - self.centre, axis=1).max())

    @cached_property
    def normals(self) -> np.ndarray:
        """Unit normals at the vertices, float32 [vertices, 3]: those of the triangles around, weighted by area.

        Vertices at one position share theirs, so that no seam of the texture shows as an edge.
        """
        corners = self.vertices[self.triangles].astype(np.float64)
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        _, places = np.unique(self.vertices, axis=0, return_inverse=True)
        places = places.reshape(-1)
        sums = np.zeros((places.max() + 1, 3))
        np.add.at(sums, places[self.triangles.reshape(-1)], np.repeat(across, 3, axis=0))
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.maximum(lengths, 1e-30))[places].astype(np.float32)

    @cached_property
    def extent(self) -> tuple[float, float]:
        """What the texture's width and height measure on the surface, in the vertices' unit, averaged over its area."""
        corners, places = self.vertices[self.triangles].astype(np.float64), self.coordinates[self.triangles]
        first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        (u1, v1), (u2, v2) = ((places[:, corner] - places[:, 0]).T.astype(np.float64) for corner in (1, 2))
        turn = u1 * v2 - u2 * v1
        area = np.linalg.norm(np.cross(first, second), axis=1)
        mapped = np.abs(turn) > 1e-12  # others have no extent on the texture
        if not (area * mapped).sum() > 0:
            raise InputError("the texture coordinates of the mesh span no area; unwrap it in a 3-D program first.")
        turn = np.where(mapped, turn, 1.0)[:, None]
        along = (first * v2[:, None] - second * v1[:, None]) / turn, (second * u1[:, None] - first * u2[:, None]) / turn
        width, height = (
            float((np.linalg.norm(each, axis=1) * area * mapped).sum() / (area * mapped).sum()) for each in along
        )
        return width, height


def _numbers(name: str, given: Any, columns: int) -> np.ndarray:
    try:
        array = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} of the mesh are no array of numbers: {error}.") from None
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{name} of the mesh are {list(array.shape)}; expected [vertices, {columns}].")
    if not np.isfinite(array).all():
        raise InputError(f"{name} of the mesh hold numbers that are not finite.")
    return array
