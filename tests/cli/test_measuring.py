"""The command evaluate: equal to what the run stored, what it prints, what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lgt.cli.measuring import parse_lengths
from lgt.core.checks import ConfigError
from lgt.store import queries
from lgt.store.engine import open_store
from tests.cli.stored import store_run
from tests.cli.test_cli import lgt

pytestmark = pytest.mark.slow

WITHOUT, WITH_WEIGHTS = "2", "1"


@pytest.fixture(scope="module")
def store(trained, tmp_path_factory) -> Path:
    """A store with the run of ``trained``, its counts and weights; run 2 has counts only."""
    config, _, recorder = trained
    path = tmp_path_factory.mktemp("measured") / "mine.db"
    engine = open_store(str(path))
    for label in ("a run", "without weights"):
        store_run(engine, config, recorder, label, weights=label == "a run")
    engine.dispose()
    return path


def evaluated(capsys, *arguments: str) -> dict:
    code, out, err = lgt(capsys, "evaluate", *arguments, "--json")
    assert code == 0 and not err, err
    return json.loads(out)


def counts(rows) -> set[tuple]:
    return {(row["task"], row["length"], row["correct"], row["total"]) for row in rows}


def stored_counts(path: Path, run_id: int) -> list[dict]:
    return queries.accuracy(open_store(str(path), read_only=True), [run_id]).to_dict(orient="records")


def test_without_options_the_counts_are_those_that_the_run_stored(capsys, store, trained):
    found = evaluated(capsys, "1", "--database", store)
    assert counts(found["accuracy"]) == counts(stored_counts(store, 1)) and len(found["accuracy"]) == 21
    assert (found["run"], found["step"], found["label"], found["examples"]) == ("1", 150, "a run", 40)
    step = sorted(trained[2].checkpoints)[0]
    assert evaluated(capsys, "1", "--step", step, "--database", store)["step"] == step


def test_a_shipped_run_measured_again_has_its_stored_counts(capsys, shipped):
    engine = open_store(str(shipped), read_only=True)
    for run_id, lengths in ((97, "3,16"), (111, "6,10")):  # a string run and an addition run
        found = evaluated(capsys, str(run_id), "--lengths", lengths, "--database", shipped)
        wanted = [row for row in stored_counts(shipped, run_id) if str(row["length"]) in lengths.split(",")]
        assert counts(found["accuracy"]) == counts(wanted) and len(wanted) == 2 * len(queries.run(engine, run_id).tasks)


def test_the_table_names_zones_intervals_and_lengths_with_few_prompts(capsys, store):
    code, out, _ = lgt(capsys, "evaluate", "1", "--lengths", "1,3-4,9", "--task", "capitalize_reverse",
                       "--examples", "50", "--seed", "7", "--database", store)  # fmt: skip
    lines = out.splitlines()
    assert code == 0 and lines[0] == (
        "run 1: a run, weights after 150 steps; up to 50 test prompts of each task and length, seed 7"
    )
    assert lines[1].split() == ["task", "length", "zone", "correct", "total", "accuracy", "95%", "interval"]
    cells = [line.split() for line in lines[2:6]]
    assert [row[:3] for row in cells] == [
        ["capitalize_reverse", "1", "in-distribution"], ["capitalize_reverse", "3", "in-distribution"],
        ["capitalize_reverse", "4", "transfer"], ["capitalize_reverse", "9", "out-of-distribution"],
    ]  # fmt: skip
    assert cells[0][4] == "13" and lines[6] == "fewer than 50 different test prompts: capitalize_reverse 1 (13)"


def test_json_rows_have_the_interval_of_their_counts(capsys, store):
    rows = evaluated(capsys, "1", "--lengths", "2", "--database", store)["accuracy"]
    assert [row["role"] for row in rows] == ["main", "auxiliary", "auxiliary"]
    assert all(row["low"] <= row["accuracy"] == row["correct"] / row["total"] <= row["high"] for row in rows)


def test_operands_of_a_sum_are_named(capsys, shipped):
    code, out, _ = lgt(capsys, "evaluate", "7", "--operands", "ragged", "--lengths", "4", "--examples", "20",
                       "--database", shipped)  # fmt: skip
    assert code == 0 and out.splitlines()[0].endswith("seed 2506, ragged operands") and "reverse_add  4" in out


def test_a_run_of_another_store_is_named_by_its_store_and_no_store_is_changed(capsys, store, shipped):
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (store, shipped)]
    beside = sorted(store.parent.iterdir())
    found = evaluated(capsys, "mine.1", "--lengths", "2", "--database", shipped, "--also", store)
    assert found["run"] == "mine.1" and found["label"] == "a run"
    assert before == [hashlib.sha256(path.read_bytes()).hexdigest() for path in (store, shipped)]
    assert sorted(store.parent.iterdir()) == beside


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["1", "--task", "reverse_add"], ["task", "reverse_add", "capitalize_reverse, capitalize, reverse"]),
        (["1", "--task", "juggle"], ["task", "juggle", "capitalize_reverse, capitalize, reverse"]),
        (["1", "--operands", "ragged"], ["operands", "ragged", "tasks on two numbers"]),
        (["1", "--operands", "mixed"], ["--operands", "mixed", "equal, ragged"]),
        (["1", "--lengths", "5-1"], ["--lengths", "5-1", "1-9 or 1,2,5-9"]),
        (["1", "--lengths", "x"], ["--lengths", "'x'", "1-9 or 1,2,5-9"]),
        (["1", "--lengths", "0"], ["--lengths", "'0'", "from 1 to 512"]),
        (["1", "--lengths", "1-513"], ["--lengths", "1-513", "from 1 to 512", "LGT_MAX_LENGTH"]),
        (["1", "--examples", "0"], ["examples", "0", "1 to 100,000"]),
        (["1", "--examples", "many"], ["--examples", "many", "whole number"]),
        (["1", "--seed", "-1"], ["seed", "-1"]),
        (["1", "--step", "7"], ["--step", "7", "150"]),
        ([WITHOUT], ["run 2", "weights are not stored", "lgt show 2"]),
        ([WITHOUT, "--step", "7"], ["run 2", "weights are not stored"]),
        (["99"], ["run 99", "not in the store"]),
        (["other.1"], ["other.1", "mine.1"]),
        (["one"], ["one", "whole number"]),
    ],
)
def test_a_users_mistake_is_one_line(capsys, store, arguments, words):
    code, out, err = lgt(capsys, "evaluate", *arguments, "--database", store)
    assert code == 2 and not out and len(err.strip().splitlines()) == 1 and "Traceback" not in err
    assert all(word in err for word in words), err


def test_lengths_below_the_minimum_of_a_task_are_refused(capsys, shipped):
    code, _, err = lgt(capsys, "evaluate", "76", "--lengths", "1-3", "--database", shipped)
    assert code == 2 and err.startswith("lgt: shortest_path length: 1 is not accepted; accepted: a whole number from 2")


def test_weights_that_do_not_fit_the_config_are_one_line(capsys, store, monkeypatch):
    from lgt.model.checkpoint import CheckpointError

    def damaged(*_: object) -> None:
        raise CheckpointError("checkpoint does not fit the model")

    monkeypatch.setattr("lgt.model.checkpoint.from_bytes", damaged)
    code, _, err = lgt(capsys, "evaluate", WITH_WEIGHTS, "--database", store)
    assert code == 2 and err == "lgt: run 1: checkpoint does not fit the model\n"


@pytest.mark.parametrize(
    ("text", "lengths"), [("1-3", (1, 2, 3)), ("1,2,5-7", (1, 2, 5, 6, 7)), (" 4 , 2-4", (2, 3, 4))]
)
def test_lengths_as_text(text, lengths):
    assert parse_lengths(text) == lengths


@pytest.mark.parametrize("text", ["", ",", "1,", "-", "-3", "3-", "1-2-3", "1.5", "\N{SUPERSCRIPT TWO}", "9" * 30])
def test_malformed_lengths_are_refused(text):
    with pytest.raises(ConfigError, match="--lengths"):
        parse_lengths(text)


def test_the_help_says_that_stores_are_only_read(capsys):
    assert "nothing is stored" in " ".join(lgt(capsys, "evaluate", "--help")[1].split())
