"""Titles and tables for pages: what a store says about tasks and runs, as plain text."""

from __future__ import annotations

import pandas as pd

from lgt.core.config import RunConfig
from lgt.core.plain_text import for_markdown, visible
from lgt.recipes.labels import task_title


def task_words(task: str) -> str:
    """The title of a task, for Markdown. A task that this code does not know has any text as its name."""
    return for_markdown(task_title(task))


def auxiliary_words(config: RunConfig) -> str:
    """The titles of the auxiliary tasks, such as ``Digit sums and Carries``, for Markdown."""
    return " and ".join(task_words(spec.task) for spec in config.auxiliaries)


def plain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """``rows`` for ``st.dataframe``, with :func:`lgt.core.plain_text.visible` texts and column names."""
    shown = rows.rename(columns=visible)
    for name in shown.select_dtypes(["str", "object"]).columns:
        texts = {text: visible(text) for text in shown[name].unique() if isinstance(text, str)}
        if any(text != plain for text, plain in texts.items()):
            shown[name] = shown[name].map(lambda value, texts=texts: texts.get(value, value))
    return shown
