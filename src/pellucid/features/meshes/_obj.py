"""Wavefront OBJ: the file format of triangle meshes that every 3-D program reads and writes."""

import os
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...pictures import to_picture
from ._mesh import Mesh


def read_mesh(path: str | os.PathLike[str]) -> Mesh:
    """The mesh in a Wavefront OBJ file: all of its faces, as triangles, with their texture coordinates.

    Polygons are divided like a fan. Materials, groups and normals in the file are not read.

    Args:
        path: an OBJ file whose faces have texture coordinates.

    Raises:
        InputError: no such file, no faces, no texture coordinates, or a line that says something impossible.

    Example:
        >>> pellucid.meshes.read_mesh("bunny.obj")                                # doctest: +SKIP
        <Mesh of 35947 vertices and 69451 triangles>
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from None
    positions: list[list[float]] = []
    places: list[list[float]] = []
    numbers: dict[tuple[int, int], int] = {}  # of a vertex, by those of its position and its place on the texture
    triangles: list[tuple[int, int, int]] = []
    for line_number, line in enumerate(text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines(), 1):
        word, *rest = line.partition("#")[0].split() or [""]
        try:
            if word == "v":
                positions.append([float(value) for value in rest[:3]])
                if len(rest) < 3:
                    raise ValueError("a vertex needs 3 numbers")
            elif word == "vt":
                places.append([float(value) for value in (*rest, 0)[:2]])
            elif word == "f":
                corners = [_corner(each, len(positions), len(places)) for each in rest]
                if len(corners) < 3:
                    raise ValueError("a face needs 3 corners")
                vertices = [numbers.setdefault(corner, len(numbers)) for corner in corners]
                triangles += [(vertices[0], second, third) for second, third in pairwise(vertices[1:])]
        except ValueError as error:
            raise InputError(f"{path}, line {line_number}: {line.strip()[:60]!r} cannot be read: {error}.") from None
    if not triangles:
        raise InputError(f"{path} has no faces; expected a Wavefront OBJ file.")
    position, place = np.array(list(numbers)).T
    return Mesh(np.array(positions)[position], np.array(triangles), np.array(places)[place])


def _corner(text: str, positions: int, places: int) -> tuple[int, int]:
    """Numbers, from 0, of the position and the texture coordinates of `v/vt` or `v/vt/vn`."""
    first, _, second = text.partition("/")
    second = second.partition("/")[0]
    if not second:
        raise ValueError("the face has no texture coordinates; unwrap the mesh in a 3-D program first")
    found = []
    for number, count, what in ((int(first), positions, "vertex"), (int(second), places, "texture coordinate")):
        index = number - 1 if number > 0 else number + count  # a negative one counts back from the last
        if number == 0 or not 0 <= index < count:
            raise ValueError(f"there is no {what} {number} before it")
        found.append(index)
    return found[0], found[1]


def obj_files(mesh: Mesh, texture: np.ndarray, name: str) -> dict[str, bytes]:
    """The files by which a textured mesh is known everywhere: NAME.obj, NAME.mtl, NAME.png.

    Args:
        texture: [rows, columns, channels] in [0, 1].
        name: without a suffix. In the companions' names, which OBJ cannot quote, spaces become `_`.
    """
    plain = "_".join(name.split())
    lines = [f"mtllib {plain}.mtl", "usemtl texture"]
    lines += [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in mesh.vertices.tolist()]
    lines += [f"vt {u:.7g} {v:.7g}" for u, v in mesh.coordinates.tolist()]
    lines += [f"vn {x:.5g} {y:.5g} {z:.5g}" for x, y, z in mesh.normals.tolist()]
    lines += ["f " + " ".join(f"{k}/{k}/{k}" for k in each) for each in (mesh.triangles + 1).tolist()]
    material = ["newmtl texture", "Ka 1 1 1", "Kd 1 1 1", "Ks 0 0 0", "illum 1", f"map_Kd {plain}.png"]
    picture = BytesIO()
    to_picture(texture).save(picture, "PNG")
    return {
        f"{name}.obj": ("\n".join(lines) + "\n").encode(),
        f"{plain}.mtl": ("\n".join(material) + "\n").encode(),
        f"{plain}.png": picture.getvalue(),
    }
