"""What a user's machine may look like: cores, homes, umasks, encodings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lgt.core import paths, processors
from tests.conftest import ROOT
from tests.faults import FULL

MACHINE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def groups(folder: Path, lines: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A tree of control groups, and the file that says which ones this process is in."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    own = folder / "own"
    own.write_text(lines)
    return folder, own


@pytest.mark.parametrize(
    ("lines", "files", "quota"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("4:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "100000", "cpu/x/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu,cpuacct:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, MACHINE),
        ("0::/a\n", {"a/cpu.max": "max 100000\n"}, MACHINE), ("0::/a\n", {"a/cpu.max": "nonsense"}, MACHINE),
        ("", {}, MACHINE), ("0::/../../etc\n", {}, MACHINE),
    ],
)  # fmt: skip
def test_a_quota_of_a_container_limits_the_cores(lines, files, quota, tmp_path):
    assert processors.usable_cores(*groups(tmp_path, lines, files)) == min(quota, MACHINE)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_an_affinity_mask_limits_cores_and_workers():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{one}}}); from lgt.core.bounds import WORKERS; print(WORKERS.most)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "1"


def command(*words: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "lgt", *words], capture_output=True, cwd=ROOT, **options)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"] if FULL else ["cp437"])
def test_a_console_of_any_encoding_shows_every_command(encoding, tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "LGT_DATABASE_URL": str(tmp_path / "none.db")}
    for words in (("tasks",), ("groups",), ("show", "L1·H2 ← ä"), ("sample", "reverse", "--length", "4")):
        ended = command(*words, env=environment)
        assert ended.returncode in (0, 2) and b"Traceback" not in ended.stderr, ended.stderr
        (ended.stdout + ended.stderr).decode(encoding)


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can run a process as an unknown user")
def test_a_user_id_without_home_and_name_works(tmp_path):
    """Its root is a folder of the test, so that the user can enter every folder above."""
    for folder in (tmp_path, tmp_path / "tmp"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
    read, write = os.pipe()
    child = os.fork()
    if not child:  # pytest must not see the child, however it ends
        try:
            for name in ("HOME", "XDG_CACHE_HOME", "USER"):
                os.environ.pop(name, None)
            tempfile.tempdir = "/tmp"
            paths.process_folder.cache_clear()
            os.chroot(tmp_path)
            os.chdir("/")
            os.setgroups([])
            os.setgid(54321)
            os.setuid(54321)
            os.write(write, str(paths.own_folder("code")).encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        made = Path(said.read())
    assert made.name == "code" and made.parent.name.startswith(f"{paths.NAME}-") and made.parents[1] == Path("/tmp")
    status = (tmp_path / made.parent.relative_to("/")).lstat()
    assert (status.st_uid, status.st_mode & 0o777) == (54321, 0o700)


@pytest.mark.parametrize("home", [None, "/", "/no/such/folder"])
def test_without_a_home_folder_temporary_files_are_used(home, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def unknown():
        if home is None:
            raise RuntimeError("no home")
        return Path(home)

    monkeypatch.setattr(Path, "home", unknown)
    assert paths.cache_directory() == tmp_path / f"length-transfer-lab-{paths.user_id()}"


@pytest.mark.parametrize("umask", [0o077, 0o002, 0o027])
def test_what_is_made_in_a_group_s_folder_is_open_to_the_group_under_any_umask(umask, tmp_path):
    from lgt.store import blobs
    from lgt.store.engine import open_store

    tmp_path.chmod(0o2775)
    before = os.umask(umask)
    try:
        engine = open_store(str(tmp_path / "workspace.db"))
        blobs.write_file(blobs.files_folder(engine.url), "run-1.state", b"x")
    finally:
        os.umask(before)
    made = [tmp_path / "workspace.db", tmp_path / "workspace.db.files", tmp_path / "workspace.db.files/run-1.state"]
    assert all(path.stat().st_mode & 0o060 == 0o060 for path in made)
    assert made[1].stat().st_mode & 0o2010 == 0o2010, "the group can enter the folder and keeps it"


def test_in_a_folder_of_one_s_own_the_umask_decides(tmp_path):
    from lgt.store.engine import open_store

    tmp_path.chmod(0o755)
    before = os.umask(0o077)
    try:
        open_store(str(tmp_path / "workspace.db"))
    finally:
        os.umask(before)
    assert (tmp_path / "workspace.db").stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a:b", "with space; and more", "ä#%41?"] if FULL else ["a:b"])
def test_workers_start_from_a_checkout_with_any_name(name, tmp_path):
    checkout = tmp_path / name
    shutil.copytree(ROOT / "lgt", checkout / "lgt", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import subprocess, sys, lgt; from lgt.execution.worker_processes import worker_command, worker_environment\n"
        "command = worker_command('--count', '300')\n"
        "print(lgt.__file__); sys.stdout.flush()\n"
        "sys.exit(subprocess.run(command, env=worker_environment(sys.argv[1]), cwd='/').returncode)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.db")],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stdout.strip() == str(checkout / "lgt/__init__.py")
    assert ended.returncode == 2 and "--count" in ended.stderr and "Traceback" not in ended.stderr
    assert "MARK" in worker_of(checkout, environment)


def worker_of(checkout: Path, environment: dict[str, str]) -> str:
    """What a worker prints that this checkout starts, when its code prints a word of its own."""
    (checkout / "lgt/cli/__init__.py").write_text("print('MARK')\n")
    code = (
        "import subprocess; from lgt.execution.worker_processes import worker_command, worker_environment\n"
        "subprocess.run(worker_command('--help'), env=worker_environment('x.db'), cwd='/')"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_benchmarks_name_the_cores_that_may_be_used(monkeypatch):
    from benchmarks import document

    monkeypatch.setattr(document, "usable_cores", lambda: 3)
    assert ", 3 cores" in document.machine()
