"""A command whose output ends first (``| head -1``, a full disk, a closed output) ends in its usual way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lgt.cli.main import COMMANDS
from tests.conftest import ROOT
from tests.faults import FULL

LISTING = (
    "--help", "tasks", "groups", "sample reverse --length 4", "runs", "runs --json", "show 1", "show 1 --json",
    "claims", "claims --json", "experiment first-results --seeds 0 --status", "evaluate 1 --help", "doctor",
    "roles", "export {out}.csv", "backup {out}.db", "cancel 1", "show 99999",
)  # fmt: skip
WRITING = {"train", "submit", "worker", "attribute", "retry", "report", "import", "merge", "thin", "restore", "bench",
           "app", "export-model", "demo", "pretrained"}  # fmt: skip
"""Commands whose output is not a list: they do something first."""


def ended(words: str, store: Path, **options) -> subprocess.CompletedProcess:
    environment = os.environ | {"LGT_SHIPPED": str(store), "LGT_DATABASE_URL": str(store)}
    words = words.format(out=store.parent / f"out-{len(list(store.parent.iterdir()))}")
    command = [sys.executable, "-m", "lgt", *words.split()]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, check=False, **options)


SOME = LISTING if FULL else ("runs", "show 99999")
"""A table and an error. All commands take a minute."""


@pytest.mark.slow
@pytest.mark.parametrize("words", SOME)
def test_a_command_whose_reader_has_gone_ends_quietly_with_its_usual_code(words, own_shipped):
    usual = ended(words, own_shipped, capture_output=True)
    read, write = os.pipe()
    os.close(read)
    try:
        found = ended(words, own_shipped, stdout=write, stderr=subprocess.PIPE)
        both = ended(words, own_shipped, stdout=write, stderr=write)
    finally:
        os.close(write)
    assert (found.returncode, found.stderr) == (usual.returncode, usual.stderr)
    assert both.returncode == usual.returncode


def test_every_command_is_listed_here():
    names = {command.__name__.replace("_", "-").removesuffix("-runs") for command in COMMANDS}
    assert names == {words.split()[0] for words in LISTING} - {"--help"} | WRITING


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["tasks", "runs --json"])
def test_an_output_on_a_full_disk_is_one_line(words, own_shipped):
    with open("/dev/full", "w") as full:
        found = ended(words, own_shipped, stdout=full, stderr=subprocess.PIPE)
    assert found.returncode == 2 and found.stderr.count("\n") == 1 and "No space left" in found.stderr


def test_a_command_without_an_output_ends_as_usual(own_shipped):
    closed = f'"{sys.executable}" -m lgt tasks >&-'
    assert subprocess.run(["sh", "-c", closed], cwd=ROOT, capture_output=True, check=False).returncode == 0
