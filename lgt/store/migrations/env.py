"""Alembic's entry point. Migrations run on a connection that :mod:`lgt.store.migrate` has already locked."""

from alembic import context

from lgt.store.schema import VERSION_TABLE, Base


def run_migrations() -> None:
    """Run the migrations inside the caller's open transaction, so that a kill leaves the old schema."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
    )
    context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic executes this file; a plain import only defines the function
    run_migrations()
