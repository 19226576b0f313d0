"""The commands: what they print, what they refuse, what they leave in the store."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from lgt.cli.main import main
from lgt.core.notices import warn_once
from lgt.store import queries
from lgt.store.engine import open_store, write_transaction
from lgt.store.schema import AttentionMap, HeadMap, Run, RunState
from tests.conftest import own_cache

QUICK = ["--set", "training.steps=6", "--set", "evaluation.examples=6", "--set", "evaluation.progress_examples=4",
         "--set", "evaluation.snapshots=2", "--set", "evaluation.attribution_examples=4",
         "--set", "evaluation.attribution_lengths=1"]  # fmt: skip


def lgt(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_tasks_and_groups_list_everything(capsys):
    code, out, _ = lgt(capsys, "tasks", "--json")
    assert code == 0 and len(json.loads(out)) == 13
    code, out, _ = lgt(capsys, "groups", "--json")
    groups = {group["key"]: group for group in json.loads(out)}
    assert code == 0 and len(groups) == 9
    assert groups["add-carry"]["lengths"]["paper"] == [16, 32] and groups["control-add"]["control"]
    assert "reverse_add" in lgt(capsys, "tasks")[1] and "caprev" in lgt(capsys, "groups")[1]


def test_sample_prints_one_json_object_a_line(capsys):
    code, out, _ = lgt(capsys, "sample", "mqar", "--length", "4", "--count", "3", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(rows) == 3
    assert all(row["scored"] == [1, 3, 5] and len(row["answer"]) == 6 for row in rows)
    assert out == lgt(capsys, "sample", "mqar", "--length", "4", "--count", "3", "--json", "--seed", "0")[1]
    assert out != lgt(capsys, "sample", "mqar", "--length", "4", "--count", "3", "--json", "--seed", "1")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample", "reverse", "--length", "0"], ["length", "0", "1 to 512"]),
        (["sample", "reverse", "--length", "-3"], ["length", "-3", "1 to 512"]),
        (["sample", "reverse", "--length", "three"], ["--length", "three", "whole number"]),
        (["sample", "reverse", "--length", "3", "--count", "0"], ["count", "0", "1 to 100,000"]),
        (["sample", "shortest_path", "--length", "65"], ["length", "65", "1 to 64"]),
        (["sample", "juggle", "--length", "3"], ["task", "juggle", "reverse_add"]),
        (["train", "--group", "nope"], ["group", "nope", "add-carry"]),
        (["train"], ["--group", "--main TASK:LEN"]),
        (["train", "--group", "caprev", "--preset", "huge"], ["preset", "huge", "demo, small, long, paper"]),
        (["train", "--group", "caprev", "--position", "t5"], ["--position", "t5", "rope, nope, alibi, fire"]),
        (["train", "--group", "caprev", "--seed", "-1"], ["model_seed", "-1"]),
        (["train", "--group", "caprev", "--seed", "x"], ["--seed", "x", "whole number"]),
        (["train", "--group", "caprev", "--same-examples"], ["--same-examples", "--main-only"]),
        (["train", "--group", "caprev", "--set", "training.steps"], ["--set", "PATH=VALUE"]),
        (["train", "--group", "caprev", "--set", "training.steps=0"], ["training.steps", "0", "1 to 1,000,000"]),
        (["train", "--group", "caprev", "--set", "model.parts=main:0-4"], ["model.parts", "0-4", "0 to 3"]),
        (["submit", "--group", "caprev", "--set", "model.parts=control:0"], ["control:0", "main, auxiliary"]),
        (["train", "--group", "caprev", "--set", "training.frozen=heads"], ["training.frozen", "embedding,attention"]),
        (["train", "--group", "caprev", "--device", "tpu"], ["--device", "tpu", "cpu, cuda"]),
        (["train", "--main", "reverse_add:8", "--aux", "no_carry:4"], ["no_carry", "4", "more than 8"]),
        (["train", "--group", "caprev", "--set", "evaluation.maximum_length=9"], ["evaluation.maximum_length", "16"]),
        (["train", "--main", "mqar:26", "--aux", "string_copy:60"], ["transfer_length", "60", "52"]),
        (["train", "--main", "reverse_add"], ["--main", "reverse_add", "TASK:LEN"]),
        (["train", "--main", "juggle:8"], ["task", "juggle"]),
        (["train", "--main", "reverse_add:99999"], ["reverse_add", "99999", "512"]),
        (["experiment", "first-results", "--seeds", "4-1"], ["--seeds", "4-1", "0-4"]),
        (["experiment", "unknown"], ["experiment", "unknown", "first-results"]),
        (["export", "somewhere", "--format", "xml"], ["--format", "xml", "csv, parquet, json"]),
        (["show", "seven"], ["seven", "whole number"]),
        (["attribute", "seven"], ["seven", "whole number"]),
        (["attribute", "1"], ["none.db"]),
        (["juggle"], ["juggle"]),
        (["runs", "--wrong"], ["--wrong"]),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setenv("LGT_DATABASE_URL", str(tmp_path / "none.db"))
    code, _, err = lgt(capsys, *arguments)
    assert code == 2
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err
    for word in words:
        assert word in err
    assert not (tmp_path / "none.db").exists(), "a refused command leaves no store behind"


def test_a_file_that_is_not_a_store_gives_one_line_in_every_command(capsys, tmp_path):
    text, empty, folder = tmp_path / "notes.txt", tmp_path / "empty.db", tmp_path / "folder"
    text.write_text("hello " * 100)
    empty.touch()
    folder.mkdir()
    for path in (text, empty, folder):
        for command in (["runs"], ["show", "1"], ["merge", str(tmp_path / "x.db")], ["train", "--group", "caprev"]):
            code, _, err = lgt(capsys, *command, "--database", str(path))
            assert code == 2 and len(err.strip().splitlines()) == 1 and path.name in err, (command, err)
    assert text.read_text() == "hello " * 100 and empty.stat().st_size == 0
    code, out, _ = lgt(capsys, "doctor", "--database", str(text))
    assert code == 1 and "FAIL store" in out


@pytest.mark.slow
@pytest.mark.parametrize("changes", [["--position", "alibi"], ["--position", "fire", "--set", "model.schedule=twice"]])
def test_every_encoding_is_trained_and_measured_by_one_command(capsys, caplog, tmp_path, changes):
    warn_once.cache_clear()
    store, quick = tmp_path / "a.db", [*QUICK, "--set", "training.steps=20", "--set", "training.batch_size=16"]
    code, out, err = lgt(capsys, "train", "--group", "caprev", *quick, *changes, "--seed", "900", "--database", store)
    assert code == 0 and "run 1: done" in out, err
    assert "no fused training step" not in caplog.text
    assert ("no fast evaluation" in caplog.text) is ("model.schedule=twice" in changes)
    shown = json.loads(lgt(capsys, "show", "1", "--json", "--database", store)[1])
    assert shown["step"] == 20 and "fused" in shown["device"]
    assert [name for name in ("ALiBi", "FIRE") if name in lgt(capsys, "runs", "--database", store)[1]] == [
        "ALiBi" if "alibi" in changes else "FIRE"
    ]


def test_the_help_lists_the_encodings_in_words(capsys):
    said = " ".join(re.sub("[^a-zA-Z ()]", " ", lgt(capsys, "train", "--help")[1]).split())
    for words in ("rope (rotary)", "nope (none)", "alibi (ALiBi)", "fire (FIRE)"):
        assert words in said


@pytest.mark.slow
def test_train_show_runs_export_and_merge_on_a_real_run(capsys, tmp_path):
    store = tmp_path / "a.db"
    code, out, err = lgt(capsys, "train", "--group", "caprev", *QUICK, "--database", store)
    assert code == 0 and "run 1: done" in out and "transfer accuracy" in out, err
    code, out, _ = lgt(capsys, "show", "1", "--json", "--database", store)
    shown = json.loads(out)
    assert shown["state"] == "done" and shown["step"] == 6
    assert {row["task"] for row in shown["accuracy"]} == {"capitalize_reverse", "capitalize", "reverse"}
    assert all(0 <= row["correct"] <= row["total"] <= 6 for row in shown["accuracy"])
    assert json.loads(lgt(capsys, "runs", "--json", "--database", store)[1])[0]["state"] == "done"
    assert "trained to 8" in lgt(capsys, "show", "1", "--database", store)[1]
    code, out, _ = lgt(capsys, "export", tmp_path / "out", "--database", store)
    assert code == 0 and (tmp_path / "out" / "accuracy.csv").exists()
    code, out, _ = lgt(capsys, "merge", store, "--database", tmp_path / "b.db")
    assert code == 0 and out.startswith("runs: 1 added, 0")
    again = lgt(capsys, "merge", store, "--database", tmp_path / "b.db")[1]
    assert again == "runs: 0 added, 0 updated, 1 unchanged, 0 skipped, 0 deleted\n"
    assert lgt(capsys, "doctor", "--database", store)[0] == 0
    assert lgt(capsys, "backup", tmp_path / "copy.db", "--database", store)[0] == 0
    store.write_bytes(b"")
    assert lgt(capsys, "restore", tmp_path / "copy.db", "--database", store)[0] == 0
    assert json.loads(lgt(capsys, "runs", "--json", "--database", store)[1])[0]["state"] == "done"


@pytest.mark.slow
def test_a_partition_is_trained_shown_and_measured_again(capsys, tmp_path):
    store, parts = tmp_path / "a.db", "main:0-1+auxiliary:2-3"
    changes = ["--set", f"model.parts={parts}", "--set", "training.frozen=embedding"]
    code, _, err = lgt(capsys, "train", "--group", "caprev", *QUICK, *changes, "--database", store)
    assert code == 0, err
    shown = json.loads(lgt(capsys, "show", "1", "--json", "--database", store)[1])
    assert (shown["config"]["model"]["parts"], shown["config"]["training"]["frozen"]) == (parts, "embedding")
    assert f'"parts":"{parts}"' in lgt(capsys, "show", "1", "--database", store)[1]
    rows = json.loads(lgt(capsys, "evaluate", "1", "--json", "--database", store)[1])["accuracy"]
    counts = {(row["task"], row["length"]): row["correct"] for row in rows}
    assert counts == {(row["task"], row["length"]): row["correct"] for row in shown["accuracy"]}
    before = queries.head_scores(open_store(str(store)), [1])
    assert lgt(capsys, "attribute", "1", "--database", store)[0] == 0
    assert queries.head_scores(open_store(str(store)), [1]).equals(before)
    code, _, err = lgt(capsys, "export-model", "1", tmp_path / "net", "--database", store)
    assert code == 2 and "model.parts" in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "net").exists()


def test_heads_measured_again_are_those_that_the_run_measured(capsys, tmp_path):
    store = tmp_path / "a.db"
    lgt(capsys, "train", "--group", "caprev", *QUICK, "--database", store)
    engine, tables = open_store(str(store)), (queries.head_scores, queries.attention_differences)
    measured = [read(engine, [1]) for read in tables]
    with write_transaction(engine) as connection:
        for table in (HeadMap, AttentionMap):
            connection.execute(delete(table))
    code, out, _ = lgt(capsys, "attribute", "1", "--database", store)
    assert code == 0 and "transfer region, lengths" in out and "L2·H4" in out
    assert all(read(engine, [1]).equals(before) for read, before in zip(tables, measured, strict=True))
    code, _, err = lgt(capsys, "attribute", "2", "--database", store)
    assert code == 2 and "run 2" in err and len(err.strip().splitlines()) == 1
    with write_transaction(engine) as connection:
        connection.execute(update(Run).values(state=RunState.CANCELLED))
    code, _, err = lgt(capsys, "attribute", "1", "--database", store)
    assert code == 2 and "run 1 is cancelled; heads can only be measured of a finished run" in err


def hear_ctrl_c() -> None:
    """Handle Ctrl-C: a shell starts background jobs with this signal ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_leaves_a_cancelled_run(tmp_path):
    store = tmp_path / "a.db"
    command = [sys.executable, "-m", "lgt", "train", "--group", "caprev", "--database", str(store)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=hear_ctrl_c)
    wait_for_step(store)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.strip().splitlines()[-1] == "lgt: interrupted" and "Traceback" not in err
    record = queries.run(open_store(str(store)), 1)
    assert record.state == "cancelled" and record.error == "interrupted by the user" and record.step >= 1


def wait_for_step(store: Path, seconds: float = 120) -> None:
    """Until run 1 of ``store`` has done a step; fails when that takes longer than ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if store.exists():
            with sqlite3.connect(store) as connection:
                row = connection.execute("SELECT step FROM runs WHERE id = 1").fetchone()
            if row and row[0] >= 1:
                return
        time.sleep(0.2)
    pytest.fail("the run did not start")


@pytest.mark.slow
def test_submit_cancel_retry_and_worker(capsys, tmp_path):
    store = ["--database", str(tmp_path / "a.db")]
    code, out, _ = lgt(capsys, "submit", "--group", "caprev", "--seeds", "0-2", *QUICK, *store)
    assert code == 0 and out.splitlines()[2] == "run 3: caprev 8<-16 co-trained, seed 2 queued"
    assert lgt(capsys, "cancel", "2", *store)[1] == "run 2: cancelled\n"
    code, _, error = lgt(capsys, "cancel", "2", *store)
    assert (code, error) == (2, "lgt: run 2 cannot be cancelled: it is cancelled\n")
    code, _, error = lgt(capsys, "retry", "1", *store)
    assert code == 2 and "run 1 cannot be retried: it is queued" in error
    assert lgt(capsys, "cancel", "9", *store)[2].startswith("lgt: run 9: not in the store")
    assert "2 queued and none running" in lgt(capsys, "doctor", *store)[1]
    code, out, _ = lgt(capsys, "worker", "--once", *store)
    assert code == 0 and out.splitlines()[-1] == "run 1: caprev 8<-16 co-trained, seed 0 done"
    assert lgt(capsys, "retry", "2", *store)[0] == 0
    code, out, _ = lgt(capsys, "worker", *store)
    assert code == 0 and out.count("done") == 2
    rows = json.loads(lgt(capsys, "runs", "--json", *store)[1])
    assert [(row["state"], row["stale"], row["attempt"]) for row in rows] == [("done", False, 1)] * 3
    code, _, error = lgt(capsys, "submit", "--group", "caprev", "--set", "training.steps=100001", *store)
    assert (
        code == 2 and "training.steps: 100001 is not accepted; accepted: at most 100,000 steps (LGT_MAX_STEPS" in error
    )


@pytest.mark.slow
def test_several_workers_share_a_queue_and_a_slot_is_respected(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("LGT_CACHE", str(own_cache(tmp_path / "cache")))
    store = ["--database", str(tmp_path / "a.db")]
    lgt(capsys, "submit", "--group", "caprev", "--seeds", "0-3", *QUICK, *store)
    assert lgt(capsys, "worker", "--count", "2", *store)[0] == 0
    rows = json.loads(lgt(capsys, "runs", "--json", *store)[1])
    assert {row["state"] for row in rows} == {"done"} and len({row["owner"] for row in rows}) == 2
    monkeypatch.setenv("LGT_MAX_WORKERS", "1")
    from lgt.execution.worker_processes import take_slot
    from lgt.store.engine import database_url

    held = take_slot(database_url(store[1]))
    assert held is not None
    assert "all worker slots of this machine are taken" in lgt(capsys, "worker", "--slot", *store)[1]
