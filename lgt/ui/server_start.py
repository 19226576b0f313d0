"""Says where the dashboard is when its server starts, and opens the browser there.

Streamlit's own message is off (``logger.hideWelcomeMessage``): for an address that other machines reach, it asks an
outside service for the address of this machine.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import streamlit as st
from streamlit import cli_util

from lgt.ui.navigation import TITLE

if TYPE_CHECKING:
    from streamlit.starlette import App


@asynccontextmanager
async def announced(_app: App) -> AsyncIterator[None]:
    """The life of the server: it listens already when this begins."""
    print(f"{TITLE}: {address()} (Ctrl-C ends it)", flush=True)
    if not st.get_option("server.headless"):
        cli_util.open_browser(address())
    yield


def address() -> str:
    """The address for a browser on this machine, or the one that ``browser.serverAddress`` names."""
    name = re.sub(r"^https?://|/.*$", "", st.get_option("browser.serverAddress"))
    if name == "localhost":  # as in Streamlit's defaults
        name = st.get_option("server.address") or name
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(name, f"[{name}]" if ":" in name else name)
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    folder = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"{scheme}://{name}:{st.get_option('browser.serverPort')}{f'/{folder}' if folder else ''}"
