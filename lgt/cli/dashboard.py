"""The command that starts the dashboard."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lgt.cli.shared_options import Also, Database, whole_number
from lgt.core.checks import check_integer
from lgt.store import locations

SCRIPT = Path(__file__).parent.parent / "ui" / "entry" / "app.py"

LOCAL = ("127.0.0.1", "localhost", "::1")
"""The addresses that only this machine reaches, as the settings name them."""


def app(
    port: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Port to listen on.")] = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    database: Database = None,
    also: Also = None,
) -> None:
    """Start the dashboard in the browser at http://127.0.0.1:8501; Ctrl-C ends it."""
    check_integer("--port", port, 1, 65535)
    if database:
        os.environ["LGT_DATABASE_URL"] = database
    if also:
        os.environ["LGT_ALSO"] = locations.as_also([*locations.also(), *also])
    os.execv(sys.executable, command(port, address))


def command(port: int, address: str) -> list[str]:
    """The command line that serves the dashboard. Streamlit reads the settings in the folder of the script.

    The settings accept only requests for this machine by its local names. With an address for other machines every
    numeric address and this machine's own names are accepted (:mod:`lgt.ui.server_guard`), unless
    STREAMLIT_SERVER_ALLOWED_HOSTS lists the names.
    """
    words = [
        sys.executable, "-m", "streamlit", "run", str(SCRIPT), "--server.port", str(port), "--server.address", address,
    ]  # fmt: skip
    local = address in LOCAL or "STREAMLIT_SERVER_ALLOWED_HOSTS" in os.environ
    return words if local else [*words, "--server.allowedHosts", "*"]
