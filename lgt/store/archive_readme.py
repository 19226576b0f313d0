"""The ``README.txt`` of an archive: what it is, where it comes from, what each column holds, how to repeat the runs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from lgt import __version__
from lgt.core.plain_text import for_terminal
from lgt.store import locations
from lgt.store.columns import CONVENTIONS, ordered, sentence
from lgt.store.engine import database_url, full_url
from lgt.store.errors import StoreError, store_name
from lgt.store.library import TITLES, Source, members

WIDTH = 100
MOST_COMMANDS = 40
"""More commands than these are only in the table of runs."""


def readme(
    about: str, source: str, made: datetime, files: Mapping[str, Sequence[str]], notes: Iterable[str] = (),
    commands: Sequence[str] = (),
) -> str:  # fmt: skip
    """The text. ``about``: what the archive holds. ``source``: the titles of its stores. ``made``: when, in UTC.

    ``files``: the columns of each table by the name of its file. ``notes``: sentences about other files and values.
    ``commands``: those that make the runs again, without repetition.
    """
    columns = ordered({name for names in files.values() for name in names})
    parts = [
        f"Length Transfer Lab {__version__}: {about}\nFrom: {source}. Written on {made:%Y-%m-%d at %H:%M} UTC.",
        "\n".join(f"- {text}" for text in (*notes, *CONVENTIONS)),
        "FILES\n" + "\n".join(f"{file}: {', '.join(names)}" for file, names in files.items()),
        "COLUMNS\n" + "\n".join(textwrap.fill(f"{name}: {sentence(name)}", WIDTH, subsequent_indent="    ",
                                              break_on_hyphens=False, break_long_words=False) for name in columns),
        repeat_text(commands),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def repeat_text(commands: Sequence[str]) -> str:
    """How to make the runs again; empty if no command is known."""
    known = list(dict.fromkeys(command for command in commands if command))
    if not known:
        return ""
    shown = "\n".join(known[:MOST_COMMANDS])
    more = len(known) - MOST_COMMANDS
    rest = f"\nand {more} more: see the column command of the table of runs." if more > 0 else ""
    return f"HOW TO MAKE THE RUNS AGAIN\n{shown}{rest}"


def titles(source: Source) -> str:
    """The titles of these stores, never their paths, such as ``shipped results and my workspace``."""
    if isinstance(source, Engine):
        return title_of(source)
    return " and ".join(member.title for member in members(source))


def title_of(engine: Engine) -> str:
    """The title of one store: of the shipped results or the workspace its own, else the name of its file."""
    known = {locations.SHIPPED: locations.shipped(), locations.WORKSPACE: locations.workspace()}
    found = [TITLES[name] for name, url in known.items() if url and same_store(engine, url)]
    return found[0] if found else for_terminal(Path(store_name(engine.url)).stem)


def same_store(engine: Engine, url: str) -> bool:
    """Whether ``url`` (URL or path) names the store that ``engine`` has opened."""
    try:
        return full_url(engine) == database_url(url)
    except StoreError:
        return False
