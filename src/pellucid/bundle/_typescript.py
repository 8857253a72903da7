"""TypeScript types of manifests and of what pages ask servers, made from the structs that Python reads and writes."""

import ast
import inspect
import textwrap
from typing import Any

import msgspec

from . import _atlas, _explanation, _live, _manifest, _report
from ._manifest import SCHEMA, AtlasManifest, ExplanationManifest, ReportManifest

_HEAD = f"""\
// Made from the structs of pellucid.bundle by `npm run types`; change those, not this file.
// Python writes every field, so none is optional here.

export const SCHEMA = {SCHEMA};
"""

_KINDS = (ExplanationManifest, AtlasManifest, ReportManifest)
_MODULES = (_manifest, _explanation, _atlas, _report, _live)
_PLAIN = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}


def typescript() -> str:
    """The source of `web/src/bundle.ts`: one interface for every struct, with its docstrings.

    Raises:
        NotImplementedError: a field has a type that this generator does not know yet.

    Example:
        >>> from pellucid.bundle import typescript
        >>> "export interface ExplanationManifest {" in typescript()
        True
    """
    _, components = msgspec.json.schema_components([*_KINDS, *_live.LIVE], ref_template="{name}")
    parts = [_HEAD]
    for name in sorted(components):
        summary, fields = _docstrings(name)
        lines = [f"/** {summary} */", f"export interface {name} {{"]
        for field, schema in components[name]["properties"].items():
            if field in fields:
                lines.append(f"  /** {fields[field]} */")
            lines.append(f"  {field}: {_type(schema)};")
        parts.append("\n".join([*lines, "}"]) + "\n")
    kinds = " | ".join(kind.__name__ for kind in _KINDS)
    parts.append(f"/** Every manifest there is. */\nexport type Manifest = {kinds};\n")
    return "\n".join(parts)


def _type(schema: dict[str, Any]) -> str:
    if not schema:
        return "unknown"
    if "$ref" in schema:
        return schema["$ref"]
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array" and schema.get("prefixItems"):
        return f"[{', '.join(_type(item) for item in schema['prefixItems'])}]"
    if kind == "array":
        item = _type(schema["items"])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object":
        return f"Record<string, {_type(schema.get('additionalProperties', {}))}>"
    if kind in _PLAIN:
        return _PLAIN[kind]
    raise NotImplementedError(f"no TypeScript is known for the schema {schema}")


def _docstrings(name: str) -> tuple[str, dict[str, str]]:
    """First line of a struct's docstring, and the string below each of its fields."""
    struct = next(getattr(module, name) for module in _MODULES if hasattr(module, name))
    definition = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    assert isinstance(definition, ast.ClassDef)
    fields = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            fields[statement.target.id] = " ".join(str(following.value.value).split())
    return (inspect.getdoc(struct) or "").splitlines()[0], fields
