"""Extensions: those in LGT_EXTENSIONS are imported once; one that cannot be imported gives one line."""

from __future__ import annotations

import hashlib
import sys

import pytest

from lgt.core import extensions
from lgt.core.checks import ConfigError


@pytest.fixture(autouse=True)
def none_loaded(monkeypatch):
    monkeypatch.setattr(extensions, "_loaded", {})
    monkeypatch.setattr(extensions, "_failed", {})


def test_without_the_variable_nothing_is_loaded_and_the_digest_is_empty():
    assert extensions.load() == () and extensions.digest() == ""


def test_a_file_and_a_module_are_imported_once_and_in_order(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text("import random\nvalue = random.random()\n")
    monkeypatch.setenv("LGT_EXTENSIONS", f"{path}, wave")
    first, second = extensions.load()
    assert second.__name__ == "wave" and extensions.load()[0].value == first.value


def test_the_digest_follows_the_source(tmp_path, monkeypatch):
    found = []
    for number in (1, 2):
        path = tmp_path / f"mine{number}.py"
        path.write_text(f"value = {number}\n")
        monkeypatch.setenv("LGT_EXTENSIONS", str(path))
        found.append(extensions.digest())
    assert len(set(found)) == 2 and all(len(one) == 8 for one in found)


@pytest.mark.parametrize(
    ("source", "message"),
    [(None, "a file that exists"), ("value = 1 / 0", "ZeroDivisionError"), ("import no_such_module", "no_such_module")],
)
def test_an_extension_that_cannot_be_imported_is_named_in_one_line(tmp_path, monkeypatch, source, message):
    path = tmp_path / "mine.py"
    if source is not None:
        path.write_text(source + "\n")
    monkeypatch.setenv("LGT_EXTENSIONS", str(path))
    with pytest.raises(ConfigError, match=message) as error:
        extensions.load()
    assert "\n" not in str(error.value) and "LGT_EXTENSIONS" in str(error.value) and extensions._loaded == {}


def test_a_second_try_repeats_the_mistake_and_imports_nothing_again(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text(f"open({str(tmp_path / 'tries')!r}, 'a').write('x')\nvalue = 1 / 0\n")
    monkeypatch.setenv("LGT_EXTENSIONS", str(path))
    for _ in range(2):
        with pytest.raises(ConfigError, match="ZeroDivisionError"):
            extensions.load()
    assert (tmp_path / "tries").read_text() == "x"


@pytest.mark.parametrize(
    ("source", "accepted"),
    [
        (None, "a file that exists, or the name of a module"),
        (
            "raise ValueError('first\\n  second')",
            "a file or module that can be imported (ValueError: first second)",
        ),
    ],
)
def test_each_try_gives_the_same_line(tmp_path, monkeypatch, source, accepted):
    monkeypatch.chdir(tmp_path)
    if source is not None:
        (tmp_path / "mine.py").write_text(source + "\n")
    monkeypatch.setenv("LGT_EXTENSIONS", "mine.py")
    for _ in range(2):
        with pytest.raises(ConfigError) as error:
            extensions.load()
        assert str(error.value) == f"LGT_EXTENSIONS: 'mine.py' is not accepted; accepted: {accepted}"


def test_the_digest_is_that_of_all_sources_in_order(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(f"value = '{name}'\n")
    monkeypatch.setenv("LGT_EXTENSIONS", f"{tmp_path / 'two.py'},{tmp_path / 'one.py'}")
    assert extensions.digest() == hashlib.sha256(b"value = 'two'\n\0value = 'one'\n").hexdigest()[:8]


def test_an_extension_is_a_module_while_it_is_read(tmp_path, monkeypatch):
    """A dataclass looks its module up by name."""
    path = tmp_path / "shapes.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n\n"
        "@dataclass\nclass Shape:\n    sides: int = 3\n"
    )
    monkeypatch.setenv("LGT_EXTENSIONS", str(path))
    (module,) = extensions.load()
    try:
        assert module.Shape().sides == 3 and sys.modules["lgt_extension_shapes"] is module
    finally:
        sys.modules.pop("lgt_extension_shapes", None)


def test_a_path_with_a_comma_is_named_in_quotes(tmp_path, monkeypatch):
    path = tmp_path / "my, tasks.py"
    path.write_text("LOADED = True\n")
    monkeypatch.setenv("LGT_EXTENSIONS", f'"{path}"')
    (module,) = extensions.load()
    assert module.LOADED


def test_a_quote_that_is_not_closed_is_one_line(monkeypatch):
    monkeypatch.setenv("LGT_EXTENSIONS", '"my, tasks.py')
    with pytest.raises(ConfigError, match=r"LGT_EXTENSIONS: .* is not accepted; .*double quotes.*a quote is open"):
        extensions.load()
