"""A store in a folder that a group shares, used by two users of the group, each in a process with that user's id."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults import FULL

ANNA, BORIS, OUTSIDER, GROUP, OTHERS = 12345, 12346, 12347, 12399, 12400
pytestmark = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can run processes as two other users"
)
PROGRAM = """
import os, sys, tempfile
from pathlib import Path
from lgt.store import backup, blobs, leases, queries, queue, writes
from lgt.store.engine import open_store
from lgt.store.errors import StoreError
from tests.conftest import tiny

def use(path, what):
    if what == "restore":
        backup.backup(open_store(path), Path(path + ".backup"))
        return backup.restore(Path(path + ".backup"), path)
    engine = open_store(path)
    if not len(queries.runs(engine)):
        writes.create_runs(engine, [tiny()], labels=["shared"])
    number, attempt = queue.claim(engine, "me", "cpu", code_version="1")
    before = blobs.newest_state(engine, number, "1")
    leases.save_state(engine, number, attempt, 1, what.encode(), "1")
    leases.release_run(engine, number, attempt)
    print(before.decode() if before else "nothing")

store, what, user, group, umask = sys.argv[1:]
with tempfile.TemporaryDirectory() as place:  # loads every module while this process may read all of them
    for words in ("x", "y", "restore"):
        use(place + "/w.db", words)
os.setgroups([]); os.setgid(int(group)); os.setuid(int(user)); os.umask(int(umask, 8))
print("ready")
try:
    use(store, what)
except StoreError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.fixture()
def shared(tmp_path) -> Path:
    """A folder that the group may write and whose files belong to the group."""
    for folder in tmp_path.parents:
        if folder != Path(tempfile.gettempdir()) and folder.is_relative_to(tempfile.gettempdir()):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    folder = tmp_path / "group"
    folder.mkdir()
    os.chown(folder, ANNA, GROUP)
    folder.chmod(0o2775)
    return folder


def use(user: int, folder: Path, what: str, group: int = GROUP, umask: str = "022") -> tuple[str, str]:
    """What a user's process said on standard output, after it was that user, and on standard error."""
    words = [sys.executable, "-c", PROGRAM, str(folder / "workspace.db"), what, str(user), str(group), umask]
    environment = os.environ | {"LGT_CACHE": str(folder / f"cache-{user}"), "HOME": "/nowhere"}
    ended = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return ended.stdout.partition("ready\n")[2].strip(), ended.stderr.strip()


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["022", "077"] if FULL else ["077"])
def test_two_users_of_a_group_read_and_write_one_workspace_and_its_files(umask, shared):
    assert use(ANNA, shared, "of Anna", umask=umask) == ("nothing", "")
    assert use(BORIS, shared, "of Boris", umask=umask) == ("of Anna", "")
    assert use(ANNA, shared, "again", umask=umask) == ("of Boris", "")
    (kept,) = (shared / "workspace.db.files").iterdir()
    assert (kept.stat().st_uid, kept.stat().st_gid) == (ANNA, GROUP) and kept.stat().st_mode & 0o060 == 0o060


@pytest.mark.slow
def test_a_restored_store_is_the_group_s_too(shared):
    assert use(ANNA, shared, "of Anna", umask="077") == ("nothing", "")
    assert use(ANNA, shared, "restore", umask="077") == ("", "")
    assert use(BORIS, shared, "of Boris")[1] == ""


@pytest.mark.slow
def test_a_folder_of_files_that_is_closed_to_the_group_is_refused_in_one_line(shared):
    assert use(ANNA, shared, "of Anna") == ("nothing", "")
    files = shared / "workspace.db.files"
    (state,) = files.iterdir()
    files.chmod(0o700)
    state.chmod(0o600)
    said, refused = use(BORIS, shared, "of Boris")
    assert "Traceback" not in refused
    last = refused.split("\n")[-1]
    assert last.startswith(f"refused: {files} may not be written by this user") and "chmod -R g+rwX" in last
    assert not said


@pytest.mark.slow
def test_the_owner_s_next_write_opens_a_folder_of_files_that_was_closed_to_the_group(shared):
    assert use(ANNA, shared, "of Anna") == ("nothing", "")
    (shared / "workspace.db.files").chmod(0o700)
    for path in (shared / "workspace.db.files").iterdir():
        path.chmod(0o600)
    assert use(ANNA, shared, "wider") == ("of Anna", "")
    assert use(BORIS, shared, "of Boris") == ("wider", "")


@pytest.mark.slow
def test_someone_outside_the_group_gets_one_line(shared):
    assert use(ANNA, shared, "of Anna") == ("nothing", "")
    said, refused = use(OUTSIDER, shared, "mine", group=OTHERS)
    assert not said and refused.startswith("refused: ") and refused.count("\n") == 0
    assert "read-only" in refused or "may not be" in refused
