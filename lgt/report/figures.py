"""Charts that experiments ask for by name, as functions ready to be called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from lgt import charts
from lgt.charts import Theme
from lgt.experiments.rules.base import ChartRequest

Chart = partial[Any]
"""A chart function with its arguments."""


def resolve(requests: Iterable[ChartRequest], theme: Theme) -> list[Chart]:
    """The charts of these requests in their order, each ready to be called. Raises LookupError for an unknown name."""
    return [partial(_function(one.name), *one.arguments, theme, **one.options) for one in requests]


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.rpartition(":")
    home = importlib.import_module(module) if module else charts
    found = getattr(home, function, None)
    if not callable(found) or (not module and function not in charts.__all__):
        raise LookupError(f"there is no chart {name!r}; charts are the functions of lgt.charts, or module:function")
    return found  # type: ignore[no-any-return]
