"""The cache belongs to one user: every level is private whatever the umask is, and nothing is followed or shared."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from lgt.core import paths
from lgt.core.checks import ConfigError
from lgt.execution.worker_processes import worker_environment
from lgt.store import locations
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners and modes say nothing on Windows")
LEVELS = ("cache", "cache/workers", "cache/workers/3f")


@pytest.fixture()
def cache(tmp_path, monkeypatch):
    """The path of a cache that does not exist yet; temporary files are beside it."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    forget()


def forget() -> None:
    paths.process_folder.cache_clear()
    paths._say_once.cache_clear()


def mode(folder: Path) -> int:
    return folder.lstat().st_mode & 0o7777


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o007, 0o022, 0o077, 0o277])
def test_every_level_is_private_under_any_umask(umask, cache, monkeypatch):
    monkeypatch.setenv("LGT_CACHE", str(cache.parent / "above" / "cache"))
    before = os.umask(umask)
    try:
        made = paths.own_folder("workers/3f")
    finally:
        os.umask(before)
    assert made == cache.parent / "above/cache/workers/3f"
    assert [mode(folder) for folder in (made, *list(made.parents)[:3])] == [0o700] * 4


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("open_to_others", [0o775, 0o777, 0o770, 0o702])
def test_an_own_folder_that_others_can_write_is_closed_and_used(level, open_to_others, cache, caplog):
    made = paths.own_folder("workers/3f")
    (cache.parent / level).chmod(open_to_others)
    assert paths.own_folder("workers/3f") == made and mode(cache.parent / level) == 0o700 and caplog.text == ""


def test_a_folder_that_others_can_only_read_stays_as_its_owner_made_it(cache):
    cache.mkdir(mode=0o755)
    cache.chmod(0o755)
    assert paths.own_folder("code") == cache / "code" and mode(cache) == 0o755 and mode(cache / "code") == 0o700


def refused(caplog, cache: Path, level: str) -> None:
    """The folder is not used: one line names its cause and LGT_CACHE, and the folder of the process is used instead."""
    for _ in range(3):
        used = paths.own_folder("workers/3f")
    assert used.parent.parent == paths.process_folder() and mode(used) == mode(paths.process_folder()) == 0o700
    assert paths.process_folder().parent == cache.parent / "tmp"
    (record,) = caplog.records
    assert record.message.startswith(f"{cache.parent / level} ") and "set LGT_CACHE" in record.message
    assert "\n" not in record.message


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("where", ["own folder", "nowhere"])
def test_a_link_is_refused_at_every_level(level, where, cache, caplog, tmp_path):
    target = tmp_path / "target"
    if where == "own folder":
        target.mkdir(mode=0o700)
        (target / "workers" / "3f").mkdir(parents=True)
    (tmp_path / level).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / level).symlink_to(target)
    before = sorted(tmp_path.rglob("*"))
    refused(caplog, cache, level)
    assert [path for path in sorted(tmp_path.rglob("*")) if tmp_path / "tmp" not in path.parents] == [
        path for path in before if tmp_path / "tmp" not in path.parents
    ], "nothing was made behind the link"


@pytest.mark.parametrize("level", LEVELS)
def test_another_user_s_folder_is_refused_at_every_level(level, cache, caplog, monkeypatch):
    paths.own_folder("workers/3f")
    strange, real = cache.parent / level, Path.lstat

    def lstat(path: Path):
        status = real(path)
        return SimpleNamespace(st_mode=status.st_mode, st_uid=54321) if path == strange else status

    monkeypatch.setattr(Path, "lstat", lstat)
    refused(caplog, cache, level)


@pytest.mark.parametrize("level", LEVELS)
def test_a_file_and_a_folder_that_is_shared_by_design_are_refused(level, cache, caplog):
    (cache.parent / level).parent.mkdir(parents=True, exist_ok=True)
    (cache.parent / level).mkdir()
    (cache.parent / level).chmod(0o1777)  # as /tmp: LGT_CACHE=/tmp must not close it to others
    refused(caplog, cache, level)
    assert mode(cache.parent / level) == 0o1777
    forget()
    caplog.clear()
    (cache.parent / level).rmdir()
    (cache.parent / level).touch()
    refused(caplog, cache, level)


@pytest.mark.parametrize("what", ["link", "file of another user"])
def test_an_open_folder_in_which_others_put_something_is_refused_and_stays_as_it_is(what, cache, caplog, monkeypatch):
    folder = paths.own_folder("workers/3f")
    planted = folder / "slot-0"
    if what == "link":
        planted.symlink_to(cache.parent / "precious")
    elif os.getuid() == 0:
        planted.touch()
        os.chown(planted, 54321, 54321)
    else:
        pytest.skip("only root can make a file of another user")
    folder.chmod(0o777)
    refused(caplog, cache, "cache/workers/3f")
    assert mode(folder) == 0o777 and os.path.lexists(planted) and "'slot-0'" in caplog.text


def test_only_plain_files_that_this_user_alone_can_write_are_own(tmp_path):
    file = tmp_path / "file"
    file.touch(0o600)
    (tmp_path / "link").symlink_to(file)
    assert paths.is_own_file(file) and not paths.is_own_file(tmp_path / "link") and not paths.is_own_file(tmp_path)
    for more in (0o020, 0o002):
        file.chmod(0o644 | more)
        assert not paths.is_own_file(file)
    file.chmod(0o644)
    assert paths.is_own_file(file)
    if os.getuid() == 0:
        os.chown(file, 54321, 54321)
        assert not paths.is_own_file(file)


@pytest.mark.parametrize("home", ["not set", "missing", "a file", "read-only"])
def test_without_a_usable_home_each_process_has_a_folder_that_it_removes(home, tmp_path):
    (tmp_path / "a file").touch()
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path / home)}
    for name in ("LGT_CACHE", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    if home == "not set":
        environment["HOME"] = "/"  # what the system gives to a user without one
    if home == "read-only":
        environment["HOME"] = "/proc" if Path("/proc").is_dir() else "/dev"
    code = (
        "from lgt.core import paths; folder = paths.own_folder('code')\n"
        "print(folder, paths.own_folder('workers').parent, oct(folder.lstat().st_mode))"
    )
    said = [subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
            for _ in range(2)]  # fmt: skip
    first, second = (one.stdout.split() for one in said)
    assert first[0] == f"{first[1]}/code" and Path(first[0]).parents[1] == tmp_path / "tmp" and first[2] == "0o40700"
    assert first[0] != second[0], "no name that another user could guess and take first"
    assert list((tmp_path / "tmp").iterdir()) == [], "both are removed"
    for one in said:
        assert one.stderr.count("\n") == 1 and "set LGT_CACHE" in one.stderr, one.stderr


def test_workers_use_the_folder_of_the_process_that_starts_them(cache, monkeypatch):
    assert worker_environment("x.db")["LGT_CACHE"] == str(cache)
    cache.joinpath("workers").rmdir()
    cache.joinpath("workers").symlink_to(cache)
    assert worker_environment("x.db")["LGT_CACHE"] == str(paths.process_folder())


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can make another user's folder")
def test_a_workspace_among_temporary_files_is_not_taken_from_another_user(cache, monkeypatch):
    monkeypatch.delenv("LGT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("/"))
    folder = paths.temporary_folder()
    assert locations.data_directory() == folder and not folder.exists()
    folder.mkdir(0o700)
    assert locations.data_directory() == folder
    os.chown(folder, 54321, 54321)
    for asked in (locations.data_directory, paths.cache_directory):
        with pytest.raises(ConfigError, match=r"HOME: .* belongs to another user"):
            asked()
    assert paths.own_folder("code").parent == paths.process_folder()
    folder.rmdir()
    folder.symlink_to(cache)
    with pytest.raises(ConfigError, match="is a link"):
        locations.data_directory()
