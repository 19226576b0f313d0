"""Hostile SQLite files and hostile folders of files, made at random from a good store; the same seed makes the same."""

from __future__ import annotations

import os
import random
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

NAMES = ("x", "runs2", "sqlite_x", "a b", 'q"uote', "semi;colon", "\x1b[31mred", "line\nbreak", "عربى", "\u202eright",
         "x" * 5000, "runs", "accuracy", "RUNS", "sqlite_stat1", "%s", "[x]", "é")  # fmt: skip
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
DEEP = "[" * 100_000 + "]" * 100_000
VALUES: tuple[str, ...] = (
    "NULL", "''", "'text'", "X'00ff'", "-1", "0", "1", "9223372036854775807", "-9223372036854775808", "1e308", "9e999",
    "'NaN'", "'Infinity'", "CAST(X'ff00fe' AS TEXT)", "'a' || char(0) || 'b'", "char(27) || '[2J'", "char(8238) || 'x'",
    "'a' || char(10) || 'b'", "'<img src=x onerror=alert(1)>'", "'![x](http://example.com/x)'", "'=1+1'", "'../../x'",
    "'/etc/passwd'", "'$(touch x)'", "'{}'", "'[]'", "'null'", "'[1,2,3]'", "'{\"a\":1}'", "'{\"schema\":1e999}'",
    f"'{DEEP}'", "zeroblob(1000)", "zeroblob(3000000)", "hex(zeroblob(600000))", "1700000000.5", "4102444800.0", "0.5",
    "'done'", "'running'", "'queued'", "'caprev'", "'no_such_task'", "randomblob(64)", "'2026-01-01'", "1 << 62",
)  # fmt: skip
"""SQL expressions of values that a column may not expect."""


def make(seed: int, good: Path, target: Path) -> str:
    """Make the hostile file ``target`` from the store ``good``; returns what was done, for the message of a failure."""
    chance = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    shutil.copy(good, target)
    return f"seed {seed}: {kind.__name__}: {kind(target, chance)}"


def _execute(path: Path, *statements: str) -> str:
    """Execute what SQLite accepts of ``statements``."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA max_page_count = 10000")  # 40 MB
        for statement in statements:
            with suppress(sqlite3.Error):
                connection.execute(statement)
    return "; ".join(statements)[:300]


def _tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return sorted(name for (name,) in found)


def _columns(path: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def schema(path: Path, chance: random.Random) -> str:
    """Objects that are in no store, or that are defined otherwise."""
    name, table = _quoted(chance.choice(NAMES)), chance.choice(_tables(path))
    column = chance.choice(_columns(path, table))
    return _execute(path, *chance.choice([
        [f"CREATE TRIGGER {name} AFTER INSERT ON {table} BEGIN DELETE FROM runs; END"],
        [f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} BEGIN SELECT load_extension('x'); END"],
        [f"CREATE VIEW {name} AS {ENDLESS}"],
        [f"DROP TABLE {table}", f"CREATE VIEW {table} AS {ENDLESS}"],
        ["DROP VIEW accuracy", f"CREATE VIEW accuracy AS {ENDLESS}"],
        [f"DROP TABLE {table}", f"CREATE TABLE {table} (run_id)"],
        [f"ALTER TABLE {table} ADD COLUMN {name} GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL"],
        [f"ALTER TABLE {table} ADD COLUMN {name} TEXT DEFAULT (hex(randomblob(9)))"],
        [f"ALTER TABLE {table} RENAME COLUMN {column} TO {name}"],
        [f"ALTER TABLE {table} RENAME TO {name}"],
        [f"CREATE TABLE {name} (x)"],
        [f"CREATE VIRTUAL TABLE {name} USING fts5(x)"],
        [f"CREATE INDEX {name} ON {table} ({column})"],
        [f"CREATE UNIQUE INDEX {name} ON {table} (abs({column}))"],
        [f"DROP TABLE {table}"],
        ["DROP VIEW accuracy"],
        [f"CREATE TABLE {name} ({', '.join(f'c{n}' for n in range(chance.choice([3, 900, 1900])))})"],
        [f"CREATE TABLE t{n} (x)" for n in range(chance.choice([5, 200]))],
        [f"CREATE VIEW {name} AS SELECT " + "(" * 400 + "1" + ")" * 400],
    ]))  # fmt: skip


def stored_schema(path: Path, chance: random.Random) -> str:
    """Changes of SQLite's own list of objects, which SQLite believes."""
    table = chance.choice(_tables(path))
    change = chance.choice([
        f"UPDATE sqlite_master SET sql = replace(sql, 'TEXT', 'BLOB') WHERE name = '{table}'",
        f"UPDATE sqlite_master SET sql = sql || char({chance.randrange(256)}) WHERE name = '{table}'",
        f"UPDATE sqlite_master SET sql = substr(sql, 1, {chance.randrange(300)}) WHERE name = '{table}'",
        f"UPDATE sqlite_master SET sql = NULL WHERE name = '{table}'",
        f"UPDATE sqlite_master SET rootpage = {chance.randrange(100_000)} WHERE name = '{table}'",
        f"UPDATE sqlite_master SET rootpage = 2 WHERE rootpage > {chance.randrange(30)}",
        f"UPDATE sqlite_master SET name = {chance.choice(VALUES)} WHERE name = '{table}'",
        f"UPDATE sqlite_master SET tbl_name = {chance.choice(VALUES)} WHERE name = '{table}'",
        f"UPDATE sqlite_master SET type = {chance.choice(VALUES)} WHERE name = '{table}'",
        f"UPDATE sqlite_master SET sql = {chance.choice(VALUES)} WHERE name = '{table}'",
        f"INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, {chance.choice(VALUES)})",
        "INSERT INTO sqlite_master SELECT * FROM sqlite_master",
        f"DELETE FROM sqlite_master WHERE name = '{table}'",
    ])  # fmt: skip
    return _execute(path, "PRAGMA writable_schema = ON", change)


def values(path: Path, chance: random.Random) -> str:
    """Values that a column of a good schema should not have."""
    done = []
    for _ in range(chance.choice([1, 1, 1, 3, 20])):
        table = chance.choice(_tables(path))
        column, value = chance.choice(_columns(path, table)), chance.choice(VALUES)
        where = chance.choice(["", f" WHERE rowid % 3 = {chance.randrange(3)}"])
        done.append(f"UPDATE OR IGNORE {table} SET {_quoted(column)} = {value}{where}")
    return _execute(path, *done)


def rows(path: Path, chance: random.Random) -> str:
    """Rows that are missing, that belong to nothing, or of which there are many."""
    table = chance.choice(_tables(path))
    columns = _columns(path, table)
    new = ", ".join(chance.choice([*VALUES, *columns]) for _ in columns)
    return _execute(path, chance.choice([
        f"DELETE FROM {table}",
        f"DELETE FROM {table} WHERE rowid % 2",
        f"INSERT OR IGNORE INTO {table} SELECT {new} FROM {table}",
        f"INSERT OR REPLACE INTO {table} SELECT {new} FROM {table} LIMIT 1",
        f"INSERT INTO annotations SELECT hex(randomblob(16)), {chance.choice(VALUES)}, {chance.choice(VALUES)}, "
        f"{chance.choice(VALUES)}, 1 FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
        "SELECT i FROM n)",
        "UPDATE runs SET id = id * 4611686018427387904 / 3",
    ]))  # fmt: skip


def settings(path: Path, chance: random.Random) -> str:
    """Numbers in the header: the schema number, the kind of journal, automatic vacuum."""
    number = chance.choice([-1, 0, 1, 2, 3, 4, 99, 2**31 - 1])
    return _execute(path, *chance.choice([
        [f"PRAGMA user_version = {number}"],
        [f"PRAGMA application_id = {number}"],
        [f"UPDATE lgt_schema_version SET version = {chance.choice(VALUES)}"],
        ["PRAGMA journal_mode = WAL"],
        ["PRAGMA auto_vacuum = INCREMENTAL", "VACUUM"],
        [f"PRAGMA page_size = {chance.choice([512, 65536])}", "VACUUM"],
        ["PRAGMA encoding = 'UTF-16'"],
        [f"PRAGMA user_version = {number}", "PRAGMA journal_mode = WAL"],
    ]))  # fmt: skip


def damaged_bytes(path: Path, chance: random.Random) -> str:
    """Bytes that are changed, cut, repeated or added."""
    data = bytearray(path.read_bytes())
    what = chance.choice(["header", "flips", "page", "cut", "grown", "noise", "sparse", "ones"])
    if what == "header":
        for _ in range(chance.choice([1, 4, 40])):
            data[chance.randrange(16, 100)] = chance.randrange(256)
    if what == "flips":
        for _ in range(chance.choice([1, 10, 300])):
            data[chance.randrange(100, len(data))] ^= 1 << chance.randrange(8)
    if what in ("page", "ones"):
        pages = len(data) // 4096
        to, source = chance.randrange(1, pages), chance.randrange(pages)
        filled = b"\xff" * 4096 if what == "ones" else data[source * 4096 : (source + 1) * 4096]
        data[to * 4096 : (to + 1) * 4096] = filled
    if what == "cut":
        del data[chance.randrange(len(data)) :]
    if what == "grown":
        data += chance.randbytes(chance.choice([1, 4096, 100_000]))
    if what == "noise":
        data[100:] = chance.randbytes(100_000)
    path.write_bytes(data)
    if what == "sparse":
        os.truncate(path, chance.choice([2**33, 2**40]))
    return what


def no_file(path: Path, chance: random.Random) -> str:
    """A link, a folder, a pipe or a device in the place of the file."""
    what = chance.choice(["loop", "device", "zeros", "folder", "pipe", "socket", "link to a good store", "nowhere"])
    kept = path.with_name("kept.db")
    path.rename(kept)
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        with closing(socket.socket(socket.AF_UNIX)) as made, suppress(OSError):
            made.bind(str(path))
    else:
        targets = {"loop": path, "device": "/dev/null", "zeros": "/dev/zero", "link to a good store": kept}
        path.symlink_to(targets.get(what, "/nowhere/at/all"))
    return what


def neighbours(path: Path, chance: random.Random) -> str:
    """A journal or a write-ahead log beside the file that belongs to nothing."""
    name = chance.choice(["-journal", "-wal", "-shm"])
    beside = path.with_name(path.name + name)
    what = chance.choice(["noise", "link", "pipe", "folder", "magic"])
    if what == "noise":
        beside.write_bytes(chance.randbytes(5000))
    if what == "magic":
        start = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" if name == "-journal" else b"\x37\x7f\x06\x82"
        beside.write_bytes(start + chance.randbytes(9000))
    if what == "link":
        beside.symlink_to("/dev/zero")
    if what == "pipe":
        os.mkfifo(beside)
    if what == "folder":
        beside.mkdir()
    if name != "-journal":
        data = bytearray(path.read_bytes())
        data[18:20] = b"\x02\x02"  # the header then says that there is a write-ahead log
        path.write_bytes(data)
    return f"{name} {what}"


KINDS: tuple[Callable[[Path, random.Random], str], ...] = (
    values, schema, values, stored_schema, values, rows, values, damaged_bytes, settings, values, no_file, rows,
    neighbours, damaged_bytes,
)  # fmt: skip
"""Wrong values are tried most often: they pass the check of the schema."""


def make_folder(seed: int, folder: Path) -> str:
    """Make the folder of a store's files, which has the weights of a run, hostile; returns what was done."""
    chance = random.Random(seed)
    file = sorted(folder.iterdir())[0]
    kind = FOLDERS[seed % len(FOLDERS)]
    return f"seed {seed}: {kind.__name__}: {kind(folder, file, chance)}"


def other_folder(folder: Path, file: Path, chance: random.Random) -> str:
    """A link, a pipe or a file in the place of the folder; a folder of another user; one that may not be read."""
    kept = folder.with_name("elsewhere")
    what = chance.choice(["link", "loop", "file", "pipe", "owner", "mode", "nowhere", "above"])
    if what == "owner":
        os.chown(folder, 12345, 12345) if os.getuid() == 0 else None
        return what
    if what == "mode":
        folder.chmod(chance.choice([0, 0o400, 0o7777]))
        return what
    folder.rename(kept)
    if what == "file":
        folder.write_bytes(b"x")
    elif what == "pipe":
        os.mkfifo(folder)
    else:
        folder.symlink_to({"link": kept, "loop": folder, "above": folder.parent, "nowhere": "/nowhere/at/all"}[what])
    return what


def other_file(folder: Path, file: Path, chance: random.Random) -> str:
    """Something else in the place of the weights."""
    kept = folder / "kept.safetensors"
    what = chance.choice(
        ["link", "zeros", "pipe", "folder", "socket", "longer", "changed", "none", "huge", "hard link"]
    )
    if what == "longer":
        file.write_bytes(file.read_bytes() + chance.randbytes(9))
    elif what == "changed":
        data = bytearray(file.read_bytes())
        data[chance.randrange(len(data))] ^= 1
        file.write_bytes(data)
    elif what == "huge":
        os.truncate(file, 2**40)
    else:
        file.rename(kept)
    if what in ("link", "zeros"):
        file.symlink_to(kept if what == "link" else "/dev/zero")
    if what == "pipe":
        os.mkfifo(file)
    if what == "folder":
        file.mkdir()
        (file / "inside").write_text("x")
    if what == "hard link":
        os.link(kept, file)
    if what == "socket":
        with closing(socket.socket(socket.AF_UNIX)) as made, suppress(OSError):
            made.bind(str(file))
    return what


def more_files(folder: Path, file: Path, chance: random.Random) -> str:
    """Files of somebody else among ours, with names that are ours, almost ours or neither."""
    places = (lambda path: path.write_text("mine"), lambda path: path.mkdir(), os.mkfifo,
              lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(folder))  # fmt: skip
    stem = f"run-{chance.randrange(5)}-attempt-{chance.randrange(3)}-step-{chance.randrange(99)}"
    names = ("thesis.safetensors", f"{stem}.safetensors", f".{stem}.safetensors.99.new", f"{stem}.safetensors.bak",
             f"x{stem}.safetensors", f"{stem}.safetensors\n", "\x1b[2J", "notes.txt", f"checkpoint-{stem}.safetensors",
             ".lgt-abcdefgh", ".lgt-12-0123abcd.new")  # fmt: skip
    made = []
    for name in chance.sample(names, chance.choice([1, 3, len(names)])):
        if not os.path.lexists(folder / name):
            chance.choice(places)(folder / name)
            made.append(name)
        if chance.random() < 0.7:
            with suppress(OSError, NotImplementedError):
                os.utime(folder / name, (1, 1), follow_symlinks=False)
    return repr(made)


def named_otherwise(folder: Path, file: Path, chance: random.Random) -> str:
    """A row of the store that names another file."""
    value = chance.choice([*VALUES, "'../theirs.db'", "'notes.txt'", "'.'", "'..'", f"'{'x' * 300}'", "'/dev/zero'"])
    column = chance.choice(["uri", "uri", "size", "sha256", "coding"])
    store = folder.with_name(folder.name.removesuffix(".files"))
    (folder / "notes.txt").write_text("mine")
    return _execute(store, f"UPDATE checkpoints SET {column} = {value}")


FOLDERS: tuple[Callable[[Path, Path, random.Random], str], ...] = (
    other_file,
    other_folder,
    more_files,
    named_otherwise,
)
