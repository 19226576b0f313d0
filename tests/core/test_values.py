"""Checks of values, random streams and the version of the code, against what was written down by hand."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from lgt.core import extensions, paths, version
from lgt.core.checks import ConfigError, check_choice, check_flag, check_integer, check_number
from lgt.core.seeding import generator, stream_seed


def refusal(check: object, *arguments: object) -> str:
    """The error text of a check; empty if the check accepts the value."""
    try:
        check(*arguments)  # type: ignore[operator]
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("value", "accepted"), [(2, True), (9, True), (1, False), (10, False), (True, False), (2.0, False), ("5", False)]
)
def test_a_whole_number_lies_within_its_ends(value: object, accepted: bool) -> None:
    said = refusal(check_integer, "steps", value, 2, 9)
    assert said == ("" if accepted else f"steps: {value!r} is not accepted; accepted: a whole number from 2 to 9")


@pytest.mark.parametrize(
    ("value", "accepted"),
    [(0.5, True), (2, True), (1.25, True), (0.49, False), (2.01, False), (float("nan"), False), (float("inf"), False),
     (True, False), ("1", False), (None, False)],
)  # fmt: skip
def test_a_number_is_finite_and_lies_within_its_ends(value: object, accepted: bool) -> None:
    said = refusal(check_number, "rate", value, 0.5, 2.0)
    assert said == ("" if accepted else f"rate: {value!r} is not accepted; accepted: a number from 0.5 to 2")


def test_a_choice_and_a_flag_say_what_is_accepted() -> None:
    assert refusal(check_choice, "arm", "a", ("a", "b")) == "" == refusal(check_flag, "f", False)
    assert refusal(check_choice, "arm", "c", ("a", "b")) == "arm: 'c' is not accepted; accepted: one of a, b"
    for value in (1, "true", None):
        assert refusal(check_flag, "f", value) == f"f: {value!r} is not accepted; accepted: true or false"


def test_a_config_error_has_its_parts_and_shortens_long_values() -> None:
    error = ConfigError("field", "x" * 500, "less")
    assert (error.field_name, error.value, error.accepted) == ("field", "x" * 500, "less")
    assert str(error) == "field: '" + "x" * 76 + "... is not accepted; accepted: less"
    assert repr("y" * 78) in str(ConfigError("field", "y" * 78, "less")), "80 characters are shown whole"
    assert "..." in str(ConfigError("field", "y" * 79, "less"))


def test_streams_are_those_of_stored_runs() -> None:
    """With other numbers here, runs with equal hashes would get other weights."""
    assert stream_seed(0, "train", 7) == 18046312690619709510
    assert stream_seed(3, "a", "b") == 7310874773857683124
    assert generator(0, "train", 7).integers(10**9, size=3).tolist() == [946744428, 154349640, 653615863]


MAKE_NUMBERS = {"core", "tasks", "recipes", "metrics", "model", "fused", "evaluation", "training"}


def test_the_version_depends_on_every_package_that_computes_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, copy = version.PACKAGE, tmp_path / "lgt"
    for package in (*MAKE_NUMBERS, "charts"):
        shutil.copytree(real / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(version, "PACKAGE", copy)

    def now() -> str:
        version._package_digest.cache_clear()
        return version.code_version()

    try:
        before = now()
        for package in sorted(MAKE_NUMBERS):
            path = next(path for path in sorted((copy / package).rglob("*.py")) if path.read_text())
            text = path.read_text()
            path.write_text(text + "\n# edited\n")
            assert now() != before, package
            path.write_text(text)
        assert now() == before
        chart = copy / "charts" / "accuracy.py"
        chart.write_text(chart.read_text() + "\n# edited\n")
        (copy / "core" / "notes.txt").write_text("no code")
        assert now() == before, "what draws a number does not make it"
        header = next((copy / "fused").rglob("*.hpp"))
        header.write_text(header.read_text() + "\n// edited\n")
        assert now() != before
    finally:
        version._package_digest.cache_clear()


def test_the_version_names_the_extensions_only_if_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = version.code_version()
    assert re.fullmatch(r"[0-9.]+\+src\.[0-9a-f]{12}", plain)
    monkeypatch.setattr(extensions, "digest", lambda: "00112233")
    assert version.code_version() == plain + ".ext.00112233"


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert paths.cache_directory() == tmp_path / ".cache" / "length-transfer-lab"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert paths.cache_directory() == tmp_path / "xdg" / "length-transfer-lab"
    monkeypatch.setenv("LGT_CACHE", str(tmp_path / "own"))
    assert paths.cache_directory() == tmp_path / "own"


def test_the_user_is_the_one_that_the_system_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    assert paths.user_id() == 4321
    monkeypatch.delattr(os, "getuid")
    assert paths.user_id() == 0, "Windows has no such number"
