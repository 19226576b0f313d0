"""Tags and notes that people give to runs.

Three tags have a meaning: ``star`` marks a run, ``archived`` hides it in the table of runs, ``deleted`` hides it
everywhere. A deleted run keeps all its rows, and its tag can be removed again. Until then comparisons, claims and the
Launch page ignore the run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Engine, select, update

from lgt.core import bounds
from lgt.store.engine import write_transaction
from lgt.store.schema import Run

STAR, ARCHIVED, DELETED = "star", "archived", "deleted"


def not_deleted() -> ColumnElement[bool]:
    """The SQL condition that a run does not have the tag ``deleted``."""
    return ("," + Run.tags + ",").not_like(f"%,{DELETED},%")


def joined_tags(tags: Iterable[str]) -> str:
    """Tags as they are stored: each once, sorted, joined by commas. A comma within a tag becomes a space."""
    return ",".join(sorted({" ".join(tag.replace(",", " ").split()) for tag in tags} - {""}))


def with_changes(tags: str, add: Iterable[str], remove: Iterable[str]) -> str:
    """Stored tags with some added and some removed. Raises ConfigError when they become too long."""
    added, removed = ({*joined_tags(given).split(",")} for given in (add, remove))
    wanted = joined_tags(({*tags.split(",")} | added) - removed)
    if len(wanted) > len(tags):  # longer ones, from another store, can always be made shorter
        bounds.TAGS.check_text("tags", wanted)
    return wanted


def check_note(text: str) -> str:
    """``text``, the note of a run. Raises ConfigError when it is too long."""
    bounds.NOTE.check_text("note", text)
    return text


def change_tags(
    engine: Engine, run_ids: Iterable[int], *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> list[int]:
    """Add and remove tags of runs; returns the ids of the runs whose tags changed, which an undo needs.

    Raises ConfigError when the tags of a run become too long; then nothing is changed.
    """
    add, remove, changed = list(add), list(remove), []
    with write_transaction(engine) as connection:
        rows = connection.execute(select(Run.id, Run.tags).where(Run.id.in_(list(run_ids)))).all()
        for run_id, tags in rows:
            wanted = with_changes(tags, add, remove)
            if wanted != tags:
                connection.execute(update(Run).where(Run.id == run_id).values(tags=wanted, tags_at=time.time()))
                changed.append(run_id)
    return changed


def set_note(engine: Engine, run_ids: Iterable[int], text: str) -> None:
    """Replace the note of runs. Raises ConfigError for a long one."""
    check_note(text)
    with write_transaction(engine) as connection:
        connection.execute(update(Run).where(Run.id.in_(list(run_ids))).values(notes=text, notes_at=time.time()))
