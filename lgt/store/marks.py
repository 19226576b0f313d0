"""What people say of runs: stars, tags, notes; putting runs away and taking them out again.

Star, archived and deleted are tags with a meaning. A deleted run keeps all its rows and can be brought back; until then
it counts as if it were not there: comparisons, claims and the Launch page do not see it. An archived run is only out of
the way in the table.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Engine, select, update

from lgt.store.engine import write_transaction
from lgt.store.schema import Run
from lgt.store.writes import joined_tags

STAR, ARCHIVED, DELETED = "star", "archived", "deleted"


def present() -> ColumnElement[bool]:
    """The condition that a run is not deleted."""
    return ("," + Run.tags + ",").not_like(f"%,{DELETED},%")


def retag(engine: Engine, run_ids: Iterable[int], *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> list[int]:
    """Add and remove tags of runs; returns the ids of those that this changed, which is what an undo is about."""
    added, removed = set(joined_tags(add).split(",")), set(joined_tags(remove).split(","))
    changed = []
    with write_transaction(engine) as connection:
        rows = connection.execute(select(Run.id, Run.tags).where(Run.id.in_(list(run_ids)))).all()
        for run_id, tags in rows:
            wanted = joined_tags((set(tags.split(",")) | added) - removed)
            if wanted != tags:
                connection.execute(update(Run).where(Run.id == run_id).values(tags=wanted))
                changed.append(run_id)
    return changed


def note(engine: Engine, run_ids: Iterable[int], text: str) -> None:
    """Replace the note of runs."""
    with write_transaction(engine) as connection:
        connection.execute(update(Run).where(Run.id.in_(list(run_ids))).values(notes=text))
