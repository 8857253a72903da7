"""Solids that need no file; each is one sheet of the texture, bent until its edges meet."""

import numpy as np

from ...errors import InputError
from ._mesh import Mesh


def sphere(columns: int = 64, rows: int = 32) -> Mesh:
    """A sphere of radius 1; the texture is a map of the world, u the longitude and v the latitude.

    Args:
        columns, rows: of quads around the axis and from pole to pole.

    Example:
        >>> pellucid.meshes.sphere()
        <Mesh of 2145 vertices and 3968 triangles>
    """
    latitude = np.linspace(-np.pi / 2, np.pi / 2, _count("rows", rows) + 1)
    radii = np.cos(latitude)
    radii[[0, -1]] = 0  # exactly: the poles are points
    return revolve(np.stack([radii, np.sin(latitude)], 1), columns=columns, even=False)


def torus(thickness: float = 0.45, columns: int = 96, rows: int = 48) -> Mesh:
    """A ring around the y axis; u runs along the ring and v around it, and both ends meet.

    Args:
        thickness: radius of the tube, in (0, 1), where the ring's own is 1.
        columns, rows: of quads along the ring and around it.

    Raises:
        InputError: no such thickness.

    Example:
        >>> pellucid.meshes.torus(0.3)
        <Mesh of 4753 vertices and 9216 triangles>
    """
    if not 0 < thickness < 1:
        raise InputError(f"thickness is {thickness}; expected more than 0 and less than 1.")
    angle = _circle(_count("rows", rows)) - np.pi  # the seam is on the inner side
    return revolve(np.stack([1 + thickness * np.cos(angle), thickness * np.sin(angle)], 1), columns=columns, even=False)


def torus_knot(turns: int = 2, windings: int = 3, thickness: float = 0.6, columns: int = 256, rows: int = 24) -> Mesh:
    """A knotted tube, by default the trefoil; u runs along the tube and v around it, and both ends meet.

    The centre line is ((2 + cos qt) cos pt, (2 + cos qt) sin pt, sin qt).

    Args:
        turns, windings: p, around the axis, and q, around the ring; the same divisor in both gives the same curve.
        thickness: radius of the tube.
        columns, rows: of quads along the tube and around it.

    Raises:
        InputError: a number of turns or a thickness below zero.

    Example:
        >>> pellucid.meshes.torus_knot()
        <Mesh of 6425 vertices and 12288 triangles>
    """
    p, q = _count("turns", turns, 1), _count("windings", windings, 1)
    if not thickness > 0:
        raise InputError(f"thickness is {thickness}; expected more than 0.")

    def curve(t: np.ndarray) -> np.ndarray:
        ring = 2 + np.cos(q * t)
        return np.stack([ring * np.cos(p * t), ring * np.sin(p * t), np.sin(q * t)], -1)

    # Even steps along the curve, so that the texture is stretched nowhere.
    fine = np.linspace(0, 2 * np.pi, 16 * _count("columns", columns) + 1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve(fine), axis=0), axis=1))])
    t = np.interp(np.linspace(0, length[-1], columns + 1), length, fine)
    t[-1] = 0  # the end is the beginning, to the last bit
    centre, tangent = curve(t), _unit(curve(t + 1e-4) - curve(t - 1e-4))
    normal, binormal = _frame(tangent)
    angle = -_circle(_count("rows", rows))[:, None, None]
    return _sheet(centre + thickness * (np.cos(angle) * normal + np.sin(angle) * binormal))


def vase(columns: int = 96, rows: int = 128) -> Mesh:
    """A vase with a foot, a belly, and a neck that is hollow as far as one sees into it.

    Args:
        columns, rows: of quads around the axis, and from the foot over the lip and down the neck.

    Example:
        >>> pellucid.meshes.vase(columns=32, rows=48)
        <Mesh of 1617 vertices and 3008 triangles>
    """
    outline = [(0.0, 0.0), (0.42, 0.0), (0.47, 0.05), (0.45, 0.12), (0.62, 0.45), (0.78, 0.85), (0.8, 1.1)]
    outline += [(0.7, 1.4), (0.5, 1.64), (0.4, 1.82), (0.42, 2.0), (0.54, 2.14), (0.52, 2.18), (0.47, 2.13)]
    outline += [(0.37, 1.98), (0.35, 1.82), (0.36, 1.6), (0.36, 1.36), (0.34, 1.32), (0.0, 1.32)]
    return revolve(_smooth(np.array(outline), 16), columns=columns, rows=rows)


def revolve(profile: np.ndarray, *, columns: int = 96, rows: int = 64, even: bool = True) -> Mesh:
    """The surface that an outline makes when it is turned about the y axis; u runs around it, v along the outline.

    Args:
        profile: [points, 2], radius and height, with the outside to the right of who walks along it: upwards outside,
            downwards inside. Begin and end at radius 0 to close it, or where it began.
        columns: of quads around the axis.
        rows: along the outline, which is divided evenly by its length.
        even: `False` takes the points as they are, with v the same from each to the next.

    Raises:
        InputError: fewer than two points, or a negative radius.

    Example:
        >>> pellucid.meshes.revolve(np.array([[0, 0], [0.5, 0], [0.5, 1]]), columns=32, rows=8)
        <Mesh of 297 vertices and 480 triangles>
    """
    outline = np.asarray(profile, dtype=np.float64)
    if outline.ndim != 2 or outline.shape[1] != 2 or len(outline) < 2 or not np.isfinite(outline).all():
        raise InputError(
            f"the profile is {list(outline.shape)}; expected finite numbers [points, 2], 2 points or more."
        )
    if outline[:, 0].min() < 0:
        raise InputError(f"the profile has a radius of {outline[:, 0].min():g}; expected 0 or more.")
    if even:
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))])
        at = np.linspace(0, length[-1], _count("rows", rows) + 1)
        outline = np.stack([np.interp(at, length, outline[:, axis]) for axis in (0, 1)], 1)
    angle = _circle(_count("columns", columns)) - np.pi  # the seam is behind
    radius, height = outline[:, :1], outline[:, 1:]
    return _sheet(np.stack([radius * np.sin(angle), height + 0 * angle, radius * np.cos(angle)], -1))


def _sheet(points: np.ndarray) -> Mesh:
    """The mesh of a grid of points [rows + 1, columns + 1, 3], without triangles that have no area."""
    rows, columns = points.shape[0] - 1, points.shape[1] - 1
    number = np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)
    below, above = number[:-1], number[1:]
    lower = np.stack([below[:, :-1], below[:, 1:], above[:, 1:]], -1)
    upper = np.stack([below[:, :-1], above[:, 1:], above[:, :-1]], -1)
    triangles = np.stack([lower, upper], 2).reshape(-1, 3)
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    vertices = points.reshape(-1, 3).astype(np.float32)
    corners = vertices[triangles].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return Mesh(vertices, triangles[area > 1e-12], np.stack([u, v], -1).reshape(-1, 2))


def _circle(count: int) -> np.ndarray:
    """`count` + 1 angles once around, the last one that of the first, to the last bit."""
    return 2 * np.pi * (np.arange(count + 1) % count) / count


def _smooth(points: np.ndarray, between: int) -> np.ndarray:
    """A Catmull–Rom curve through points [n, 2], with `between` steps from each to the next."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    before, start, end, after = (padded[k : k + len(points) - 1, None] for k in range(4))
    t = np.linspace(0, 1, between, endpoint=False)[None, :, None]
    curve = start + t / 2 * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    whole = np.concatenate([curve.reshape(-1, 2), points[-1:]])
    whole[:, 0] = whole[:, 0].clip(0)
    return whole


def _frame(tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two directions across a closed curve that turn about it as little as they can and end as they began.

    Args:
        tangent: unit vectors [n, 3] along it, the last one that of the first.
    """
    normal = [_unit(np.cross(tangent[0], np.eye(3)[np.abs(tangent[0]).argmin()]))]
    for along in tangent[1:]:
        normal.append(_unit(normal[-1] - (normal[-1] @ along) * along))
    carried = np.array(normal)
    across = np.cross(tangent, carried)
    # What is missing to a whole turn is made up for evenly on the way.
    missing = np.arctan2(carried[0] @ across[-1], carried[0] @ carried[-1])
    angle = np.linspace(0, missing, len(tangent))[:, None]
    turned = np.cos(angle) * carried + np.sin(angle) * across
    turned[-1] = turned[0]  # to the last bit
    return turned, np.cross(tangent, turned)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _count(name: str, given: int, least: int = 3) -> int:
    if given < least:
        raise InputError(f"{name} is {given}; expected {least} or more.")
    return int(given)
