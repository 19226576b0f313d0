"""What the server answers: hosts and origins by cases, headers on every answer, and Streamlit as it is pinned."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit
from starlette.responses import PlainTextResponse
from streamlit.web.server.app_discovery import discover_asgi_app
from streamlit.web.server.starlette import starlette_websocket

from lgt.ui import server_guard, server_start
from tests.conftest import ROOT

SETTINGS = {
    "server.allowedHosts": ["localhost", "127.0.0.1", "::1"],
    "server.baseUrlPath": "",
    "server.address": "127.0.0.1",
    "server.port": 8501,
    "server.sslCertFile": None,
    "server.headless": True,
    "browser.serverAddress": "localhost",
    "browser.serverPort": 8501,
}


@pytest.fixture()
def settings(monkeypatch):
    """Streamlit's settings, to change; by default as ``lgt app`` has them."""
    chosen = dict(SETTINGS)
    monkeypatch.setattr(streamlit, "get_option", chosen.__getitem__)
    monkeypatch.setattr(server_guard, "_refusals", itertools.count())
    return chosen


def asked(kind: str, path: str, headers: list[tuple[str, str]]) -> tuple[list[dict], int]:
    """The messages with which the guard answers, and how often it asked the application behind it."""
    calls = []

    async def behind(scope, receive, send):
        calls.append(scope)
        if scope["type"] == "http":
            await PlainTextResponse("a page", headers={"X-Frame-Options": "ALLOWALL"})(scope, receive, send)
        else:
            await send({"type": "websocket.accept"})

    async def receive():
        return {"type": "http.request"}

    sent: list[dict] = []

    async def send(message):
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": kind, "path": path, "method": "GET", "headers": raw}
    asyncio.run(server_guard.Guard(behind)(scope, receive, send))
    return sent, len(calls)


OWN = [
    "127.0.0.1:8501",
    "localhost:8501",
    "LOCALHOST:8501",
    "localhost",
    "localhost.:8501",
    "[::1]:8501",
    "127.0.0.1:80",
]
FOREIGN = [
    "evil.example", "evil.example:8501", "127.0.0.1.evil.example:8501", "localhost.evil.example", "evil.localhost",
    "0.0.0.0:8501", "127.1:8501", "2130706433:8501", "0x7f.1", "127.0.0.2", "::1", "[::1", "[::2]:8501", "",
    "localhost:8501@evil.example", "evil.example/localhost", "user@localhost:8501", "localhost:a", "localhost:123456",
    "localhost 8501", "localhost\tx", "localhost,evil.example", "localhost?x", "löcalhost", "*", "*.localhost",
]  # fmt: skip


@pytest.mark.parametrize("host", OWN + FOREIGN)
def test_only_the_own_names_are_answered_with_a_page_or_a_websocket(settings, host):
    own = host in OWN
    page, asked_for_page = asked("http", "/", [("Host", host)])
    stream, asked_for_stream = asked("websocket", "/_stcore/stream", [("Host", host)])
    assert page[0]["status"] == (200 if own else 403) and asked_for_page == asked_for_stream == own
    assert stream[0]["type"] == ("websocket.accept" if own else "websocket.close")
    assert page[1]["body"] == b"a page" if own else b"host name" in page[1]["body"]


HERE = "http://127.0.0.1:8501"
OTHERS = [
    "null", "", "http://evil.example", "http://evil.example:8501", "http://127.0.0.1:9999", "http://127.0.0.1",
    "http://localhost:9999", "https://localhost", "http://[::1]:9999", "file://", "chrome-extension://abc",
    "http://127.0.0.1:8501.evil.example", "http://127.0.0.1:8501@evil.example", "http://127.0.0.1:8501/", "127.0.0.1",
    "ftp://127.0.0.1:8501", "http://127.0.0.2:8501", "http://0.0.0.0:8501", "http://127.0.0.1:85010",
]  # fmt: skip


@pytest.mark.parametrize("origin", [None, HERE, *OTHERS])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_only_pages_of_this_server_may_talk_to_it(settings, kind, origin):
    headers = [("Host", "127.0.0.1:8501"), *([("Origin", origin)] if origin is not None else [])]
    sent, passed_on = asked(kind, "/_stcore/stream", headers)
    assert passed_on == (origin in (None, HERE))
    if not passed_on:
        assert sent[0].get("status", sent[0].get("code")) == (403 if kind == "http" else 1008)


@pytest.mark.parametrize("name", ["Host", "Origin"])
def test_a_header_that_comes_twice_is_refused(settings, name):
    headers = [("Host", "127.0.0.1:8501"), ("Origin", HERE)]
    twice = [*headers, (name, dict(headers)[name])]
    assert asked("http", "/", headers)[1] == 1 and asked("http", "/", twice)[1] == 0
    assert asked("http", "/", [])[1] == 0, "no Host at all"


@pytest.mark.parametrize(
    ("host", "origin", "changes", "accepted"),
    [
        # A container or tunnel: the browser sees another port than the server has.
        ("localhost:9000", "http://localhost:9000", {}, True),
        # A proxy that passes Host on needs the name among the hosts, and one that replaces Host the address as well.
        ("lab.example.org", "https://lab.example.org", {}, False),
        ("lab.example.org", "https://lab.example.org", {"server.allowedHosts": ["lab.example.org"]}, True),
        ("x.example.org", "https://x.example.org", {"server.allowedHosts": ["*.example.org"]}, True),
        ("example.org", "https://example.org", {"server.allowedHosts": ["*.example.org"]}, False),
        ("127.0.0.1:8501", "https://lab.example.org", {}, False),
        ("127.0.0.1:8501", "https://lab.example.org", {"browser.serverAddress": "lab.example.org"}, True),
        ("127.0.0.1:8501", "https://LAB.example.org", {"browser.serverAddress": "https://Lab.example.org/a"}, True),
        ("127.0.0.1:8501", "https://lab.example.org:8443", {"browser.serverAddress": "lab.example.org"}, False),
        ("127.0.0.1:8501", "https://lab.example.org:8443",
         {"browser.serverAddress": "lab.example.org", "browser.serverPort": 8443}, True),
        ("127.0.0.1:8501", "https://evil.lab.example.org", {"browser.serverAddress": "lab.example.org"}, False),
        # No other port of the viewer's machine, also where a tunnel or a container changes the port.
        ("localhost:9000", "http://localhost:8501", {}, False),
        ("127.0.0.1:8501", "http://localhost:8501", {}, False),
        ("127.0.0.1:8501", "http://127.0.0.1:80", {"browser.serverAddress": "127.0.0.1"}, False),
        ("127.0.0.1:8501", "http://127.0.0.1", {"browser.serverAddress": "127.0.0.1"}, False),
    ],
)  # fmt: skip
def test_behind_a_proxy(settings, host, origin, changes, accepted):
    settings.update(changes)
    assert bool(asked("websocket", "/_stcore/stream", [("Host", host), ("Origin", origin)])[1]) is accepted


@pytest.mark.parametrize(
    ("host", "accepted"),
    [("192.168.1.7:8501", True), ("[fe80::1]:8501", True), ("localhost:8501", True), ("MyBox.lan:8501", True),
     ("mybox:8501", True), ("mybox.local:8501", True), ("evil.example:8501", False), ("mybox.evil.example", False),
     ("127.1", False), ("", False)],
)  # fmt: skip
def test_an_address_for_other_machines_answers_numbers_and_the_machine_s_names(settings, monkeypatch, host, accepted):
    monkeypatch.setattr(socket, "gethostname", lambda: "mybox.lan")
    server_guard.machine_names.cache_clear()
    settings["server.allowedHosts"] = ["*"]
    assert server_guard.host_allowed(host) is accepted
    server_guard.machine_names.cache_clear()


def test_only_the_health_check_answers_under_every_name(settings):
    for path in ("/_stcore/health", "/x/_stcore/health", "/_stcore/health/", "/_stcore/stream"):
        assert asked("http", path, [("Host", "10.0.0.7:8501")])[1] == (path == "/_stcore/health")
    settings["server.baseUrlPath"] = "/lab/"
    assert asked("http", "/lab/_stcore/health", [("Host", "10.0.0.7")])[1] == 1
    assert asked("http", "/_stcore/health", [("Host", "10.0.0.7")])[1] == 0
    assert asked("http", "/lab/_stcore/health", [("Host", "10.0.0.7"), ("Origin", "http://evil.example")])[1] == 0


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "evil.example"])
def test_every_answer_has_the_headers_once(settings, host):
    sent, _ = asked("http", "/", [("Host", host)])
    names = [name.decode() for name, _ in sent[0]["headers"]]
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    for name, value in server_guard.HEADERS.items():
        assert found[name.lower()] == value and names.count(name.lower()) == 1
    policy = dict(part.split(" ", 1) for part in found["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    if host == "evil.example":
        return
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    allowed = {word for words in policy.values() for word in words.split()}
    assert allowed - {"'self'", "'none'", "data:", "blob:", "'wasm-unsafe-eval'", "'unsafe-inline'"} == {
        *server_guard.inline_scripts(), f"ws://{host}", f"wss://{host}"
    }, "no other server, and no scheme that reaches one"  # fmt: skip
    assert "'unsafe-inline'" not in policy["script-src"]


def test_a_host_header_cannot_add_to_the_policy(settings):
    for host in ("evil.example", "x; script-src *", "127.0.0.1:8501 https://evil.example"):
        assert "evil" not in server_guard.content_policy(host) and "script-src *" not in server_guard.content_policy(
            host
        )


def test_refusals_are_logged_in_a_few_safe_lines(settings, caplog):
    for number in range(3 * server_guard.LOGGED):
        asked(
            "http", "/", [("Host", f"evil-{number}\x1b[31m\x9b\xff" + "x" * 500)] if number % 2 else [("Host", "evil")]
        )
    assert len(caplog.records) == server_guard.LOGGED
    assert all(record.message.isascii() and record.message.isprintable() for record in caplog.records)
    assert max(len(record.message) for record in caplog.records) < 400


def test_what_is_passed_on_is_accepted_by_streamlit_without_asking_outside(settings, monkeypatch):
    def asks():
        raise AssertionError("an outside service or socket is asked")

    from streamlit import config, net_util

    monkeypatch.setattr(net_util, "get_external_ip", asks)
    monkeypatch.setattr(net_util, "get_internal_ip", asks)
    settings.update({"server.enableCORS": True, "server.corsAllowedOrigins": ["https://other.example"]})
    monkeypatch.setattr(config, "get_option", settings.__getitem__)
    passed_on = 0
    for address in ("localhost", "lab.example.org"):
        settings["browser.serverAddress"] = address
        monkeypatch.setattr(config, "is_manually_set", lambda name, address=address: address != "localhost")
        for host in OWN + FOREIGN:
            origins = [
                None,
                f"http://{host}",
                f"https://{host}",
                "https://lab.example.org",
                HERE,
                "http://localhost:8501",
            ]
            for origin in [*origins, *OTHERS, "https://other.example"]:
                if not server_guard.refusal("/_stcore/stream", [host], [origin] if origin is not None else []):
                    assert starlette_websocket._is_origin_allowed(origin, host), (host, origin)
                    passed_on += 1
    assert passed_on > 50


def test_the_page_s_own_scripts_are_those_that_the_policy_lets_run():
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()
    assert len(server_guard.inline_scripts()) == len(re.findall(r"<script>", page)) > 0
    assert all("src=" in tag for tag in re.findall(r"<script [^>]*>", page)), "other inline scripts have no hash"


@pytest.mark.parametrize("script", ["app.py", "lgt/ui/entry/app.py"])
def test_streamlit_finds_the_guarded_application_in_both_scripts(script):
    assert discover_asgi_app(ROOT / script).import_string == "app:app"
    assert "middleware=server_guard.MIDDLEWARE" in (ROOT / script).read_text()


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({}, "http://127.0.0.1:8501"),
        ({"server.address": "::1"}, "http://[::1]:8501"),
        ({"server.address": "0.0.0.0"}, "http://localhost:8501"),
        ({"browser.serverAddress": "https://lab.example.org/x", "browser.serverPort": 443, "server.sslCertFile": "c"},
         "https://lab.example.org:443"),
        ({"server.baseUrlPath": "/lab/"}, "http://127.0.0.1:8501/lab"),
    ],
)  # fmt: skip
def test_the_first_line_says_where_the_dashboard_is_and_opens_it_if_asked(
    settings, changes, address, monkeypatch, capsys
):
    settings.update(changes)
    opened: list[str] = []
    monkeypatch.setattr(server_start, "cli_util", SimpleNamespace(open_browser=opened.append))

    async def started():
        async with server_start.announced(None):
            pass

    asyncio.run(started())
    assert capsys.readouterr().out == f"Length Transfer Lab: {address} (Ctrl-C ends it)\n" and opened == []
    settings["server.headless"] = False
    asyncio.run(started())
    assert opened == [address]
