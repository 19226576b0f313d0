"""``lgt app`` hands over to Streamlit, and serves the dashboard from any folder."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

from lgt.cli import dashboard
from lgt.cli.main import main
from lgt.ui.server_guard import HEADERS
from tests.servers import ROOT, Server, free_port

pytestmark = pytest.mark.slow


def test_the_command_becomes_streamlit_with_the_chosen_port_address_and_store(monkeypatch):
    calls = []
    monkeypatch.setenv("LGT_DATABASE_URL", "other.db")
    monkeypatch.setattr("os.execv", lambda program, words: calls.append((program, words)))
    with pytest.raises(SystemExit) as ended:
        main(["app", "--port", "8600", "--address", "0.0.0.0", "--database", "mine.db"])
    ((program, words),) = calls
    assert ended.value.code == 0 and program == sys.executable and os.environ["LGT_DATABASE_URL"] == "mine.db"
    assert words[1:4] == ["-m", "streamlit", "run"] and words[4] == str(dashboard.SCRIPT)
    assert words[5:] == ["--server.port", "8600", "--server.address", "0.0.0.0", "--server.allowedHosts", "*"]
    assert "--server.allowedHosts" not in dashboard.command(8501, "127.0.0.1")
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "lab.example.org")
    assert "--server.allowedHosts" not in dashboard.command(8501, "0.0.0.0")


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_a_port_that_does_not_exist_is_one_line(port, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["app", "--port", port])
    assert ended.value.code == 2 and "whole number" in capsys.readouterr().err


@pytest.mark.parametrize("folder", [ROOT, dashboard.SCRIPT.parent])
def test_no_way_to_start_it_asks_an_outside_service_for_its_address(folder):
    settings = tomllib.loads((folder / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["server"]["address"] == "127.0.0.1" and settings["browser"]["gatherUsageStats"] is False
    assert "--server.address" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--server.address" in dashboard.command(8501, "0.0.0.0")


def answers(words: list[str], port: int, folder: Path, environment: dict[str, str]) -> bool:
    """Whether a dashboard that these words start answers at this port before it ends."""
    command = [sys.executable, *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(150):
                try:
                    return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health").read() == b"ok")
                except OSError:
                    if process.poll() is not None:
                        return False
                    time.sleep(0.2)
            return False
        finally:
            process.terminate()


HOMES = ["no such folder", "a file", "a folder nobody can write", "not set"]


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("way", ["lgt app", "make app"])
def test_the_dashboard_starts_without_a_usable_home_folder(way, home, tmp_path):
    (tmp_path / "a file").touch()
    places = {"a folder nobody can write": "/proc" if os.path.isdir("/proc") else "/", "not set": ""}
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": places.get(home, str(tmp_path / home))}
    if home == "not set":
        del environment["HOME"]
    words = ["-m", "lgt", "app", "--port", str(port)]
    if way == "make app":
        assert "/streamlit run app.py --server.headless false\n" in (ROOT / "Makefile").read_text()
        # but without a browser
        words = ["-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.port", str(port)]
    assert answers(words, port, ROOT, environment)


@pytest.mark.parametrize("folder", [ROOT, dashboard.SCRIPT.parent])
def test_no_secrets_are_read_from_a_home_folder_that_may_be_another_user_s(folder):
    settings = tomllib.loads((folder / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["secrets"] == {"files": []}


def test_the_dashboard_starts_in_a_folder_that_is_not_a_checkout(tmp_path):
    port = free_port()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert answers(["-m", "lgt", "app", "--port", str(port)], port, tmp_path, environment)
    assert not list(tmp_path.iterdir()), "looking at an empty store must not make one"


def upgraded(port: int, host: str, origin: str | None) -> int:
    """The status with which the dashboard answers a page that asks for its WebSocket."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    connection.request("GET", "/_stcore/stream", headers=headers | ({"Origin": origin} if origin else {}))
    status = connection.getresponse().status
    connection.close()
    return status


def test_s6_a_name_that_leads_to_this_machine_by_a_trick_is_refused(tmp_path):
    """DNS rebinding: a page of evil.example has its name resolve to 127.0.0.1 and asks the dashboard."""
    server = Server(tmp_path / "none.db")
    try:
        local = [f"{name}:{server.port}" for name in ("127.0.0.1", "localhost")]
        assert [upgraded(server.port, host, f"http://{host}") for host in local] == [101, 101]
        for host in (f"evil.example:{server.port}", "evil.example", f"127.0.0.1.evil.example:{server.port}"):
            assert upgraded(server.port, host, f"http://{host}") == 403
        assert upgraded(server.port, local[0], "http://evil.example") == 403
    finally:
        server.kill()


def answered(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and text of the dashboard's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


PATHS = ("/", "/launch", "/no/such/page", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/favicon.png",
         "/media/none", "/static/none", "/component/none/x", "/..%2f..%2fetc/passwd")  # fmt: skip


@pytest.mark.parametrize("script", ["app.py", "lgt/ui/entry/app.py"])
def test_both_ways_to_start_refuse_what_is_foreign_and_send_the_headers(script, tmp_path):
    server = Server(tmp_path / "none.db", script=script)
    try:
        for path in PATHS:
            status, headers, _ = answered(server.port, "GET", path)
            assert status in (200, 400, 404), path
            assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS, path
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            foreign = answered(server.port, "GET", path, Host="evil.example")
            assert foreign[0] == 403 or path == "/_stcore/health"
        for method, path in (("PUT", "/_stcore/upload_file/a/b"), ("DELETE", "/_stcore/upload_file/a/b"),
                             ("POST", "/"), ("OPTIONS", "/_stcore/upload_file/a/b"), ("GET", "/")):  # fmt: skip
            for origin in ("null", "http://127.0.0.1:9", "http://evil.example"):
                status, headers, text = answered(server.port, method, path, Origin=origin)
                assert status == 403 and text.startswith(b"Refused") and "access-control-allow-origin" not in headers
        local = f"127.0.0.1:{server.port}"
        for origin in ("http://127.0.0.1:9", "http://localhost:9", "http://127.0.0.1", "null", f"http://{local}0"):
            assert upgraded(server.port, local, origin) == 403
        assert [upgraded(server.port, local, origin) for origin in (None, f"http://{local}")] == [101, 101]
    finally:
        server.kill()


WATCH = """
import os, socket

def named(address):
    with open(os.environ["ASKED"], "a") as log:
        log.write(f"{address}\\n")

def watched(real):
    def call(*words, **options):
        address = words[1] if isinstance(words[0], socket.socket) else words[0]
        name = address[0] if isinstance(address, tuple) else address
        if str(name) not in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "None"):
            named(address)
        return real(*words, **options)
    return call

socket.socket.connect = watched(socket.socket.connect)
socket.socket.sendto = watched(socket.socket.sendto)
socket.getaddrinfo = watched(socket.getaddrinfo)
socket.gethostbyname = watched(socket.gethostbyname)
named("watching")
"""


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_nothing_outside_is_asked_at_the_start_nor_by_any_origin(address, tmp_path):
    """Streamlit asks for this machine's address for its first message, and for an origin that it does not know."""
    (tmp_path / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    asked = tmp_path / "asked"
    server = Server(
        tmp_path / "none.db", script="lgt/ui/entry/app.py", options=dashboard.command(1, address)[7:],
        folder=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}", ASKED=str(asked),
    )  # fmt: skip
    try:
        for origin in (None, "null", "http://evil.example", "http://127.0.0.1:9", f"http://127.0.0.1:{server.port}"):
            for host in (f"127.0.0.1:{server.port}", "evil.example", "10.1.2.3"):
                upgraded(server.port, host, origin)
                answered(server.port, "GET", "/", Host=host, **({"Origin": origin} if origin else {}))
    finally:
        server.kill()
    assert set(asked.read_text().splitlines()) == {"watching"}


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to_though_a_page_is_open(signal_, tmp_path):
    server = Server(tmp_path / "none.db")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as page:
        page.sendall(f"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())  # fmt: skip
        assert page.recv(100).startswith(b"HTTP/1.1 101")
        server.process.send_signal(signal_)
        server.process.wait(timeout=60)
