"""What an installed copy has: locked versions that fit the metadata, and every file of the package."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
import zipfile
from importlib.metadata import distribution
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

specification = spec_from_file_location("requirements_install", ROOT / "requirements" / "install.py")
install = module_from_spec(specification)
specification.loader.exec_module(install)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEEDED = [Requirement(line) for line in PROJECT["project"]["dependencies"]]


def locked() -> dict[str, str]:
    """Exact version by package name, as requirements.txt has them."""
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line) for line in lines), "one exact version a line"
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("needed", NEEDED, ids=lambda needed: needed.name)
def test_the_lock_has_a_version_within_every_range_and_what_that_needs_itself(needed):
    versions, waiting, seen = locked(), [needed], set()
    assert len(needed.specifier) == 2, "a lower and an upper bound"
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        assert name in versions and one.specifier.contains(versions[name], prereleases=True), one
        if (name, *one.extras) in seen:
            continue
        seen.add((name, *one.extras))
        for inner in map(Requirement, distribution(name).requires or []):
            if inner.name.startswith(("nvidia-", "cuda-", "triton")):
                continue  # for one platform only, see the head of requirements.txt
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in one.extras or {""}):
                waiting.append(inner)


def test_every_file_that_is_not_python_is_shipped():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    shipped = {
        path for package, names in patterns.items()
        for name in names for path in ROOT.joinpath(*package.split(".")).glob(name)
    }  # fmt: skip
    files = {path for path in (ROOT / "lgt").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix != ".py"} == shipped
    folders = {path.parent for path in files if not path.parent.name.startswith(".")}
    assert all((folder / "__init__.py").exists() for folder in folders), "setuptools finds packages by this file"


def test_hooks_run_what_is_installed_and_download_nothing():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"repo: (.*)", text)) == {"local"} and set(re.findall(r"language: (.*)", text)) == {"system"}


LOCKS = {name: (ROOT / "requirements" / f"{name}.lock").read_text() for name in ("packages", "torch")}
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9a-z.]+)(?: ; (?P<marker>.*?))?"
    r"(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_has_one_exact_version_and_its_hashes(name):
    text = re.sub("^#.*\n", "", LOCKS[name])
    assert "".join(found.group() for found in ENTRY.finditer(text)) == text, "nothing but entries with hashes"
    assert "http" not in LOCKS[name], "where files come from is the business of whoever installs"


def test_the_locks_have_the_versions_of_requirements_txt_and_else_only_what_single_platforms_need():
    entries = {found["name"]: found for text in LOCKS.values() for found in ENTRY.finditer(text)}
    further = {name: found for name, found in entries.items() if name not in locked()}
    assert {name: entries[name]["version"] for name in locked()} == locked()
    assert all(entries[name]["marker"] is None for name in locked())
    assert all("sys_platform == " in found["marker"] for found in further.values())
    assert {name for name in further if not name.startswith(("nvidia-", "cuda-"))} == {"colorama", "triton"}
    assert {found["name"] for found in ENTRY.finditer(LOCKS["torch"])} == {
        "torch", *(name for name in further if name != "colorama")
    }  # fmt: skip


def wheel(folder: Path, name: str, code: str) -> Path:
    """A wheel with one module, as an index or a disk may have it."""
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    files = {f"{name}.py": code, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
             f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}  # fmt: skip
    with zipfile.ZipFile(path, "w") as packed:
        for file, text in {**files, f"{info}/RECORD": "".join(f"{file},,\n" for file in files)}.items():
            packed.writestr(file, text)
    return path


def test_pip_refuses_a_file_whose_hash_is_not_in_the_lock(tmp_path, monkeypatch):
    good = wheel(tmp_path, "tiny", "value = 1\n")
    lock = tmp_path / "tiny.lock"
    lock.write_text(f"tiny==1.0 \\\n    --hash=sha256:{hashlib.sha256(good.read_bytes()).hexdigest()}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    words = (*install.CHECKED, str(lock), "--no-index", "--find-links", str(tmp_path), "--target", str(tmp_path / "to"))
    assert install.pip(*words) and (tmp_path / "to" / "tiny.py").read_text() == "value = 1\n"
    wheel(tmp_path, "tiny", "value = 2\n")
    assert not install.pip(*words, "--upgrade")
    assert (tmp_path / "to" / "tiny.py").read_text() == "value = 1\n"


@pytest.mark.parametrize(
    ("installed", "on_disk", "says", "runs"),
    [
        ("2.13.0+cpu", True, "installed already", []),
        ("", True, "from this machine's disk: torch-2.13.0+cpu.whl", [["install", "--quiet", "torch-2.13.0+cpu.whl"]]),
        ("2.12.0", True, "disk", [["install", "--quiet", "torch-2.13.0+cpu.whl"]]),
        ("", False, "", [[*install.CHECKED, "torch.lock"]]),
        ("2.12.0", False, "", [[*install.CHECKED, "torch.lock"]]),
    ],
)
def test_pytorch_from_the_network_is_checked_and_one_that_is_there_is_named(
    installed, on_disk, says, runs, monkeypatch, capsys
):
    ran: list[list[str]] = []

    def run(*words):
        ran.append([*words[:-1], Path(words[-1]).name])
        return True

    def download(*words):
        assert "--no-index" in words and "torch==2.13.0" in words
        if on_disk:
            (Path(words[words.index("--dest") + 1]) / "torch-2.13.0+cpu.whl").touch()
        return on_disk

    monkeypatch.setattr(install, "installed_torch", lambda: installed)
    assert install.install_torch("2.13.0", run, download) and ran == runs
    said = capsys.readouterr().out
    assert said.count("not checked") == bool(says) and says in said
    assert install.torch_version() == locked()["torch"]


def test_a_refused_file_ends_the_installation(monkeypatch, capsys):
    monkeypatch.setattr(install, "pip", lambda *words: False)
    with pytest.raises(SystemExit, match="not installed"):
        install.main()


def test_make_and_docker_install_by_the_locks():
    for file in ("Makefile", "Dockerfile"):
        text = (ROOT / file).read_text()
        assert "python requirements/install.py" in text and "-r requirements.txt" not in text


def test_the_container_has_a_pinned_base_and_runs_as_a_user_without_rights():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (base,) = (line for line in lines if line.startswith("FROM "))
    assert re.fullmatch(r"FROM python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert [line for line in lines if line.startswith("USER ")] == ["USER lgt"]
    assert all(not line.startswith("RUN ") for line in lines[lines.index("USER lgt") :])
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert set(compose["services"]) == {"dashboard", "worker"}
    for service in compose["services"].values():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["tmpfs"] == ["/tmp"]
        assert service["security_opt"] == ["no-new-privileges:true"] and service["volumes"] == ["store:/data"]
    assert compose["services"]["dashboard"]["ports"] == ["127.0.0.1:8501:8501"]
