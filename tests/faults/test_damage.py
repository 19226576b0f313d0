"""R8: a damaged database. R9: a damaged or hostile checkpoint. R10: a full disk."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from lgt.model.checkpoint import CheckpointError, from_bytes, to_bytes
from lgt.model.decoder import Decoder
from lgt.store import blobs, checkpoints, integrity, leases, queries, writes
from lgt.store.engine import open_store, write_transaction
from lgt.store.errors import StoreError
from tests.conftest import ROOT
from tests.faults import size
from tests.faults.processes import config, ended, started, work


@pytest.mark.slow
@pytest.mark.parametrize("page", ["overview", "explore", "launch"])
def test_r8_flipped_bits_are_one_message_on_a_page(page: str, tmp_path: Path, monkeypatch) -> None:
    sound, refused = (ROOT / "results.db").read_bytes(), 0
    for seed in range(size(6, 70)):
        source, path = random.Random(seed), tmp_path / f"{seed}.db"
        damaged = bytearray(sound)
        for _ in range(20):
            damaged[source.randrange(len(damaged) if seed % 3 == 0 else 40_000)] ^= 1 << source.randrange(8)
        path.write_bytes(damaged[: source.randrange(len(damaged))] if seed % 3 == 1 else damaged)
        monkeypatch.setenv("LGT_DATABASE_URL", str(path))
        app = AppTest.from_file(str(ROOT / f"pages/{page}.py"), default_timeout=60).run()
        assert not app.exception
        for error in app.error:
            refused += 1
            error_boundary = path.name in error.value and "restore" in error.value
            assert error_boundary or "lgt doctor" in error.value, (
                "a value that is damaged but readable is for the doctor to find"
            )
        path.unlink()
    assert refused >= size(2, 20), "the damage must reach what pages read"


def pickled() -> bytes:
    """Bytes that run code when they are unpickled."""

    class Runs:
        def __reduce__(self):
            return os.system, ("touch /tmp/lgt-code-ran",)

    return pickle.dumps(Runs())


MODEL = config().model
HOSTILE = {
    "pickle": pickled(),
    "a header of 1 GB": (1 << 30).to_bytes(8, "little") + b"{" + b" " * 1000,
    "a header that lies": (50).to_bytes(8, "little") + json.dumps({"a": {"dtype": "F32", "shape": [2**40]}}).encode(),
    "another shape": save({"embedding.weight": torch.zeros(3, 3)}),
    "the right size in other shapes": save({"x": torch.zeros(MODEL.parameters(127))}),
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_r9_a_hostile_checkpoint_is_refused_and_runs_no_code(name: str, tmp_path: Path) -> None:
    marker = Path("/tmp/lgt-code-ran")
    marker.unlink(missing_ok=True)
    with pytest.raises(CheckpointError) as caught:
        from_bytes(HOSTILE[name], MODEL)
    assert "\n" not in str(caught.value) and not marker.exists()


def test_r9_damage_is_found_before_anything_is_loaded(tmp_path: Path, monkeypatch) -> None:
    store = open_store(str(tmp_path / "results.db"))
    sound = to_bytes(Decoder(MODEL))
    run_id = writes.create_run(store, config())
    attempt = leases.start_run(store, run_id, "w", "cpu")
    leases.save_state(store, run_id, attempt, 3, sound, "code")
    writes.record_checkpoint(store, run_id, attempt, 3, sound)
    (state,) = blobs.files_folder(store.url).iterdir()
    source = random.Random(3)
    for number in range(size(30, 300)):
        damaged = bytearray(sound)
        if number % 3 == 0:
            damaged = damaged[: source.randrange(len(sound))]
        else:
            damaged[source.randrange(len(sound))] ^= 1 << source.randrange(8)
        state.write_bytes(damaged)
        assert blobs.newest_state(store, run_id, "code") is None
        with write_transaction(store) as connection:
            connection.execute(text("UPDATE checkpoints SET weights = :w"), {"w": bytes(damaged)})
        with pytest.raises(StoreError, match="damaged"):
            checkpoints.read_checkpoint(store, run_id)
    state.write_bytes(sound)
    assert blobs.newest_state(store, run_id, "code") == sound
    assert blobs.newest_state(store, run_id, "other code") is None, "numbers of two codes do not mix"
    with pytest.raises(StoreError, match="is not the name of a file"):
        blobs.read_file(tmp_path, "../../etc/passwd", 10, hashlib.sha256().hexdigest())


@pytest.fixture()
def small_disk(tmp_path: Path):
    """A folder on a separate filesystem of 12 MB."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only an administrator may make a small filesystem")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
def test_r10_a_full_disk_fails_the_run_and_leaves_the_store_whole(small_disk: Path) -> None:
    path = small_disk / "results.db"
    store = open_store(str(path))
    run_id, free = writes.create_run(store, config(steps=300)), 300_000
    ballast = small_disk / "ballast"
    with open(ballast, "wb") as handle:
        handle.write(bytes(shutil.disk_usage(small_disk).free - free))
    assert ended(started(work, str(path))) == 0, "the worker itself goes on"
    record = queries.run(store, run_id)
    assert record.state == "failed" and str(record.error).startswith("disk full")
    assert integrity.integrity(store) == []
    ballast.unlink()
    from lgt.store import queue

    assert queue.retry(store, run_id)
    assert ended(started(work, str(path))) == 0
    assert queries.run(store, run_id).state == "done" and integrity.integrity(store) == []
