"""The view of schema 4: interchanges of head outputs, one value per row. The revision 0004 uses this module."""

from __future__ import annotations

from lgt.store.migrations.schema_3_views import dialect_named, of_map

NAMES = "task, source_task, source_input"
OWN = "t.task, s.task AS source_task, m.source_input"
SOURCE = "\n    JOIN run_tasks AS s ON s.run_id = m.run_id AND s.slot = m.source_slot"


def create_view(dialect_name: str) -> str:
    """The statement that creates the view on a database, ``sqlite`` or ``postgresql``."""
    select = of_map(dialect_named(dialect_name), "interchange_maps", NAMES, OWN, SOURCE)
    return f"CREATE VIEW interchanges AS {select.strip()}"
