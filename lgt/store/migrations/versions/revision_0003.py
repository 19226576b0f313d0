"""Schema 3: measurements packed by run, step and task; config texts shared by seeds; uuids; views with the old names.

All rows move in one transaction, one run, step and task at a time. The format of the packed columns, the sharing of
configs, the coding of weights and the views are modules of their own (:mod:`lgt.store.packing`,
:mod:`lgt.store.packed_rows`, :mod:`lgt.store.configs`, :mod:`lgt.store.coding`,
:mod:`lgt.store.migrations.schema_3_views`), whose format never changes: a test compares it with stored bytes.

Measurements of a task that is not one of its run's tasks are left out: no page, command or export by task showed them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from lgt.store import coding, configs, packed_rows, packing
from lgt.store.migrations import schema_3_views as views

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAMESPACE = uuid.UUID("0b6a5d0e-8f1d-4f0c-9c53-3f6f6a3c1d27")
IDENTITY = ("config_hash", "code_version", "device", "created_at", "finished_at")
"""Columns that no two runs share. They decide the uuid of a run from before this schema, wherever it is migrated."""
IMPORT_TOKEN = "import:"
OLD = ("runs", "run_tasks", "accuracy", "head_scores", "attention_differences", "training_log", "checkpoints",
       "training_states", "interventions")  # fmt: skip
AT_ONCE = 200
Row = Mapping[str, Any]


def upgrade() -> None:
    """Rename the old tables, create the new ones, move the rows, delete the old tables, create the views."""
    _rename_old_tables()
    _create_runs()
    _create_measurements()
    _create_lists()
    lists = _move_rows(op.get_bind())
    _fill_lists(lists)
    for name in reversed(OLD):
        op.drop_table(f"old_{name}")
    for statement in views.create_views(op.get_bind().dialect.name):
        op.execute(statement)


# --- tables


def _rename_old_tables() -> None:
    """SQLite lets the renamed tables refer to each other by the new names. PostgreSQL keeps names of constraints."""
    for name in ("config_hash", "state", "task_group_arm_preset"):
        op.drop_index(f"ix_runs_{name}", table_name="runs")
    for name in OLD:
        op.rename_table(name, f"old_{name}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE old_runs DROP CONSTRAINT uq_runs_token")
        for name in OLD:
            op.execute(f"ALTER TABLE old_{name} DROP CONSTRAINT pk_{name} CASCADE")


def _integer(name: str, nullable: bool = False, default: str | None = None) -> sa.Column[int]:
    server = sa.text(default) if default else None
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=nullable, server_default=server)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text(name: str, nullable: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=sa.text(default) if default else None)


def _real(name: str, nullable: bool = True) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _bytes(name: str, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _keyed(name: str, *columns: sa.schema.SchemaItem, keys: list[str]) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}"), sqlite_with_rowid=False)


def _of_run(name: str, *columns: sa.schema.SchemaItem, keys: Iterable[str] = (), compact: bool = True) -> None:
    op.create_table(
        name,
        _integer("run_id"),
        *columns,
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{name}_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", *keys, name=f"pk_{name}"),
        sqlite_with_rowid=not compact,
    )


def _create_runs() -> None:
    _keyed("configs", _text("key"), _text("config"), keys=["key"])
    texts = ("task_group", "arm", "preset", "config_key", "config_hash", "code_version")
    columns: list[sa.Column[Any]] = [
        *(_text("uuid"), _text("origin", default="'trained'"), _text("token", nullable=True), _text("label")),
        *(_text("experiment", nullable=True), *(_text(name) for name in texts)),
        *(_big("model_seed"), _big("data_seed")),
        *(_text("position"), _text("state"), _integer("attempt"), _text("owner", nullable=True)),
        *(_real("lease_until"), _real("heartbeat_at"), _integer("lost_workers", default="0"), _integer("step")),
        *(_integer("total_steps"), _big("tokens"), _real("seconds", nullable=False), _text("device", nullable=True)),
        *(_text("error", nullable=True), _text("log_tail", nullable=True), _text("notes"), _text("tags")),
        *(_real("tags_at"), _real("notes_at"), _real("created_at", nullable=False)),
        *(_real("started_at"), _real("finished_at")),
    ]
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["config_key"], ["configs.key"], name="fk_runs_config_key"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("token", name="uq_runs_token"),
        sa.UniqueConstraint("uuid", name="uq_runs_uuid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_config_hash", "runs", ["config_hash"])
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_index("ix_runs_task_group_arm_preset", "runs", ["task_group", "arm", "preset"])
    _keyed("annotations", _text("run_uuid"), _text("tags"), _text("notes"), _real("tags_at"), _real("notes_at"),
           keys=["run_uuid"])  # fmt: skip
    _keyed("deleted_runs", _text("uuid"), _real("deleted_at", nullable=False), keys=["uuid"])


def _create_measurements() -> None:
    grid = ("lengths", "layers", "heads")

    def cells() -> list[sa.Column[Any]]:
        return [_text(grid[0]), _integer(grid[1]), _integer(grid[2])]

    _of_run("run_tasks", _integer("slot"), _text("task"), _text("role"), _integer("training_length"),
            _integer("transfer_length", nullable=True), keys=["slot"])  # fmt: skip
    _of_run("accuracy_counts", _integer("step"), _integer("slot"), _text("lengths"), _text("totals"), _bytes("correct"),
            keys=["step", "slot"])  # fmt: skip
    _of_run("head_maps", _integer("step"), _integer("slot"), *cells(), _text("examples"), _bytes("lost", nullable=True),
            _bytes("drops", nullable=True), _bytes("loss_rises"), keys=["step", "slot"], compact=False)  # fmt: skip
    _of_run("attention_maps", _integer("step"), _integer("slot_a"), _integer("slot_b"), *cells(), _bytes("differences"),
            keys=["step", "slot_a", "slot_b"], compact=False)  # fmt: skip
    _of_run("log_rows", _integer("step"), *map(_real, packed_rows.LOGGED), keys=["step"])
    _of_run("packed_logs", _text("steps"), *map(_bytes, packed_rows.LOGGED.values()), compact=False)
    _of_run("checkpoints", _integer("step"), _text("sha256"), _big("size"), _text("coding", default="''"),
            _bytes("weights", nullable=True), _text("uri", nullable=True), keys=["step"], compact=False)  # fmt: skip
    _of_run("training_states", sa.Column("step", sa.Integer(), nullable=False), _text("file"), _text("sha256"),
            _big("size"), _text("code_version"))  # fmt: skip
    counts = sa.CheckConstraint("correct >= 0 AND correct <= total", name=op.f("ck_interventions_counts"))
    _of_run("interventions", _integer("step"), *(_text(name) for name in ("kind", "task", "zone", "heads")),
            *(_integer(name) for name in ("draw", "correct", "total")), counts,
            keys=["step", "kind", "task", "zone", "heads", "draw"])  # fmt: skip


def _create_lists() -> None:
    _keyed("number_lists", _text("list"), *(_integer(name) for name in ("start", "stop", "number", "rise")),
           keys=["list", "start"])  # fmt: skip
    op.create_table(
        "numbers", _integer("number"), _real("power", nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_numbers"),
    )  # fmt: skip


# --- rows


def _move_rows(connection: sa.Connection) -> set[str]:
    """Move the rows of every table; returns the lists that the new rows name."""
    slots = _move_runs(connection)
    lists: set[str] = set()

    def lists_of(kind: packed_rows.Kind, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            lists.update(row[name] for name in kind.lists)
            yield row

    for target, rows, kind in (
        ("accuracy_counts", _accuracy(connection, slots), packed_rows.ACCURACY),
        ("head_maps", _head_maps(connection, slots), packed_rows.MAP),
        ("attention_maps", _attention_maps(connection, slots), packed_rows.ATTENTION),
        ("packed_logs", _logs(connection), packed_rows.LOG),
    ):
        _insert(connection, target, lists_of(kind, rows))
    columns = "run_id, step, loss, learning_rate, tokens_per_second"
    op.execute(f"INSERT INTO log_rows ({columns}) SELECT {columns} FROM old_training_log WHERE run_id IN "
               f"(SELECT id FROM runs WHERE {_ended('state', not_=True)})")  # fmt: skip
    _move_checkpoints(connection)
    for name in ("training_states", "interventions"):
        columns = ", ".join(column["name"] for column in sa.inspect(connection).get_columns(f"old_{name}"))
        op.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM old_{name}")
    return lists


def _ended(column: str, not_: bool = False) -> str:
    return f"{column} {'NOT ' if not_ else ''}IN ('done', 'failed', 'cancelled')"


def _rows(connection: sa.Connection, sql: str) -> Iterator[Row]:
    """The rows of a query, a few at a time."""
    for row in connection.execute(sa.text(sql), execution_options={"yield_per": 1000}):
        yield dict(row._mapping)


def _insert(connection: sa.Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows, a few hundred at a time."""
    waiting: list[Row] = []
    statement = sa.text("")
    for row in rows:
        if not waiting:
            names = list(row)
            marks = ", ".join(f":{name}" for name in names)
            statement = sa.text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})")
        waiting.append(dict(row))
        if len(waiting) == AT_ONCE:
            connection.execute(statement, waiting)
            waiting = []
    if waiting:
        connection.execute(statement, waiting)


def _move_runs(connection: sa.Connection) -> dict[int, dict[str, int]]:
    """Move runs, their tasks and configs; returns the slots of each run's tasks."""
    tasks: dict[int, list[Row]] = {}
    for row in _rows(connection, "SELECT * FROM old_run_tasks ORDER BY run_id, task"):
        tasks.setdefault(row["run_id"], []).append(row)
    texts: dict[str, str] = {}
    known: set[str] = set()
    ordered = {}
    runs = []
    for row in _rows(connection, "SELECT * FROM old_runs ORDER BY id"):
        key, texts[key] = configs.shared_text(row["config"], row["model_seed"], row["data_seed"])
        ordered[row["id"]] = _in_order(tasks.get(row["id"], []), row["config"])
        identity = _uuid(row, known)
        known.add(identity)
        kept = {name: value for name, value in row.items() if name != "config"}
        origin = "imported" if row["preset"] == "imported" else "trained"
        runs.append(kept | {"uuid": identity, "origin": origin, "config_key": key, "tags_at": None, "notes_at": None})
    _insert(connection, "configs", ({"key": key, "config": text} for key, text in texts.items()))
    _insert(connection, "runs", runs)
    _keep_next_id(connection)
    _insert(connection, "run_tasks", (dict(row) | {"slot": slot} for of in ordered.values()
                                      for slot, row in enumerate(of)))  # fmt: skip
    return {run_id: {row["task"]: slot for slot, row in enumerate(of)} for run_id, of in ordered.items()}


def _in_order(tasks: list[Row], config: str) -> list[Row]:
    """The main task, then the others in the order of the config."""
    try:
        named = [spec["task"] for spec in json.loads(config)["tasks"]]
    except (ValueError, TypeError, KeyError):
        named = []
    place = {task: number for number, task in enumerate(named)}
    return sorted(tasks, key=lambda row: (row["role"] != "main", place.get(row["task"], len(place))))


def _uuid(run: Row, known: set[str]) -> str:
    """The identity of an import is its uuid; else it follows from the row."""
    token = str(run["token"] or "")
    if token.startswith(IMPORT_TOKEN) and token.removeprefix(IMPORT_TOKEN) not in known:
        return token.removeprefix(IMPORT_TOKEN)
    text = json.dumps([run[name] for name in IDENTITY], separators=(",", ":"))
    found = str(uuid.uuid5(NAMESPACE, text))
    return found if found not in known else str(uuid.uuid5(NAMESPACE, f"{text}{run['id']}"))


def _keep_next_id(connection: sa.Connection) -> None:
    """Ids of deleted runs are not used again."""
    if connection.dialect.name == "sqlite":
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'runs'")
        op.execute("INSERT INTO sqlite_sequence (name, seq) SELECT 'runs', seq FROM sqlite_sequence "
                   "WHERE name = 'old_runs'")  # fmt: skip
        return
    old = connection.scalar(sa.text("SELECT pg_get_serial_sequence('old_runs', 'id')"))
    op.execute(f"SELECT setval(pg_get_serial_sequence('runs', 'id'), last_value, is_called) FROM {old}")


def _groups(rows: Iterator[Row], *names: str) -> Iterator[tuple[tuple[Any, ...], list[Row]]]:
    for key, of in groupby(rows, key=lambda row: tuple(row[name] for name in names)):
        yield key, list(of)


def _packed(kind: packed_rows.Kind, rows: list[Row]) -> dict[str, Any]:
    return kind.merged(None, packed_rows.columns_of(kind, {name: [row[name] for row in rows] for name in kind.columns}))


def _accuracy(connection: sa.Connection, slots: dict[int, dict[str, int]]) -> Iterator[Row]:
    rows = _rows(connection, "SELECT * FROM old_accuracy ORDER BY run_id, step, task, length")
    for (run_id, step, task), of in _groups(rows, "run_id", "step", "task"):
        if task in slots.get(run_id, ()):
            yield {"run_id": run_id, "step": step, "slot": slots[run_id][task]} | _packed(packed_rows.ACCURACY, of)


def _head_maps(connection: sa.Connection, slots: dict[int, dict[str, int]]) -> Iterator[Row]:
    rows = _rows(connection, "SELECT * FROM old_head_scores ORDER BY run_id, step, task, length, layer, head")
    for (run_id, step, task), of in _groups(rows, "run_id", "step", "task"):
        if task in slots.get(run_id, ()):
            yield {"run_id": run_id, "step": step, "slot": slots[run_id][task]} | _packed(packed_rows.MAP, of)


def _attention_maps(connection: sa.Connection, slots: dict[int, dict[str, int]]) -> Iterator[Row]:
    order = "run_id, step, task_a, task_b, length, layer, head"
    rows = _rows(connection, f"SELECT * FROM old_attention_differences ORDER BY {order}")
    for (run_id, step, *pair), of in _groups(rows, "run_id", "step", "task_a", "task_b"):
        own = slots.get(run_id, {})
        if all(task in own for task in pair):
            key = {"run_id": run_id, "step": step, "slot_a": own[pair[0]], "slot_b": own[pair[1]]}
            yield key | _packed(packed_rows.ATTENTION, of)


def _logs(connection: sa.Connection) -> Iterator[Row]:
    runs = f"(SELECT id FROM runs WHERE {_ended('state')})"
    rows = _rows(connection, f"SELECT * FROM old_training_log WHERE run_id IN {runs} ORDER BY run_id, step")
    for (run_id,), of in _groups(rows, "run_id"):
        yield {"run_id": run_id} | _packed(packed_rows.LOG, of)


def _move_checkpoints(connection: sa.Connection) -> None:
    """One at a time, because weights are large."""
    keys = connection.execute(sa.text("SELECT run_id, step FROM old_checkpoints ORDER BY run_id, step")).all()
    one = sa.text("SELECT * FROM old_checkpoints WHERE run_id = :run_id AND step = :step")
    for run_id, step in keys:
        row = dict(connection.execute(one, {"run_id": run_id, "step": step}).mappings().one())
        how, stored = coding.PLAIN, row["weights"]
        if isinstance(stored, bytes):
            how, stored = coding.encoded(stored)
        _insert(connection, "checkpoints", [row | {"coding": how, "weights": stored}])


def _fill_lists(lists: Iterable[str]) -> None:
    connection = op.get_bind()
    _insert(connection, "number_lists", ({"list": text} | piece._asdict() for text in sorted(lists)
                                         for piece in packing.pieces(text)))  # fmt: skip
    _insert(connection, "numbers", ({"number": number, "power": 2.0 ** (number + views.SMALLEST_POWER)}
                                    for number in range(views.NUMBERS)))  # fmt: skip
