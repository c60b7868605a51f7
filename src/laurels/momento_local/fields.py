"""The fields of a message that must hold something: which one of several, and a value that there is."""

from __future__ import annotations

from typing import Any

from laurels.momento_local.errors import BadArgument


def choice(request: Any, oneof: str, doing: str) -> str:
    """Return the field of a oneof that a request sets; raise BadArgument if it sets none."""
    chosen: str | None = request.WhichOneof(oneof)
    if chosen is None:
        fields = ", ".join(f"`{field.name}`" for field in request.DESCRIPTOR.oneofs_by_name[oneof].fields)
        raise BadArgument(f"The call does not say {doing}: give one of {fields}.")
    return chosen


def known(request: Any, field: str) -> int:
    """Return the value of an enumeration; raise BadArgument for a number that it does not have."""
    number: int = getattr(request, field)
    values = request.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    if number not in values:
        raise BadArgument(f"There is no {field} {number}: give {', '.join(value.name for value in values.values())}.")
    return number
