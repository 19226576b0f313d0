"""``lgt app`` hands over to Streamlit, and serves the dashboard from any folder."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

from lgt.cli import dashboard
from lgt.cli.main import main
from tests.servers import ROOT, Server, free_port


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


@pytest.mark.slow
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


@pytest.mark.slow
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
