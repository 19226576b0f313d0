"""Tags and notes about runs of other stores, and which of two texts counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from lgt.store import merge, queries, remarks, tags
from lgt.store.engine import open_store, read_connection, write_transaction
from lgt.store.library import STRIDE, Library, library_of
from lgt.store.schema import Annotation, Run
from tests.store.test_store import finished_run


@pytest.fixture
def shipped(tmp_path: Path) -> Engine:
    engine = open_store(str(tmp_path / "shipped.db"))
    finished_run(engine)
    finished_run(engine)
    return engine


@pytest.fixture
def own(tmp_path: Path) -> Engine:
    engine = open_store(str(tmp_path / "own.db"))
    finished_run(engine)
    return engine


@pytest.fixture
def library(shipped: Engine, own: Engine) -> Library:
    return library_of([("shipped", shipped), ("workspace", own)])


def said(library: Library, run_id: int) -> tuple[tuple[str, ...], str]:
    """Tags and note of a run, which the list of runs and the run itself must agree on."""
    record = remarks.shown_of_run(library, queries.run(library, run_id))
    rows = remarks.shown(library, queries.runs(library)).set_index("id")
    assert tuple(filter(None, rows.tags[run_id].split(","))) == record.tags and rows.notes[run_id] == record.notes
    assert list(rows.index) == [1, 2, STRIDE + 1]
    return record.tags, record.notes


def uuid_of(engine: Engine, number: int) -> str:
    return queries.run(engine, number).uuid


def test_what_the_workspace_says_is_shown_and_the_other_store_is_as_before(
    library: Library, shipped: Engine, own: Engine
) -> None:
    assert [said(library, run_id) for run_id in (1, 2, STRIDE + 1)] == [((), "")] * 3
    remarks.change_tags(own, {uuid_of(shipped, 1): ""}, add=["star", "b"])
    assert said(library, 1) == (("b", "star"), "") and said(library, 2) == ((), "")
    remarks.set_note(own, [uuid_of(shipped, 1), uuid_of(shipped, 2)], "look")
    assert said(library, 1) == (("b", "star"), "look") and said(library, 2) == ((), "look")
    remarks.change_tags(own, {uuid_of(shipped, 1): "b,star"}, remove=["star"])
    assert said(library, 1) == (("b",), "look") and said(library, STRIDE + 1) == ((), "")
    remarks.change_tags(own, {uuid_of(shipped, 1): "b"}, remove=["b"])
    assert said(library, 1) == ((), "look") and queries.run(shipped, 1).notes == ""
    assert remarks.shown_of_run(shipped, queries.run(shipped, 1)).notes == "", "a store alone shows its own"


def test_the_text_that_was_changed_last_is_shown(library: Library, shipped: Engine, own: Engine) -> None:
    remarks.set_note(own, [uuid_of(shipped, 1)], "mine")
    tags.set_note(shipped, [1], "theirs, later")
    assert said(library, 1) == ((), "theirs, later")
    remarks.set_note(own, [uuid_of(shipped, 1)], "mine, later still")
    assert said(library, 1) == ((), "mine, later still")


def values(**given: object) -> dict[str, object]:
    return {"tags": "", "notes": "", "tags_at": None, "notes_at": None, **given}


def test_later_is_decided_by_time_then_by_text_for_tags_and_notes_apart() -> None:
    older, newer = values(tags="z", tags_at=1.0), values(tags="a", tags_at=2.0)
    assert remarks.later(older, newer) == {"tags": "a", "tags_at": 2.0} and remarks.later(newer, older) == {}
    assert remarks.later(values(), newer) == {"tags": "a", "tags_at": 2.0}
    assert remarks.later(newer, values(tags="z")) == {}, "a text without a time is the oldest"
    same = values(tags="b", tags_at=2.0)
    assert remarks.later(newer, same) == {"tags": "b", "tags_at": 2.0} and remarks.later(same, newer) == {}
    assert remarks.later(same, same) == {}
    both = values(tags="b", tags_at=2.0, notes="n", notes_at=0.5)
    assert remarks.later(newer, both) == {"tags": "b", "tags_at": 2.0, "notes": "n", "notes_at": 0.5}


def test_what_was_said_about_a_run_becomes_its_own_when_it_is_merged(shipped: Engine, own: Engine) -> None:
    remarks.set_note(own, [uuid_of(shipped, 2), "00000000-0000-4000-8000-000000000000"], "look")
    report = merge.merge(own, str(shipped.url.database))
    assert (report.added, report.updated) == (2, 0)
    assert queries.runs(own).notes.tolist() == ["", "", "look"]
    with read_connection(own) as connection:
        assert list(connection.scalars(select(Annotation.run_uuid))) == ["00000000-0000-4000-8000-000000000000"]


def test_a_merge_names_what_it_changes_of_a_run(shipped: Engine, own: Engine) -> None:
    merge.merge(own, str(shipped.url.database))
    tags.set_note(shipped, [1], "look")
    tags.change_tags(shipped, [2], add=["star"])
    with write_transaction(shipped) as connection:  # a time without another text is no change that anybody sees
        connection.execute(update(Run).where(Run.id == 2).values(notes_at=5.0))
    report = merge.merge(own, str(shipped.url.database))
    assert report.updated == 2 and report.reasons == (
        "run 1 of shipped.db: updated, notes", "run 2 of shipped.db: updated, tags",
    )  # fmt: skip
    assert merge.merge(own, str(shipped.url.database)) == merge.MergeReport(unchanged=2)
