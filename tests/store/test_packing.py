"""Numbers, texts and rows come back from their packed form as they were, and the packed form does not change."""

from __future__ import annotations

import hashlib
import math
import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from lgt.core.records import (
    SOURCE_INPUTS,
    AccuracyRow,
    AttentionDifferenceRow,
    HeadScoreRow,
    InterchangeRow,
    LogRow,
)
from lgt.store import coding, leases, packed_rows, packing, queries, writes
from lgt.store.engine import read_connection
from tests.store.test_store import CONFIG, engine

__all__ = ["engine"]

EXTREMES = (0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1)
REALS = (0.0, -0.0, 1.0, 0.1, -1 / 3, 1e-45, 5e-324, 1.1754942e-38, 3.4028234e38, 1.7e308, math.inf, -math.inf)


@pytest.mark.parametrize("seed", range(200))
def test_a_list_of_numbers_comes_back(seed: int) -> None:
    draw = random.Random(seed)
    parts: list[int] = []
    for _ in range(draw.randrange(6)):
        first, count, rise = (
            draw.choice((draw.randrange(50), draw.choice(EXTREMES))),
            draw.randrange(1, 9),
            draw.randrange(4),
        )
        parts += [min(first + rise * number, 2**63 - 1) for number in range(count)]
    packed = packing.number_list(parts)
    assert packing.numbers(packed).tolist() == parts
    assert packing.number_list(packing.numbers(packed)) == packed
    pieces = packing.pieces(packed)
    assert [start for start, *_ in pieces] == [0, *(stop for _, stop, *_ in pieces)][: len(pieces)]
    assert [one.number + place * one.rise for one in pieces for place in range(one.stop - one.start)] == parts


DAMAGED = "1- -1 a 1,,2 , 1x 1x0 3-1 1-9/0 1-9/x 1-9999999999 1x9999999 1x4194305 1x3,1x4194303 \u00b2 \u0663 +1 1.5"


@pytest.mark.parametrize("damaged", [*DAMAGED.split(), "1 ", " 1"])
def test_a_text_that_is_no_list_is_refused(damaged: str) -> None:
    for read in (packing.numbers, packing.pieces):
        with pytest.raises(ValueError, match="no list of numbers"):
            read(damaged)
    with pytest.raises(ValueError, match="negative"):
        packing.number_list([1, -1])


@pytest.mark.parametrize("most", EXTREMES)
def test_counts_take_the_smallest_width(most: int) -> None:
    values = [0, most, most // 2]
    packed = packing.pack_counts(values)
    assert packing.unpack_counts(packed, 3).tolist() == values
    assert len(packed) == 3 * (1 if most < 256 else 2 if most < 65536 else 4 if most < 2**32 else 8)
    both = [*values, -most]
    lost = packing.pack_differences(both, [False, True, False, False])
    found, missing = packing.unpack_differences(lost, 4)
    assert found[[0, 2, 3]].tolist() == [both[0], both[2], both[3]] and missing.tolist() == [False, True, False, False]
    for wrong in (packed + b"x", packed[:-1], b"", packed.hex(), None):
        with pytest.raises(ValueError, match="for 3 numbers"):
            packing.unpack_counts(wrong, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(100))
def test_reals_come_back_bit_for_bit(seed: int) -> None:
    draw = random.Random(seed)
    values = [draw.choice((*REALS, math.nan, draw.gauss(0, 1), float(np.float32(draw.gauss(0, 1))))) for _ in range(9)]
    if seed % 2:
        values = [float(np.float32(value)) if abs(value) < 1e38 else 1.0 for value in values]
    there = [draw.random() < 0.8 for _ in values]
    packed = packing.pack_reals(values, there)
    found, known = packing.unpack_reals(packed, 9)
    assert known.tolist() == there
    for value, came, was_there in zip(values, found.tolist(), there, strict=True):
        assert not was_there or math.isnan(value) == math.isnan(came)
        assert not was_there or math.isnan(value) or (value, math.copysign(1, value)) == (came, math.copysign(1, came))
    single = all(math.isnan(value) or float(np.float32(value)) == value for value in values if abs(value) < 1e39)
    assert len(packed) == 36 if single and max(map(abs, values)) != 1.7e308 else 72


def heads(draw: random.Random, cells: int) -> dict[str, list[float]]:
    keys = draw.sample([(n, y, h) for n in (1, 2, 5, 9) for y in range(3) for h in range(2)], cells)
    examples = [draw.choice((0, 1, 7, 64, 1000)) for _ in keys]
    drops = [draw.choice((draw.randint(-of, of) / max(of, 1), math.nan, *((0.123,) * (draw.random() < 0.05))))
             for of in examples]  # fmt: skip
    rises = [draw.choice((math.nan, draw.gauss(0, 1), 0.5)) for _ in keys]
    of = dict(zip(("length", "layer", "head"), map(list, zip(*sorted(keys), strict=True)), strict=True))
    return {**of, "accuracy_drop": drops, "loss_rise": rises, "examples": examples}


@pytest.mark.parametrize("seed", range(100))
def test_maps_come_back_and_later_values_replace(seed: int) -> None:
    draw = random.Random(seed)
    kind = packed_rows.MAP
    given = packed_rows.columns_of(kind, heads(draw, draw.randint(1, 24)))
    row = kind.merged(None, given)
    found = kind.unpack(row)
    for name in kind.columns:
        np.testing.assert_allclose(found[name], given[name], rtol=0, atol=1e-7 if name == "accuracy_drop" else 0)
    assert kind.merged(row, given) == row and kind.merged(row, found) == row, "the same twice changes nothing"
    more = packed_rows.columns_of(kind, heads(draw, draw.randint(1, 24)))
    both = kind.unpack(kind.merged(row, more))
    expected = {key: value for columns in (given, more) for key, value in rows_of(kind, columns).items()}
    assert rows_of(kind, both).keys() == expected.keys()
    for key, value in rows_of(kind, both).items():
        np.testing.assert_allclose(value, expected[key], rtol=0, atol=1e-7)


def rows_of(kind: packed_rows.Kind, columns: packed_rows.Columns) -> dict[tuple[int, ...], list[float]]:
    keys = zip(*(columns[name].tolist() for name in kind.keys), strict=True)
    values = zip(*(columns[name].tolist() for name in kind.values), strict=True)
    return {key: list(of) for key, of in zip(keys, values, strict=True)}


def test_the_packed_form_is_what_stores_hold() -> None:
    """Other bytes would be another schema: stores that exist could not be read, and merges would differ."""
    pack = {kind: kind.merged(None, packed_rows.columns_of(kind, of)) for kind, of in (
        (packed_rows.ACCURACY, {"length": [1, 2, 3, 5], "correct": [1, 256, 0, 7], "total": [13, 300, 300, 300]}),
        (packed_rows.MAP, {"length": [2, 2, 4], "layer": [0, 1, 0], "head": [0, 0, 0], "examples": [64, 64, 9],
                           "accuracy_drop": [0.5, math.nan, -1 / 3], "loss_rise": [0.25, math.nan, -1.5]}),
        (packed_rows.ATTENTION, {"length": [2], "layer": [0], "head": [1], "difference": [0.1]}),
        (packed_rows.LOG, {"step": [20, 40], "loss": [1.5, math.nan], "learning_rate": [0.5, 0.1],
                           "tokens_per_second": [1.0, 2.0]}),
    )}  # fmt: skip
    assert pack[packed_rows.ACCURACY] == {
        "lengths": "1-3,5",
        "totals": "13,300x3",
        "correct": bytes.fromhex("0100000100000700"),
    }
    assert pack[packed_rows.MAP] == {
        "lengths": "2,4", "layers": 2, "heads": 1, "examples": "64,64,9,0", "drops": None,
        "lost": bytes.fromhex("2080fd80"), "loss_rises": bytes.fromhex("0000803e0000c07f0000c0bfffffffff"),
    }  # fmt: skip
    assert pack[packed_rows.ATTENTION] == {
        "lengths": "2", "layers": 1, "heads": 2, "differences": bytes.fromhex("ffffffffffffffff9a9999999999b93f"),
    }  # fmt: skip
    assert pack[packed_rows.LOG] == {
        "steps": "20,40", "losses": bytes.fromhex("0000c03f0000c07f"), "speeds": bytes.fromhex("0000803f00000040"),
        "learning_rates": bytes.fromhex("000000000000e03f9a9999999999b93f"),
    }  # fmt: skip
    stored = Path(__file__).parent.parent / "stores" / "schema-2.db"
    assert hashlib.sha256(stored.read_bytes()).hexdigest()[:8] == STORED, "the file of schema 2 is as it was made"


STORED = "49705eb0"


@pytest.mark.parametrize("size", [0, 1, 2, 7, 1000, 1001])
def test_weights_come_back(size: int) -> None:
    for weights in (bytes(size), random.Random(size).randbytes(size), bytes(range(8)) * (size // 8)):
        how, stored = coding.encoded(weights)
        assert coding.decoded(how, stored, len(weights)) == weights and len(stored) <= len(weights)
    how, stored = coding.encoded(bytes(1000))
    assert how == coding.SHUFFLED and len(stored) < 100
    for wrong, length in ((stored[:-3], 1000), (stored, 999), (stored, 1001), (stored, -5), (b"x", 1000), (b"", 1000)):
        with pytest.raises(ValueError):
            coding.decoded(how, wrong, length)
    with pytest.raises(ValueError, match="coding 'other'"):
        coding.decoded("other", stored, 1000)


def measured(engine: Engine, seed: int, end: str) -> int:
    """A run with random measurements: incomplete grids, missing values, large numbers."""
    draw = random.Random(seed)
    tasks = [spec.task for spec in CONFIG.tasks]
    run_id = writes.create_run(engine, CONFIG)
    attempt = leases.start_run(engine, run_id, "w", "cpu")
    for step in (7, 2_000_000):
        totals = [draw.choice((3, 200, 70_000, 2**31 - 1)) for _ in range(5)]
        counts = [
            AccuracyRow(task, draw.randint(1, 40), draw.randint(0, total), total) for task in tasks for total in totals
        ]
        writes.record_accuracy(engine, run_id, attempt, step, counts)
        for task in tasks:
            columns = heads(draw, draw.randint(1, 24))
            rows = [HeadScoreRow(task, *values) for values in zip(*columns.values(), strict=True)]
            writes.record_head_scores(engine, run_id, attempt, step, rows)
            pairs = [AttentionDifferenceRow(*tasks, n, y, h, draw.choice((*REALS, math.nan)))
                     for n, y, h in zip(*(columns[name] for name in packed_rows.HEADS), strict=True)]  # fmt: skip
            writes.record_attention_differences(engine, run_id, attempt, step, pairs)
            exchanged = [
                InterchangeRow(task, draw.choice(tasks), draw.choice(SOURCE_INPUTS), *values)
                for values in zip(*columns.values(), strict=True)
            ]
            writes.record_interchanges(engine, run_id, attempt, step, exchanged)
    log = [LogRow(step, *(draw.choice((*REALS, math.nan)) for _ in range(3))) for step in draw.sample(range(9999), 30)]
    writes.record_progress(engine, run_id, attempt, step=9, tokens=9, seconds=1.0, log_rows=log)
    if end != "running":
        leases.finish_run(engine, run_id, attempt, end)
    return run_id


def test_the_views_show_what_the_code_unpacks(engine: Engine) -> None:
    runs = [measured(engine, seed, end) for seed, end in enumerate(("done", "running", "failed"))]
    for name, read in (("accuracy", queries.accuracy), ("head_scores", queries.head_scores),
                       ("attention_differences", queries.attention_differences),
                       ("interchanges", queries.interchanges), ("training_log", None)):  # fmt: skip
        frame = queries.training_log(engine, runs) if read is None else read(engine, runs, "all")
        with read_connection(engine) as connection:
            result = connection.execute(text(f"SELECT * FROM {name}"))
            names, rows = list(result.keys()), [tuple(row) for row in result]
        unpacked = [tuple(None if value != value else value for value in row)
                    for row in frame[names].itertuples(index=False, name=None)]  # fmt: skip
        assert len(rows) == len(unpacked) > 0 and sorted(rows, key=repr) == sorted(unpacked, key=repr), name


def test_the_views_need_no_more_than_plain_sql(tmp_path: Path) -> None:
    """The functions of a view exist in every SQLite since 3.35, whatever it was built with."""
    from lgt.store.engine import open_store

    open_store(str(tmp_path / "a.db"))
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        views = " ".join(sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'view'"))
    called = set(re.findall(r"\b([a-z_]+)\(", views))
    assert called == {"hex", "instr", "length", "max", "substr"}
