"""Takes hostile stores and folders through all entry points. A program that tests/faults/test_fuzz.py runs:
``python -m tests.faults.fuzzing {stores,folders} GOOD PLACE FIRST LAST``. Prints one line for each fault and, at the
end, how many cases were tried. The process has a limit of memory, and is ended with its stack when a case hangs."""

from __future__ import annotations

import faulthandler
import io
import re
import resource
import shutil
import sqlite3
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from pathlib import Path

from lgt.cli import main
from lgt.store import (
    backup,
    blobs,
    checkpoints,
    dropped,
    integrity,
    leases,
    merge,
    opening,
    queries,
    queue,
    tags,
    writes,
)
from lgt.store.engine import open_store
from lgt.store.errors import StoreError
from lgt.store.stored_runs import check_store
from tests.faults import hostile_files

MEMORY = 3 * 2**30
"""Address space in bytes. A process that has opened a good store needs about a third of it."""
HANGS = 120
"""Seconds after which a case counts as one that never ends. The slowest take a few seconds."""
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
LONGEST_LINE = 1_000
LARGEST_FILE = 256 * 2**20
"""In bytes. A case whose files become larger than this fills the disk."""
Fault = str


def limit_files(limited: bool) -> None:
    """Let no file of this process become larger than LARGEST_FILE, or lift that."""
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (LARGEST_FILE if limited else resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )


def run(arguments: list[str]) -> Iterator[Fault]:
    """Run a command as a user does."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main.main(arguments)
        code = 0
    except SystemExit as error:
        code = error.code
    if code not in (0, 1, 2):
        yield f"{arguments[0]} ended with {code!r}"
    if code == 2 and not err.getvalue().endswith("\n"):  # lines before the last one name runs that are left out
        yield f"{arguments[0]} said {err.getvalue()[:300]!r}"
    yield from said(arguments[0], out.getvalue() + err.getvalue())


def said(where: str, text: str) -> Iterator[Fault]:
    """Faults of what a command or a message says."""
    for line in text.split("\n"):
        if FORBIDDEN.search(line):
            yield f"{where} said {line[:300]!r}"
    if "Traceback" in text:
        yield f"{where} said {text[-300:]!r}"


def asked(where: str, ask: Callable[[], object]) -> Iterator[Fault]:
    """Call a function of the store, which may refuse with one line."""
    try:
        ask()
    except StoreError as error:
        if "\n" in str(error) or len(str(error)) > LONGEST_LINE:
            yield f"{where} said {str(error)[:300]!r}"
        yield from said(where, str(error))


def read_everything(library: object) -> None:
    """What the pages read."""
    runs = queries.runs(library)  # type: ignore[arg-type]
    ids = runs.id.tolist()
    for read in (queries.final_accuracy, queries.finished_by_hash, queries.unsuccessful_by_hash, queries.ended_seeds):
        read(library)  # type: ignore[operator]
    for read in (queries.accuracy, queries.head_scores, queries.attention_differences, queries.training_log):
        read(library, ids)  # type: ignore[operator]
    for number in ids:
        queries.run(library, number)  # type: ignore[arg-type]
        with suppress(StoreError):
            checkpoints.read_checkpoint(library, number)  # type: ignore[arg-type]


def own_runs(path: Path) -> list[tuple[object, ...]]:
    """The own runs and their accuracies, as SQLite has them."""
    with closing(sqlite3.connect(path)) as connection:
        runs = connection.execute(
            "SELECT uuid, state, label, config_hash, finished_at FROM runs WHERE id <= 3"
        ).fetchall()
        counts = connection.execute("SELECT * FROM accuracy_counts WHERE run_id <= 3").fetchall()
    return sorted(map(repr, runs + counts))


def of_a_store(path: Path, mine: Path) -> Iterator[Fault]:
    """All ways in which a store of somebody else comes in, and in which a damaged own one is used."""
    place = path.parent
    before = own_runs(mine)
    opened = opening.open_library([("shipped", str(mine)), ("theirs", str(path))])
    if len(opened.library.members) + len(opened.problems) != 2 or opened.library.members[0].name != "shipped":
        yield "the other store is not opened"
    yield from said("opening", "\n".join(opened.problems))
    read_everything(opened.library)
    with suppress(StoreError, OSError):
        if stat.S_ISREG(path.lstat().st_mode) and path.stat().st_size < 2**26:
            kept = dropped.keep(path.read_bytes())
            opening.open_library([("dropped", str(kept))])
    yield from run(["doctor", "--database", str(mine), "--also", str(path)])
    yield from run(["merge", str(path), "--database", str(mine)])
    if own_runs(mine) != before:
        yield "a merge changed own runs"
    check_store(open_store(str(mine), read_only=True))
    if integrity.integrity(open_store(str(mine), read_only=True)):
        yield "a merge damaged the own store"
    yield from run(["runs", "--database", str(path)])
    yield from run(["show", "1", "--database", str(path)])
    yield from run(["claims", "--database", str(path)])
    yield from run(["export", str(place / "out"), "--database", str(path)])
    yield from run(["backup", str(place / "backup.db"), "--database", str(path)])
    yield from asked("a note", lambda: tags.set_note(open_store(str(path), create=False), [1], "mine"))
    yield from asked("a claim", lambda: queue.claim(open_store(str(path), create=False), "me", "cpu", code_version="1"))
    yield from run(["retry", "1", "--database", str(path)])
    yield from run(["thin", "--database", str(path)])
    yield from run(["restore", str(path), "--database", str(mine)])
    if mine.exists():
        open_store(str(mine), read_only=True)


def of_a_folder(path: Path, mine: Path) -> Iterator[Fault]:
    """All ways in which the files beside a store are read, written and removed."""
    folder = Path(f"{path}.files")
    before = foreign(path.parent)
    yield from asked("reading", lambda: read_everything(open_store(str(path), read_only=True)))
    yield from run(["doctor", "--database", str(mine), "--also", str(path)])
    yield from run(["merge", str(path), "--database", str(mine)])
    yield from run(["backup", str(path.with_name("backup.db")), "--database", str(path)])
    yield from run(["export", str(path.with_name("out")), "--database", str(path)])
    yield from run(["restore", str(path), "--database", str(path.with_name("new.db"))])
    store = open_store(str(path), create=False)
    yield from asked("a state", lambda: write_a_state(store))
    yield from asked("cleaning", lambda: blobs.remove_orphans(store, 0.0))
    yield from asked("a deletion", lambda: writes.delete_runs(store, [1]))
    yield from asked("a merge into it", lambda: merge.merge(store, str(mine)))
    yield from asked("a backup", lambda: backup.backup(store, path.with_name("backup2.db")))
    after = foreign(path.parent)
    for name, found in before.items():
        if after.get(name) != found:
            yield f"{name!r} was {found!r} and is {after.get(name)!r}"
    if folder.is_dir() and not folder.is_symlink():
        folder.chmod(0o700)  # so that it can be removed


def write_a_state(store: object) -> None:
    """A worker takes the waiting run, stores its state and gives it back."""
    claimed = queue.claim(store, "me", "cpu", code_version="1")  # type: ignore[arg-type]
    if claimed is not None:
        leases.save_state(store, *claimed, 1, b"state", "1")  # type: ignore[arg-type]
        leases.release_run(store, *claimed)  # type: ignore[arg-type]


def foreign(place: Path) -> dict[str, object]:
    """What is there that no store made: everything except stores and files with our names."""
    found: dict[str, object] = {}
    for path in sorted(place.rglob("*")):
        ours = blobs.OWN_NAME.fullmatch(path.name) or path.suffix in (".db", ".files") or "out" in path.parts
        if ours or path.name.startswith("mine.db") or ".lgt-" in str(path):
            continue
        status = path.lstat()
        found[str(path.relative_to(place))] = (
            path.read_text() if stat.S_ISREG(status.st_mode) and path.stat().st_size < 99 else status.st_mode
        )
    return found


def cases(kind: str, good: Path, place: Path, numbers: range) -> Iterator[Fault]:
    """Make each case in a folder of its own and yield its faults."""
    for seed in numbers:
        folder = place / str(seed)
        folder.mkdir()
        mine = Path(shutil.copy(good, folder / "mine.db"))
        with closing(sqlite3.connect(mine)) as connection:
            connection.execute("UPDATE runs SET uuid = substr(uuid, 1, 35) || 'f'")  # the own runs are other runs
            connection.commit()
        if Path(f"{good}.files").exists():
            shutil.copytree(f"{good}.files", f"{mine}.files")
        path = folder / "theirs.db"
        faulthandler.dump_traceback_later(HANGS, exit=True)
        limit_files(False)
        if kind == "stores":
            what = hostile_files.make(seed, good, path)
        else:
            shutil.copy(good, path)
            shutil.copytree(f"{good}.files", f"{path}.files")
            what = hostile_files.make_folder(seed, Path(f"{path}.files"))
        print(what[:200], file=sys.stderr, flush=True)
        limit_files(True)
        try:
            for fault in (of_a_store if kind == "stores" else of_a_folder)(path, mine):
                yield f"{what}: {fault}"
        except BaseException:
            yield f"{what}: {traceback.format_exc()[-1500:]!r}"
        finally:
            limit_files(False)  # a test may try cases in the process of other tests
        faulthandler.cancel_dump_traceback_later()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    kind, good, place, first, last = sys.argv[1:]
    for line in cases(kind, Path(good), Path(place), range(int(first), int(last))):
        print("FAULT", line, flush=True)
    print("tried", int(last) - int(first))
