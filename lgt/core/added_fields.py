"""Fields that were added to a config class after runs with that config class had been stored.

A run is found by the hash of its config. A field that did not exist when a run was made must not change that run's
hash. :func:`added` declares such a field. Its default is the value that describes all runs from before the field
existed. :func:`stored` leaves the field out while it has its default, so text and hash equal those of the release
without the field. A config that was stored without the field is read with the default.
"""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any, TypeVar

T = TypeVar("T")

BEFORE = "before"
"""The key, in a dataclass field's metadata, of the default that :func:`added` sets."""


def added(before: T) -> T:
    """A dataclass field that an earlier release did not have. ``before`` is its default, which must never change."""
    found: T = field(default=before, metadata={BEFORE: before})
    return found


def stored(config: Any) -> dict[str, Any]:
    """Plain values of a dataclass and of the dataclasses inside it, without added fields that have their default.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Shape:
    ...     layers: int
    ...     depth: int = added(1)
    >>> stored(Shape(3)), stored(Shape(3, depth=2))
    ({'layers': 3}, {'layers': 3, 'depth': 2})
    """
    return {
        one.name: _plain(getattr(config, one.name))
        for one in fields(config)
        if not (BEFORE in one.metadata and getattr(config, one.name) == one.metadata[BEFORE])
    }


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return stored(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
