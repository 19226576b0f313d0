"""The search of the table of runs: every term against a filter in plain Python, and texts that are no terms."""

from __future__ import annotations

import operator
import random
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from lgt.recipes.presets import group_config
from lgt.store import leases, queries, tags, writes
from lgt.store.engine import open_store
from lgt.store.library import library_of, with_stores
from lgt.ui import run_table
from lgt.ui.run_search import FIELDS, matching, read_search

SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "=": operator.eq, "!=": operator.ne}
NUMBERS = ("run", "seed", "steps", "seconds")
SHARES = ("transfer", "trained")


@pytest.fixture(scope="module")
def rows(few_runs) -> pd.DataFrame:
    """Stored runs; a third has no transfer accuracy, some have tags, notes and other states."""
    engine = open_store(str(few_runs))
    found = run_table.table(
        with_stores(library_of([("workspace", engine)]), queries.runs(engine)), queries.final_accuracy(engine)
    )
    draw, count = random.Random(1), len(found)
    return found.assign(
        transfer=[draw.choice([np.nan, 0.0, 0.125, 0.796875, 0.8, 0.998046875, 1.0]) for _ in range(count)],
        trained=[draw.choice([np.nan, 0.5, 0.95, 1.0]) for _ in range(count)],
        state=[draw.choice(["queued", "running", "done", "failed", "cancelled"]) for _ in range(count)],
        tags=[draw.choice(["", "talk", "new, talk", "talking"]) for _ in range(count)],
        notes=[draw.choice(["", "Look here", "a = b"]) for _ in range(count)],
    )


def number_holds(row: dict, name: str, sign: str, value: Fraction) -> bool:
    found = row["number" if name == "run" else name]
    if found is None or found != found:
        return False
    exact = Fraction(float(found))
    if name in SHARES and sign in ("=", "!="):
        return SIGNS[sign](int(100 * exact + Fraction(1, 2)), int(100 * value + Fraction(1, 2)))
    return SIGNS[sign](float(exact), float(value))


def texts_of(row: dict, name: str) -> list[str]:
    if name == "tag":
        return [text.lower() for text in row["tags"].split(", ")]
    column = {"task": "task_names", "pair": "pair_names", "note": "notes"}.get(name, name)
    return [text.lower() for text in row[column].split("\n")]


def text_holds(row: dict, name: str, sign: str, value: str) -> bool:
    texts = texts_of(row, name)
    if sign == ":":
        return any(value.lower() in text for text in texts)
    return (value.lower() in texts) == (sign == "=")


def drawn_number(draw: random.Random) -> tuple[str, object]:
    name, sign = draw.choice(NUMBERS + SHARES), draw.choice(list(SIGNS))
    if name in SHARES:
        percent = draw.choice([0, 12, 13, 80, 95, 100, draw.randint(0, 100)])
        text = draw.choice([f"{percent}%", f"{percent / 100}"])
        value = Fraction(percent, 100)
    else:
        value = Fraction(draw.choice([0, 1, 2, 60, 1000, draw.randint(0, 3000)]))
        text = str(value)
    space = draw.choice(["", "", " "])
    return f"{draw.choice([name, name.upper()])}{space}{sign}{space}{text}", lambda row: number_holds(
        row, name, sign, value
    )


def drawn_text(draw: random.Random) -> tuple[str, object]:
    name, sign = draw.choice([name for name in FIELDS if FIELDS[name].kind == "text"]), draw.choice([":", "=", "!="])
    value = draw.choice(["failed", "DONE", "demo", "reverse", "Flip case", "caprev", "talk", "here", "alone", "rotary",
                         "workspace", "Reverse", "carry", "a = b"])  # fmt: skip
    text = f'"{value}"' if " " in value else value
    return f"{name}{sign}{text}", lambda row: text_holds(row, name, sign, value)


def drawn_word(draw: random.Random) -> tuple[str, object]:
    word = draw.choice(["flip", "Carry", "demo", "talk", "look here", "failed", "1", "rotary", "nothing of it"])
    columns = ("number", "store", "tasks", "group", "arm", "preset", "position", "state", "tags", "notes", "words")

    def holds(row: dict) -> bool:
        return any(word.lower() in str(row[column]).lower() for column in columns)

    return f'"{word}"' if " " in word else word, holds


def test_every_term_is_a_filter_in_plain_python(rows):
    draw, records, some = random.Random(7), rows.to_dict("records"), 0
    for _ in range(600):
        chosen = [draw.choice([drawn_number, drawn_text, drawn_word])(draw) for _ in range(draw.choice([1, 1, 2, 3]))]
        search = read_search(" ".join(text for text, _ in chosen))
        assert not search.problems and len(search.terms) == len(chosen)
        expected = [all(holds(row) for _, holds in chosen) for row in records]
        assert matching(rows, search.terms).tolist() == expected, [text for text, _ in chosen]
        some += 0 < sum(expected) < len(records)
    assert some > 100, "the terms that were drawn tell runs apart"


def test_any_text_gives_an_answer_and_each_problem_is_one_line(rows):
    draw, few = random.Random(3), rows.head(3)
    parts = [*FIELDS, "colour", ">", "<", "=", "!=", ">=", ":", '"', " ", "\n", "0.8", "80%", "²", "nan", "inf", "1e9",
             "-", "9" * 40, "(", "[", "\\", "\x00", "\u202e", "é", "←", "%", "*", "`"]  # fmt: skip
    for _ in range(400):
        text = "".join(draw.choice(parts) for _ in range(draw.randint(0, 8)))
        search = read_search(text)
        assert len(matching(few, search.terms)) == 3
        assert all("\n" not in problem and problem for problem in search.problems)
        assert bool(search.terms or search.problems) == bool(text.strip()), "nothing is passed over"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour=red", "colour=red: there is no such field. Fields: run, seed, transfer"),
        ("seed=two", "seed=two: this needs a number"),
        ("seed\n= two", "seed = two: this needs a number"),
        ("seed:2", "seed:2: seed takes = != > >= < <=, such as seed=2"),
        ("state>done", "state>done: state takes : = !=, such as state=failed"),
        ("transfer>80", "transfer>80: this needs a share from 0 to 1 or from 0% to 100%"),
        ("transfer>-0.1", "share from 0 to 1"),
        ("seed=2%", "needs a number"),
        ("seed=nan", "needs a number"),
        ("seed=" + "9" * 99, "at most 15 digits"),
        ("state:", "state:: the text after the operator is missing"),
        ("steps>", "steps>: this needs a number"),
        ('note:"look', "closing quote is missing"),
        ('"look', "closing quote is missing"),
        (">0.8", ">0.8: a field has to stand before an operator"),
    ],
)
def test_what_is_no_term_is_named_with_what_is_accepted(text, said):
    search = read_search(f"reverse {text}")
    assert len(search.problems) == 1 and said in search.problems[0]
    assert [term.value for term in search.terms] == ["reverse"], "the rest of the search holds"


def test_words_quotes_and_arrows_stay_plain_text(rows):
    for text in ("8 ← 16", "8<-16", "co-trained", "[(*", "training.steps=77", '"a = b"', '"loss: nan"'):
        search = read_search(text)
        assert not search.problems and all(term.field is None for term in search.terms), text
    found = rows[matching(rows, read_search('"a = b"').terms)]
    assert len(found) and set(found.notes) == {"a = b"}
    assert read_search("").terms == () and matching(rows, ()).all()


def test_failed_and_queued_runs_are_found_by_state_and_have_no_transfer_accuracy(tmp_path):
    store = open_store(str(tmp_path / "own.db"))
    queued = writes.create_run(store, group_config("add-subtract", "demo", seed=1))
    failed = writes.create_run(store, group_config("add-subtract", "demo", seed=2))
    leases.finish_run(store, failed, leases.start_run(store, failed, "w", "cpu"), "failed", "loss is nan")
    tags.change_tags(store, [queued], add=["for talk"])
    rows = run_table.table(
        with_stores(library_of([("workspace", store)]), queries.runs(store)), queries.final_accuracy(store)
    )

    def found(text: str) -> set[int]:
        return set(run_table.filtered(rows, text, {}).run_id)

    assert found("state:failed") == {failed} and found("state=queued pair:subtraction") == {queued}
    assert found("seed=2 nan") == {failed} and found('tag="for talk"') == {queued} and found("tag=talk") == set()
    for sign in SIGNS:
        assert found(f"transfer{sign}0.5") == set(), "no number fulfils no comparison"
    assert found("task:subtract task:add") == {queued, failed} == found("seed>0 preset=demo store:workspace")
