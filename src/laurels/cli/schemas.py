"""The JSON Schemas of the files that people write, in draft 7, which TOML editors support."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from laurels.http.parameters import Schema


def make_schema(kind: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of a file of one kind."""
    _, found = msgspec.json.schema_components((kind,), ref_template="#/definitions/{name}")
    definitions = {name: _adapt_to_editors(schema) for name, schema in found.items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **definitions.pop(kind.__name__),
        "definitions": definitions,
    }


def _adapt_to_editors(schema: Schema) -> Schema:
    """Return a schema without null, which TOML lacks, and with references inside of allOf.

    Draft 7 ignores whatever is next to a reference, so a description there would not be shown. TOML's dates are shown
    to a schema as text of several formats.
    """
    fields = {}
    for name, field in schema.get("properties", {}).items():
        kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
        rest = {key: value for key, value in field.items() if key not in {"anyOf", "$ref"}}
        if not isinstance(rest.get("default"), bool | str | list):
            rest.pop("default", None)
        if "$ref" in field:
            rest["allOf"] = [{"$ref": field["$ref"]}]
        fields[name] = rest | ({"anyOf": kinds} if len(kinds) > 1 else kinds[0] if kinds else {})
        fields[name].pop("format", None)
    return schema | {"properties": fields}
