"""Whether a SQLite file has exactly the tables, indexes and views of a store, and nothing else.

A store may come from somebody else. SQLite runs what a schema contains when a table is read or written: triggers, views
in place of tables, columns that are computed. So a file that has anything else in its schema is not opened. The check
reads only SQLite's list of objects, as text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from lgt.core import bounds
from lgt.store import migrate
from lgt.store.errors import RESTORE, StoreError

Item = tuple[str, str, str]
"""Kind, name and definition of an object, the definition without spaces and quotation marks."""
KNOWN = {
    1: "b156277ad4944ae83ffac5327c03260001e08a958167d00b54d6b70ec2e0b703",
    2: "c7883d1a8e397eb7349bd80cafa8d76e17db6e30bf432dd441d609289d77080b",
    3: "b98be185a0c7a007f37123c13e50244e18148b70b678ad72f973844362abd5bb",
    4: "43e66f4ae5ebce0b97794e50bc814248c26d98744247e9593ef9fffe362cee51",
}  # fmt: skip
"""SHA-256 of the objects of each released schema. It saves building the schema anew for the comparison."""
MOST_OBJECTS, MOST_CHARACTERS = bounds.SCHEMA_OBJECTS.most, 100_000
OF_SQLITE = {
    ("table", "sqlite_sequence", "CREATETABLEsqlite_sequence(name,seq)"),
    ("table", "sqlite_stat1", "CREATETABLEsqlite_stat1(tbl,idx,stat)"),
    ("table", "sqlite_stat4", "CREATETABLEsqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
}
"""Tables that SQLite itself makes. Its indexes for keys have no definition."""


def check_schema(connection: Connection, path: Path, schema: int) -> None:
    """Raise StoreError when the file behind ``connection`` has not exactly the objects of this schema number."""
    found = _objects(connection, path)
    if _digest(found) == KNOWN.get(schema):
        return
    expected = _made_here(schema)
    odd = sorted(item for item in found - expected if item[1] not in {name for _, name, _ in expected})
    if odd:
        raise StoreError(f"{path} is not opened: its {odd[0][0]} {_shown(odd[0][1])} is in no store of this program")
    missing = sorted({name for _, name, _ in expected} - {name for _, name, _ in found})
    if missing:
        raise StoreError(f"{path} is damaged: no table {', '.join(missing)}; {RESTORE}")
    if found != expected:
        kind, name, _ = min(found - expected)
        raise StoreError(f"{path} is not opened: its {kind} {_shown(name)} is defined otherwise than in this program")


def _objects(connection: Connection, path: Path) -> Set[Item]:
    counted = "SELECT count(*), coalesce(sum(length(sql)), 0) FROM sqlite_master"
    count, characters = connection.execute(text(counted)).one()
    if count > MOST_OBJECTS or characters > MOST_CHARACTERS:
        raise StoreError(f"{path} is not opened: its schema has {count} objects; a store has about 30")
    rows = connection.execute(text("SELECT type, name, sql FROM sqlite_master")).all()
    defined = {(str(kind), str(name), _plain(str(sql))) for kind, name, sql in rows if (kind, sql) != ("index", None)}
    return defined - OF_SQLITE


def _plain(definition: str) -> str:
    return "".join(definition.split()).replace('"', "").replace("`", "")


def _digest(objects: Set[Item]) -> str:
    return hashlib.sha256(repr(sorted(objects)).encode("utf-8", "surrogatepass")).hexdigest()


def _shown(name: str) -> str:
    return ascii(name[:60])


@lru_cache
def _made_here(schema: int) -> frozenset[Item]:
    """The objects that this process makes for a schema. Another SQLAlchemy or SQLite may write them otherwise."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrate.upgrade(connection, schema)
        return frozenset(_objects(connection, Path("a new store")))
