"""The TypeScript types are those of the structs, and every field says what it is."""

import inspect
from pathlib import Path

import msgspec
import pytest

from pellucid import bundle
from pellucid.bundle._typescript import _docstrings, _type

COMMITTED = Path(__file__).parents[2] / "web" / "src" / "bundle.ts"

STRUCTS = sorted(
    {value for value in vars(bundle).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)},
    key=lambda struct: struct.__name__,
)


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_is_described(struct: type[msgspec.Struct]) -> None:
    summary, fields = _docstrings(struct.__name__)
    assert summary.endswith(".")
    assert set(fields) == set(struct.__struct_fields__)


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_structs_are_strict(struct: type[msgspec.Struct]) -> None:
    config = struct.__struct_config__
    assert config.frozen
    assert config.forbid_unknown_fields
    kinds = {parameter.kind for parameter in inspect.signature(struct).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert f"export interface {struct.__name__} {{" in bundle.typescript()


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({}, "unknown"),
        ({"$ref": "Photo"}, "Photo"),
        ({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}, "(number | null)[]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "Record<string, string>"),
        ({"enum": ["a", 1]}, '"a" | 1'),
    ],
)
def test_type(schema: dict, says: str) -> None:
    assert _type(schema) == says


def test_unknown_type() -> None:
    with pytest.raises(NotImplementedError):
        _type({"type": "array", "prefixItems": []} | {"type": "mystery"})
