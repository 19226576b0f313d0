"""R17: accuracies from other programs. Good files lose nothing; a malformed file is one line, and nothing is stored."""

from __future__ import annotations

import csv
import json
import random
import re
import string
import subprocess
import sys
import time

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import lgt
from lgt.cli.main import main
from lgt.core.checks import ConfigError
from lgt.experiments.judging import judge_all
from lgt.recipes.settings import IMPORTED
from lgt.store import exchange, imports, leases, live, queries, queue, revisions, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store, write_transaction
from lgt.store.errors import StoreError
from tests.conftest import ROOT
from tests.faults import size

EXAMPLE = ROOT / "docs/examples/import.csv"
COUNTS = ["task", "length", "correct", "total"]


def example_rows() -> list[dict]:
    with open(EXAMPLE, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(path, rows: list[dict]):
    """``rows`` as a file in the format of its ending."""
    table = pd.DataFrame(rows)
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        table.to_parquet(path)
    return path


def counts_of(engine, run_id: int, step: str = "all") -> list[tuple]:
    rows = queries.accuracy(engine, [run_id], step)
    return sorted(rows[["step", *COUNTS]].itertuples(index=False, name=None))


@pytest.fixture()
def store(tmp_path):
    return open_store(str(tmp_path / "workspace.db"))


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_every_format_gives_the_rows_of_the_example(ending, tmp_path, store):
    rows = example_rows()
    found = exchange.read_file(written(tmp_path / f"some.{ending}", rows))
    assert imports.import_runs(store, found.runs) == imports.ImportReport(2, 0, 0) and not found.ignored
    for run_id, name in ((1, "sort-1"), (2, "sort-alone-1")):
        own = [row for row in rows if row["run"] == name]
        wanted = [(int(row["step"]), row["task"], *(int(row[key]) for key in COUNTS[1:])) for row in own]
        assert counts_of(store, run_id) == sorted(wanted)
    (comparison,) = comparisons(store).values()
    assert comparison.runs["co-trained"] == {1: 1} and comparison.runs["alone-same-steps"] == {1: 2}
    finals = queries.final_accuracy(store).set_index("run_id")
    assert finals.transfer[1] == pytest.approx((0.85 + 0.71 + 0.55 + 0.40) / 4) and finals.trained[1] == pytest.approx(
        0.99
    )


def test_the_same_file_again_changes_nothing_and_new_rows_of_a_run_are_added(tmp_path, store):
    rows = [row | {"uuid": "6f0c3f1e-0d53-4c1e-9a8b-6d7b0c6f2f11"} for row in example_rows() if row["run"] == "sort-1"]
    path = written(tmp_path / "some.csv", rows)
    for wanted in (imports.ImportReport(1, 0, 0), imports.ImportReport(0, 0, 1)):
        assert imports.import_runs(store, exchange.read_file(path).runs) == wanted
    later = [row | {"step": "3000", "correct": str(int(row["correct"]) // 2)} for row in rows]
    path = written(tmp_path / "more.csv", rows + later)
    assert imports.import_runs(store, exchange.read_file(path).runs) == imports.ImportReport(0, 1, 0)
    assert len(queries.runs(store)) == 1 and len(counts_of(store, 1)) == 2 * len(rows)
    assert queries.run(store, 1).step == 3000


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_round_trip_loses_nothing(ending, tmp_path, monkeypatch, store):
    randomly = random.Random(7)
    rows = []
    for number in range(size(12, 50)):
        tasks = [("main", f"täsk {number}=", 5), ("auxiliary", "+other", 9), ("control", "@third", 7)]
        for role, task, trained in tasks[: randomly.choice((2, 3))]:
            for step in (10, 20):
                for length in randomly.sample(range(1, 12), 4):
                    total = randomly.choice((1, 7, 1000, 70_000, 2**31 - 1))
                    counts = {"length": length, "correct": randomly.randint(0, total), "total": total}
                    about = {"run": f"r{number}", "task": task, "role": role, "training_length": trained, "step": step}
                    rows.append(about | counts | {"seed": 900 + number, "group": "Müller", "label": f"'=L1·H{number}"})
    monkeypatch.setenv("LGT_DATABASE_URL", str(store.url.database))
    first = written(tmp_path / f"first.{ending}", rows)
    with pytest.raises(SystemExit) as ended:
        main(["import", str(first)])
    assert ended.value.code == 0
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / f"second.{ending}")])
    other = open_store(str(tmp_path / "other.db"))
    found = exchange.read_file(tmp_path / f"second.{ending}")
    assert not found.ignored and imports.import_runs(other, found.runs).added == len({row["run"] for row in rows})
    for run in queries.runs(store).itertuples():
        twin = queries.runs(other).set_index("token").loc[run.token]
        assert counts_of(store, run.id) == counts_of(other, twin.id)
        assert (twin.label, twin.task_group, twin.model_seed, twin.config_hash) == (
            run.label, run.task_group, run.model_seed, run.config_hash,
        )  # fmt: skip
    assert imports.import_runs(store, found.runs).unchanged == len(queries.runs(store)), "and back again"


def malformed(count: int) -> list[tuple[str, bytes]]:
    """Files that are not accepted: one value of the example is spoiled, or the file is no table."""
    randomly, files = random.Random(17), []
    bad = {
        "length": ["0", "-1", "513", "1.5", "x", "", "1e9", "٣x", "NaN", "inf", "1e400"],
        "correct": ["-1", "101", "", "half", "1.5", "9" * 30], "total": ["0", "-5", "", "many", str(2**31), "1e400"],
        "role": ["boss", "MAIN", "auxiliary"], "training_length": ["0", "x", "1000", "-3"], "run": ["", "x" * 300],
        "task": ["", "y" * 300], "seed": ["-1", "x", "1.5", str(2**63)], "step": ["-1", "x", "0.5"],
        "arm": ["together", "alone-same-steps"], "transfer_length": ["0.5", "x", "1000"], "uuid": ["1", "not-one"],
    }  # fmt: skip
    while len(files) < count - 12:
        rows = [dict(row) for row in example_rows() if row["run"] == "sort-1"]
        column = randomly.choice(list(bad))
        spoiled, value = randomly.choice(rows), randomly.choice(bad[column])
        if spoiled.get(column) == value:
            continue
        for one in rows if column in exchange.OF_THE_RUN else [spoiled]:
            one[column] = value
        names = list(dict.fromkeys([*rows[0], column]))
        text = "\n".join([",".join(names), *(",".join(one.get(name, "") for name in names) for one in rows)])
        files.append((".csv", text.encode()))
    header = "run,task,length,correct,total\n"
    files += [
        (".csv", b""), (".csv", header.encode()), (".csv", b"\xff\xfe\x00bad"), (".csv", b"run,task\na,b\n"),
        (".csv", (header + "a,b,1,1,1\na,b,1,1,1\n").encode()), (".json", b"{}"), (".json", b"[1, 2]"), (".json", b"["),
        (".json", ("[" * 5000).encode()), (".parquet", b"PAR1"), (".txt", b"run"),
        (".csv", (header + 'a,"b,1,1,1\n').encode()),
    ]  # fmt: skip
    return files


@pytest.mark.slow
def test_a_malformed_file_is_one_line_and_stores_nothing(tmp_path, store, monkeypatch, capsys):
    monkeypatch.setenv("LGT_DATABASE_URL", str(store.url.database))
    before = revisions.revision(store)
    for number, (ending, content) in enumerate(malformed(size(80, 300))):
        path = tmp_path / f"bad-{number}{ending}"
        path.write_bytes(content)
        with pytest.raises(SystemExit) as ended:
            main(["import", str(EXAMPLE), str(path)])
        said = capsys.readouterr().err.strip()
        assert ended.value.code == 2 and said.count("\n") == 0 and path.name in said, content
        assert revisions.revision(store) == before, "the good file beside it is not stored either"


def test_random_bytes_and_random_cells_never_end_in_a_traceback(tmp_path):
    randomly = random.Random(3)
    for number in range(size(60, 300)):
        rows = [dict(row) for row in example_rows()]
        for _ in range(3):
            row = randomly.choice(rows)
            row[randomly.choice(list(row))] = "".join(randomly.choices(string.printable, k=randomly.randrange(6)))
        path = written(tmp_path / f"{number}{randomly.choice(('.csv', '.json'))}", rows)
        if number % 3 == 0:
            data = bytearray(path.read_bytes())
            for _ in range(5):
                data[randomly.randrange(len(data))] = randomly.randrange(256)
            path.write_bytes(data)
        try:
            exchange.read_file(path)
        except StoreError as error:
            assert "\n" not in str(error) and str(path) in str(error)


def test_columns_that_are_not_read_are_named(tmp_path, store):
    found = exchange.read_file(written(tmp_path / "a.csv", [row | {"gpu": "x"} for row in example_rows()]))
    assert found.ignored == ("gpu",)


def test_numbers_of_other_types_and_missing_columns_are_understood(tmp_path):
    rows = [
        {"run": 7, "task": "a", "length": 2.0, "correct": "1", "total": 4},
        {"run": 7, "task": "b", "length": 5, "correct": 5, "total": 5},
    ]
    (run,) = exchange.read_file(written(tmp_path / "a.json", rows)).runs
    assert run.label == "7" and [(spec.task, spec.role, spec.training_length) for spec in run.config.tasks] == [
        ("a", "main", 2), ("b", "auxiliary", 5),
    ]  # fmt: skip
    assert run.config.transfer_length == 5 and run.config.arm == "co-trained" and list(run.rows) == [1]


@pytest.mark.slow
def test_imported_runs_never_count_in_a_verdict_and_are_never_trained(own_shipped):
    engine = open_store(str(own_shipped))
    before = [one.as_dict() for one in judge_all(engine)]
    rows = [row | {"task": row["task"].replace("sort_words", "reverse_add").replace("count_words", "no_carry"),
                   "group": "add-carry", "seed": seed} for row in example_rows() for seed in ("0", "1")]  # fmt: skip
    rows = [row | {"run": f"{row['run']} {row['seed']}"} for row in rows]
    file = own_shipped.parent / "in.csv"
    assert imports.import_runs(engine, exchange.read_file(written(file, rows)).runs).added == 4
    assert [one.as_dict() for one in judge_all(engine)] == before
    failed = int(queries.runs(engine, preset=IMPORTED).id.max())
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE runs SET state = 'failed' WHERE id = ?", (failed,))
    assert not queue.retry(engine, failed) and queue.claim(engine, "test", "cpu") is None


def test_a_training_loop_records_its_own_run(store, monkeypatch):
    monkeypatch.setenv("LGT_DATABASE_URL", str(store.url.database))
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/IMPORT.md").read_text(), re.S)
    exec(code, {})
    record = queries.run(store, 1)
    assert record.state == "done" and record.step == 1000 and record.config.transfer_length == 8
    assert ("sort_words", 6, 30, 100) in queries.accuracy(store, [1])[COUNTS].itertuples(index=False, name=None)


def test_a_loop_that_raises_leaves_a_failed_run_with_its_rows(store):
    with pytest.raises(ZeroDivisionError), lgt.record("a:4", {"b": 8}, database=str(store.url.database)) as run:
        run.accuracy(5, "a", {4: (1, 2)})
        assert queries.run(store, run.id).state == "running" and not queries.run(store, run.id).stale
        assert queue.requeue_expired(store) == [] and queue.claim(store, "test", "cpu") is None
        raise ZeroDivisionError("no")
    record = queries.run(store, run.id)
    assert record.state == "failed" and "ZeroDivisionError: no" in str(record.error)
    assert counts_of(store, run.id) == [(5, "a", 4, 1, 2)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"main": "a"}, "main"), ({"main": "a:0"}, "training_length"), ({"main": "a:4", "seed": -1}, "model_seed"),
     ({"main": "a:4", "auxiliaries": {"a": 8}}, "tasks"), ({"main": "a:4", "arm": "x"}, "arm")],
)  # fmt: skip
def test_a_recording_refuses_wrong_values_before_it_stores_anything(arguments, says, store):
    with pytest.raises(ConfigError, match=says), lgt.record(**arguments, database=str(store.url.database)):
        pass
    assert queries.runs(store).empty


def test_a_count_that_is_not_accepted_is_refused_and_changes_nothing(store):
    with lgt.record("a:4", {"b": 8}, database=str(store.url.database)) as run:
        for step, task, counts in (
            (5, "c", {4: (1, 2)}),
            (-1, "a", {4: (1, 2)}),
            (5, "a", {4: (3, 2)}),
            (5, "a", {0: (1, 2)}),
        ):
            with pytest.raises(ConfigError):
                run.accuracy(step, task, counts)
        assert counts_of(store, run.id) == []
        run.accuracy(5, "a", {4: (1, 2)})
        run.accuracy(5, "a", {4: (2, 2)})
    assert counts_of(store, run.id) == [(5, "a", 4, 2, 2)], "the same step again replaces"


def test_the_read_only_switch_refuses_an_import(store, monkeypatch):
    monkeypatch.setenv("LGT_READ_ONLY", "1")
    with pytest.raises(StoreError, match="LGT_READ_ONLY"):
        imports.import_runs(store, exchange.read_file(EXAMPLE).runs)
    assert queries.runs(store).empty


def killed_recording(folder, code: str = "") -> None:
    """Record a run of a:4 in ``folder / workspace.db`` in a process that kills itself in the block."""
    program = (
        "import os, signal, lgt\n"
        f"with lgt.record('a:4', {{'b': 8}}, database={str(folder / 'workspace.db')!r}) as run:\n"
        f"    run.accuracy(0, 'a', {{4: (1, 2)}})\n    {code}\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode < 0


def later(monkeypatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + seconds)


def said_by(words: list[str], capsys) -> str:
    with pytest.raises(SystemExit):
        main(words)
    return capsys.readouterr().out


@pytest.mark.slow
def test_a_recorded_run_whose_program_was_killed_is_shown_as_abandoned_and_can_be_cancelled(
    store, tmp_path, monkeypatch, capsys
):
    killed_recording(tmp_path)
    database = ["--database", str(tmp_path / "workspace.db")]
    assert "running" in said_by(["runs", *database], capsys)
    later(monkeypatch, leases.ABANDONED_SECONDS + 1)
    assert queries.run(store, 1).shown == "abandoned" and live.live_runs(store)[0].shown == "abandoned"
    assert not live.live_runs(store)[0].stale and not queue.has_stale_run(store), "no worker can take it over"
    assert "abandoned" in said_by(["runs", *database], capsys)
    assert "abandoned, step 0" in said_by(["show", "1", *database], capsys)
    assert "lgt cancel" in said_by(["doctor", *database], capsys)
    assert queue.requeue_expired(store) == [] and counts_of(store, 1) == [(0, "a", 4, 1, 2)]
    assert "run 1: cancelled" in said_by(["cancel", "1", *database], capsys)
    assert queries.run(store, 1).state == "cancelled" and counts_of(store, 1) == [(0, "a", 4, 1, 2)]
    with pytest.raises(SystemExit):
        main(["retry", "1", *database])
    assert "another program made it" in capsys.readouterr().err


def test_new_numbers_make_an_abandoned_run_run_again(store, monkeypatch):
    with lgt.record("a:4", {"b": 8}, database=str(store.url.database)) as run:
        later(monkeypatch, leases.ABANDONED_SECONDS + 1)
        assert queries.run(store, run.id).stale
        run.accuracy(5, "a", {4: (1, 2)})
        assert not queries.run(store, run.id).stale
    assert queries.run(store, run.id).state == "done"


def test_a_run_of_the_year_2100_is_abandoned_too(store):
    assert leases.is_stale("running", imports.NO_HEARTBEAT, IMPORTED)
    assert leases.is_stale("running", float("nan"), IMPORTED) and not leases.is_stale("done", None, IMPORTED)


@pytest.mark.parametrize("ended", ["cancelled", "deleted"])
def test_a_recorded_run_that_was_ended_stays_so_and_takes_no_more_numbers(ended, store):
    with (
        pytest.raises(StoreError, match="was cancelled or deleted"),
        lgt.record("a:4", {"b": 8}, database=str(store.url.database)) as run,
    ):
        leases.cancel_run(store, run.id) if ended == "cancelled" else writes.delete_runs(store, [run.id])
        run.accuracy(5, "a", {4: (1, 2)})
    assert list(queries.runs(store).state) == ["cancelled"] * (ended == "cancelled")


@pytest.mark.slow
def test_the_launch_page_says_that_a_recorded_run_is_abandoned_and_cancels_it(store, tmp_path, monkeypatch):
    killed_recording(tmp_path)
    with write_transaction(store) as connection:
        connection.exec_driver_sql("UPDATE runs SET heartbeat_at = heartbeat_at - 4000")
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "workspace.db"))
    app = AppTest.from_file(str(ROOT / "pages/launch.py"), default_timeout=60).run()
    assert not app.exception and any("**abandoned**" in one.value for one in app.markdown)
    assert not [one for one in app.button if one.label == "Start workers"]
    next(one for one in app.button if one.label == "Cancel").click().run()
    assert queries.run(store, 1).state == "cancelled" and not app.exception
