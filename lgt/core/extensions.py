"""Extensions: Python files outside this package that add tasks, groups, encodings, rules or pages.

``LGT_EXTENSIONS`` names them, separated by commas: files (``my_task.py``) or importable modules (``my_package.lab``).
A path that has a comma is in double quotes.
Each is imported once, when a command or the dashboard starts, and registers what it adds (docs/EXTENDING.md). Worker
processes inherit the variable. An extension is code that runs with the user's rights. Therefore only the user's
environment can name an extension; a store, a web address or a page cannot.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from lgt.core import listed
from lgt.core.checks import ConfigError

VARIABLE = "LGT_EXTENSIONS"
_loaded: dict[str, ModuleType] = {}
_failed: dict[str, ConfigError] = {}
"""What was wrong with an extension. It is not imported again in this process, because it may have registered a part of
what it adds: the second try would then complain about that part and not about the mistake."""


def names() -> tuple[str, ...]:
    """The extensions that ``LGT_EXTENSIONS`` names, in order. Raises ConfigError for a quote that is not closed."""
    text = os.environ.get(VARIABLE, "")
    try:
        return tuple(listed.split(text, ","))
    except ValueError as error:
        accepted = 'files or modules with , between them, a path that has a comma in double quotes: "a,b.py",c.py'
        raise ConfigError(VARIABLE, text, f"{accepted} ({error})") from error


def load() -> tuple[ModuleType, ...]:
    """Import every extension that is not imported yet; returns all of them, in order.

    Raises ConfigError if an extension does not exist or its import fails. The message names it and gives the error.
    """
    for name in names():
        if name in _failed:
            raise _failed[name]
        if name not in _loaded:
            try:
                _loaded[name] = _imported(name)
            except ConfigError as error:
                _failed[name] = error
                raise
            except Exception as error:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                _failed[name] = ConfigError(VARIABLE, name, f"a file or module that can be imported ({reason})")
                raise _failed[name] from error
    return tuple(_loaded[name] for name in names())


def digest() -> str:
    """A hash of the extensions' sources, eight hexadecimal digits; empty without extensions. Part of the code
    version."""
    sources = [Path(str(module.__file__)).read_bytes() for module in load() if module.__file__]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()[:8] if sources else ""


def _imported(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    if not path.is_file():
        raise ConfigError(VARIABLE, name, "a file that exists, or the name of a module")
    known = f"lgt_extension_{path.stem}"
    spec = importlib.util.spec_from_file_location(known, path)
    if spec is None or spec.loader is None:
        raise ConfigError(VARIABLE, name, "a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[known]
        raise
    return module
