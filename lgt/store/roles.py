"""Three roles of a PostgreSQL store, so that nobody needs more rights than the work: reading, submitting, working.

:data:`RIGHTS` says what each role may do with each table, and :func:`script` makes the SQL from it. The owner of the
store runs the script once, and again after each upgrade of the schema. A right that is not named there is refused by
the server, whatever program asks. docs/STORE.md describes the roles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, text

from lgt.store.schema import (
    MEASURED_TABLES,
    VERSION_TABLE,
    VIEWS,
    Annotation,
    Base,
    Config,
    DeletedRun,
    Number,
    NumberList,
    Run,
    RunTask,
    StoreState,
    TrainingState,
    column_names,
)

READING, SUBMITTING, WORKING = "lgt_reading", "lgt_submitting", "lgt_working"
ROLES = (READING, SUBMITTING, WORKING)
"""Submitting and working include reading. None of them can log in: people and workers get logins that are members."""

REMARKS = ("tags", "tags_at", "notes", "notes_at")
SET_BY_WORKERS = ("id", "device", "error", "log_tail", "started_at", "finished_at", "tags_at", "notes_at")
NEW_RUN = tuple(name for name in column_names(Run) if name not in SET_BY_WORKERS)
"""The columns that are given when a run is queued; the server numbers it."""
QUEUE = ("state", "error", "owner", "lease_until", "heartbeat_at", "finished_at", "lost_workers", "log_tail")
"""The columns of a run that a cancel and a retry change."""
WORK = (
    "state", "attempt", "owner", "device", "started_at", "finished_at", "error", "log_tail", "lease_until",
    "heartbeat_at", "code_version", "lost_workers", "step", "tokens", "seconds",
)  # fmt: skip
"""The columns of a run that a worker changes."""
FIXED = tuple(name for name in column_names(Run) if name not in REMARKS)
"""The columns of a finished run that only the owner of the store can change."""

Right = tuple[str, tuple[str, ...]]
"""INSERT, UPDATE or DELETE, and the columns; without columns, all of them."""
WRITE: tuple[Right, ...] = (("INSERT", ()), ("UPDATE", ()), ("DELETE", ()))
REVISION: tuple[Right, ...] = (("UPDATE", ("revision",)),)
RIGHTS: Mapping[type[Base], Mapping[str, Sequence[Right]]] = {
    Run: {SUBMITTING: (("INSERT", NEW_RUN), ("UPDATE", (*QUEUE, *REMARKS))), WORKING: (("UPDATE", WORK),)},
    Config: {SUBMITTING: (("INSERT", ()),)},
    RunTask: {SUBMITTING: (("INSERT", ()),)},
    Annotation: {SUBMITTING: (("INSERT", ()), ("UPDATE", REMARKS))},
    StoreState: {SUBMITTING: REVISION, WORKING: REVISION},
    **{table: {WORKING: WRITE} for table in MEASURED_TABLES},
    TrainingState: {WORKING: WRITE},
    NumberList: {WORKING: (("INSERT", ()),)},
    Number: {},
    DeletedRun: {},
}
"""What a role may do with a table besides reading it. Every table of the schema is here (tested)."""


def may(connection: Connection, right: str, table: type[Base]) -> bool:
    """Whether the database's user has this right to all columns of ``table``. Always true for a SQLite file."""
    if connection.dialect.name == "sqlite":
        return True
    asked = text("SELECT has_table_privilege(:table, :right)")
    return bool(connection.scalar(asked, {"table": table.__tablename__, "right": right}))


BY_A_GUARD = "permission denied: "
"""Begins what a trigger of the script says."""
STATEMENT = re.compile(r'\s*(INSERT|UPDATE|DELETE|SELECT)\b(?:\s+INTO|\s+FROM|.*?\bFROM)?\s+"?(\w+)', re.DOTALL)


def missing_right(statement: str | None, detail: str = "") -> str:
    """What the user of a database lacks to run ``statement``, which the server has refused with the words ``detail``.

    >>> missing_right("INSERT INTO checkpoints (run_id) VALUES (1)")
    'INSERT on checkpoints needs the role lgt_working'
    """
    if detail.startswith(BY_A_GUARD):
        return "the role of this user does not allow it"
    found = STATEMENT.match(statement or "")
    right, name = found.groups() if found else ("", "")
    table: Any = next((one for one in RIGHTS if one.__tablename__ == name), None)
    if right == "SELECT":
        roles = [READING]
    else:
        roles = [role for role in ROLES if table and right in [of for of, _ in RIGHTS[table].get(role, ())]]
    if not roles:
        return "only the owner of the store may do this"
    return f"{right} on {name} needs the role {' or '.join(roles)}"


# --- the script


def script() -> str:
    """The SQL that makes the roles, for the owner of the store. It can be run again and leaves the same rights."""
    return "\n".join([*HEAD, *_roles(), *_grants(), *_guards(), "COMMIT;", *TAIL])


HEAD = (
    "-- Roles of a store of Length Transfer Lab in the schema `public`. The owner of the tables runs this with psql,",
    "-- and again after each upgrade: `python -m lgt roles | psql --set ON_ERROR_STOP=1 DATABASE`.",
    "BEGIN;",
)
TAIL = (
    "-- Then a login for each person and each kind of worker, for example:",
    "--   CREATE ROLE anna LOGIN PASSWORD '...' IN ROLE lgt_submitting;",
    "--   CREATE ROLE cluster LOGIN PASSWORD '...' IN ROLE lgt_working;",
)


def _roles() -> list[str]:
    everybody = ", ".join(("PUBLIC", *ROLES))
    return [
        "DO $$ BEGIN",
        *(f"  IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} NOLOGIN; END IF;" for role in ROLES),
        "  EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());",
        "END $$;",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
        f"REVOKE ALL ON {_readable()} FROM {everybody};",
    ]


def _readable() -> str:
    return ", ".join([VERSION_TABLE, *VIEWS, *(table.__tablename__ for table in RIGHTS)])


def _grants() -> list[str]:
    lines = [
        f"GRANT USAGE ON SCHEMA public TO {READING};",
        f"GRANT SELECT ON {_readable()} TO {READING};",
        f"GRANT {READING} TO {SUBMITTING}, {WORKING};",
        "DO $$ BEGIN  -- the name of the sequence that numbers runs depends on how old the store is",
        f"  EXECUTE format('GRANT USAGE ON SEQUENCE %s TO {SUBMITTING}', pg_get_serial_sequence('public.runs', 'id'));",
        "END $$;",
    ]
    for table, roles in RIGHTS.items():
        for role, rights in roles.items():
            given = ", ".join(right + (f" ({', '.join(columns)})" if columns else "") for right, columns in rights)
            lines.append(f"GRANT {given} ON {table.__tablename__} TO {role};")
    return lines


def _guards() -> list[str]:
    """Triggers for what rights to columns cannot say. Whoever may delete runs, such as the owner, passes all of them;
    whoever may change ``step`` is a worker."""
    refuse = "EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE ="
    return [
        "CREATE OR REPLACE FUNCTION lgt_refuse() RETURNS trigger LANGUAGE plpgsql AS",
        f"  $$ BEGIN RAISE {refuse} '{BY_A_GUARD}' || TG_ARGV[0]; END $$;",
        "CREATE OR REPLACE FUNCTION lgt_check_task() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN",
        "  IF NOT EXISTS (SELECT FROM public.runs WHERE id = NEW.run_id AND state IN ('queued', 'running')) THEN",
        f"    RAISE {refuse} '{BY_A_GUARD}the run has ended';",
        "  END IF; RETURN NEW; END $$;",
        *_guard("runs", "lgt_finished", f"UPDATE OF {', '.join(FIXED)}", "OLD.state = 'done'",
                "DELETE", "lgt_refuse('a finished run cannot be changed')"),
        *_guard("runs", "lgt_queued", "INSERT OR UPDATE OF state", "NEW.state NOT IN ('queued', 'cancelled')",
                "", "lgt_refuse('only a worker starts and ends runs')"),
        *_guard("run_tasks", "lgt_task", "INSERT", "TRUE", "DELETE", "lgt_check_task()"),
    ]  # fmt: skip


def _guard(table: str, name: str, event: str, condition: str, right: str, action: str) -> list[str]:
    """A trigger that acts on every user without ``right`` on the table; if there is none, on all who are no worker."""
    passes = f"has_table_privilege('public.{table}', '{right}')" if right else (
        f"has_column_privilege('public.{table}', 'step', 'UPDATE')"
    )  # fmt: skip
    return [
        f"DROP TRIGGER IF EXISTS {name} ON {table};",
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW",
        f"  WHEN ({condition} AND NOT {passes}) EXECUTE FUNCTION {action};",
    ]
