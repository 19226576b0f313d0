"""What an installed copy has: locked versions that fit the metadata, and every file of the package."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

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
