"""What the dashboard's server answers: requests for its own names, from its own pages, and with strict headers.

Streamlit accepts a WebSocket from every port of this machine, serves its files under every name, and asks an outside
service for the address of this machine before it refuses an unknown origin. :class:`Guard` decides before Streamlit
does. It passes on only what Streamlit accepts without asking.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import itertools
import logging
import re
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE)
ORIGIN = re.compile(rf"(?P<scheme>https?)://{HOST.pattern}", re.ASCII | re.IGNORECASE)
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""The headers of every answer. The content policy depends on the request: see :func:`content_policy`."""
FOREIGN_HOST = "this server does not answer for this host name; STREAMLIT_SERVER_ALLOWED_HOSTS sets the names"
FOREIGN_ORIGIN = (
    "this server does not answer pages of another origin; behind a proxy set STREAMLIT_BROWSER_SERVER_ADDRESS"
)
LOGGED = 20
"""Refusals that the log names, until it is silent: otherwise a page could fill the disk."""

logger = logging.getLogger(__name__)
_refusals = itertools.count()


class Guard:
    """ASGI middleware around Streamlit: refuses foreign hosts and origins, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with 403, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        problem = refusal(str(scope["path"]), headers.getlist("host"), headers.getlist("origin"))
        answer = with_headers(send, content_policy(headers.get("host", "")) if not problem else "default-src 'none'")
        if not problem:
            await self.app(scope, receive, answer)
        elif scope["type"] == "http":
            await PlainTextResponse(f"Refused: {problem}.\n", 403)(scope, receive, answer)
        else:
            await send({"type": "websocket.close", "code": 1008})  # before the handshake, which then gets 403


MIDDLEWARE = [Middleware(Guard)]
"""What ``app.py`` gives to ``streamlit.starlette.App``."""


def refusal(path: str, hosts: list[str], origins: list[str]) -> str:
    """Why a request with these ``Host`` and ``Origin`` headers is not answered; empty if it is."""
    if path != health_path() and not (len(hosts) == 1 and host_allowed(hosts[0])):
        problem = FOREIGN_HOST
    elif origins and not (len(origins) == 1 and origin_allowed(origins[0], hosts[0] if hosts else "")):
        problem = FOREIGN_ORIGIN
    else:
        return ""
    if next(_refusals) < LOGGED:
        shown = ", ".join(f"{one[:100]!a}" for one in (*hosts, *origins))
        logger.warning("Refused: %s (Host and Origin: %s)", problem, shown)
    return problem


def health_path() -> str:
    """The path that says whether the server runs. It answers under every name: a container asks by its own address."""
    folder = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{folder}/_stcore/health" if folder else "/_stcore/health"


def host_allowed(host: str) -> bool:
    """Whether ``server.allowedHosts`` has the name in this ``Host`` header; ``*.`` stands for any subdomain.

    ``*`` stands for every numeric address and the names of this machine, but for no other name: anybody can make a name
    lead to this machine, and a page of that name would then be of the same origin.
    """
    found = HOST.fullmatch(host)
    if not found:
        return False
    name = found["name"].strip("[]").rstrip(".").lower()
    return any(_matches(name, allowed.strip().rstrip(".").lower()) for allowed in st.get_option("server.allowedHosts"))


def _matches(name: str, allowed: str) -> bool:
    if allowed == "*":
        return _is_numeric(name) or name in machine_names()
    return name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:]))


def _is_numeric(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


@cache
def machine_names() -> frozenset[str]:
    """The names under which others on the local network know this machine, without asking a name server."""
    full = socket.gethostname().lower()
    return frozenset({"localhost", full, full.split(".")[0], f"{full.split('.')[0]}.local"})


def origin_allowed(origin: str, host: str) -> bool:
    """Whether a page of this ``Origin`` may talk to the server that was reached as ``host``.

    It may when it came from there, or from the address that ``browser.serverAddress`` and ``browser.serverPort`` name
    (for a proxy that replaces ``Host``). A page that another port of this machine serves may not.
    """
    found = ORIGIN.fullmatch(origin)
    if not found:
        return False
    if origin == f"{found['scheme']}://{host}":
        return True
    own = re.sub(r"^https?://|/.*$", "", st.get_option("browser.serverAddress")).lower()
    if found["name"].lower() != own or own == "localhost":  # the default, which does not mean a proxy
        return False
    ports = {str(st.get_option("browser.serverPort"))}
    if not _is_numeric(own.strip("[]")):
        ports.add("")  # a proxy at the port of its scheme
    return (found["port"] or "") in ports


def content_policy(host: str) -> str:
    """The ``Content-Security-Policy`` of a page reached as ``host``: it loads nothing from other servers.

    Nor does it send them anything. Streamlit writes styles into the page, uses WebAssembly and loads the scripts of
    components from ``blob:`` addresses. Scripts in the page's HTML and ``eval`` do not run.
    """
    sockets = f" ws://{host} wss://{host}" if host_allowed(host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' blob: 'wasm-unsafe-eval' {' '.join(inline_scripts())}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


@cache
def inline_scripts() -> tuple[str, ...]:
    """The hashes of the scripts that Streamlit's page contains, so that no other inline script runs."""
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    digests = [hashlib.sha256(text.encode()).digest() for text in re.findall("<script>(.*?)</script>", page, re.DOTALL)]
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def with_headers(send: Send, policy: str) -> Send:
    """``send``, with the headers on the answer that it begins."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update({**HEADERS, "Content-Security-Policy": policy})
        await send(message)

    return sent
