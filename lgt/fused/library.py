"""Compiles the C++ sources of this package, keeps the library on disk and loads it.

A machine compiles again only when the sources, the compiler or the processor have changed.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lgt.core.paths import is_own_file, own_folder

SOURCES = Path(__file__).parent
HEADERS = ("matrix.hpp", "decoder.hpp")
# The compiler may reorder sums, so that it can vectorise them. NaN and infinity are still computed correctly, so that
# training notices a loss that is not finite. CXXFLAGS is not read, and -ffast-math in CXX is undone.
FLAGS = (
    "-O3", "-fno-fast-math", "-fno-finite-math-only", "-fno-unsafe-math-optimizations",
    "-std=c++17", "-shared", "-fPIC", "-pthread",
    "-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros",
)  # fmt: skip
COMPILE_SECONDS = 300
LEFTOVERS = ".compiling-"
"""Begins the names of the folders in which a compiler works."""
logger = logging.getLogger(__name__)


class Shape(ctypes.Structure):
    """``struct Shape`` of decoder.hpp."""

    _fields_ = (
        *(
            (name, ctypes.c_int64)
            for name in (
                "layers",
                "heads",
                "key_value_heads",
                "width",
                "hidden",
                "vocabulary",
                "rope",
                "qk_norm",
                "tied",
                "encoding",
            )
        ),
        ("theta", ctypes.c_float),
        ("epsilon", ctypes.c_float),
    )


class Packed(ctypes.Structure):
    """``struct Batch`` of step.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("tokens", "targets", "starts", "heads", "channels")),
        ("sequences", ctypes.c_int64),
    )


class Rates(ctypes.Structure):
    """``struct Rates`` of step.cpp."""

    _fields_ = (
        *((name, ctypes.c_float) for name in ("matrices", "others", "decay", "clip")),
        ("muon", ctypes.c_int64),
        ("step", ctypes.c_int64),
    )


def compiler() -> list[str] | None:
    """The command of the C++ compiler: ``CXX`` when it is set, such as ``ccache g++``, else g++ or clang++; None when
    there is none. Raises ValueError when ``CXX`` is no command line. ``CXXFLAGS`` is not read: results would differ."""
    try:
        wanted = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise ValueError(
            f"CXX={os.environ['CXX']!r} is not accepted ({error}); accepted: a command, such as ccache g++"
        ) from error
    commands = [wanted] if wanted else [["g++"], ["clang++"]]
    return next(([str(shutil.which(first)), *rest] for first, *rest in commands if shutil.which(first)), None)


def machine_flags() -> tuple[str, ...]:
    """Compiler flags for the processor of this machine."""
    if platform.machine() in ("x86_64", "AMD64"):
        return ("-march=native", "-mprefer-vector-width=512")
    return ("-mcpu=native",)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled code, or None if it cannot be made; then the reason is logged once."""
    loaded, reason = attempt()
    if loaded is None:
        logger.warning("%s: plain PyTorch, several times slower", reason)
    return loaded


@cache
def attempt() -> tuple[ctypes.CDLL | None, str]:
    """The compiled code, and the compiler that made it; or None, and the reason.

    Compiling takes a few seconds, once per machine, compiler and source.
    """
    try:
        chosen = compiler()
    except ValueError as error:
        return None, str(error)
    if chosen is None:
        return None, f"no C++ compiler found ({os.environ.get('CXX') or 'g++ or clang++'})"
    named = shlex.join(chosen)
    try:
        return _declared(ctypes.CDLL(str(compiled(chosen, SOURCES / "step.cpp", HEADERS)))), named
    except (OSError, AttributeError, ValueError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", None) or str(error)
        detail = detail.decode(errors="replace") if isinstance(detail, bytes) else detail  # bytes after a time-out
        line = next((text for text in detail.splitlines() if "error" in text.lower()), detail.strip())
        return None, f"{named} cannot make the compiled code ({line.strip()[:200]})"


def compiled(chosen: list[str], source: Path, headers: Sequence[str]) -> Path:
    """The path of the shared library of ``source``, which is compiled if it does not exist or is damaged.

    ``chosen``: the command of the compiler. ``headers``: the names of the files of this folder that it includes. Raises
    OSError or SubprocessError when it cannot be compiled.
    """
    command = [*chosen, *FLAGS, *machine_flags(), f"-I{SOURCES}", str(source)]
    version = subprocess.run(
        [*chosen, "--version"], capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=60
    ).stdout
    words = [*command[:-2], version, _programs(chosen), _processor()]
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape"))
    for path in (*(SOURCES / name for name in headers), source):
        digest.update(path.read_bytes())
    return _compile_into(own_folder("code"), f"{source.stem}-{digest.hexdigest()[:16]}.so", command)


def _compile_into(directory: Path, name: str, command: list[str]) -> Path:
    target, checksum = directory / name, directory / f"{name}.sha256"
    if _is_whole(target, checksum):
        return target
    _remove_leftovers(directory)
    with tempfile.TemporaryDirectory(prefix=LEFTOVERS, dir=directory) as scratch:
        made, sum_ = Path(scratch) / name, Path(scratch) / checksum.name
        subprocess.run(
            [*command, "-o", str(made)], capture_output=True, encoding="utf-8", errors="replace", check=True,
            timeout=COMPILE_SECONDS,
        )  # fmt: skip
        made.chmod(0o700)  # the umask may leave it open to a group, and then is_own_file refuses it
        sum_.write_text(hashlib.sha256(made.read_bytes()).hexdigest(), encoding="ascii")
        sum_.chmod(0o600)
        os.replace(made, target)  # so that another process sees the complete file or no file
        os.replace(sum_, checksum)
    return target


def _is_whole(target: Path, checksum: Path) -> bool:
    """Whether the compiled code is the one that this user wrote: a file in a cache may be cut, damaged or planted."""
    try:
        if not is_own_file(target) or not is_own_file(checksum):
            return False
        return checksum.read_text(encoding="ascii") == hashlib.sha256(target.read_bytes()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def _remove_leftovers(directory: Path) -> None:
    """Remove the folders of compilers that were killed: those older than a compiler may run."""
    for folder in directory.glob(f"{LEFTOVERS}*"):
        try:
            if folder.stat().st_mtime < time.time() - 2 * COMPILE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue


def _programs(chosen: list[str]) -> str:
    """Which programs the words of a compiler's command are: a script may have another compiler's version."""
    found = [Path(path).resolve() for path in map(shutil.which, chosen) if path]
    return "\0".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in found)


def _processor() -> str:
    """Name and features of the processor. ``-march=native`` depends on them, and machines may share a cache folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    loaded.lgt_create.argtypes = [ctypes.POINTER(Shape), ctypes.POINTER(integer), integer]
    loaded.lgt_create.restype = pointer
    loaded.lgt_destroy.argtypes, loaded.lgt_destroy.restype = [pointer], None
    loaded.lgt_parameters.argtypes, loaded.lgt_parameters.restype = [pointer], integer
    loaded.lgt_gradients.argtypes = [*[pointer] * 3, ctypes.POINTER(Packed), pointer, pointer, integer]
    loaded.lgt_gradients.restype = ctypes.c_double
    loaded.lgt_answers.argtypes = [
        ctypes.POINTER(Shape), ctypes.POINTER(integer), integer, pointer, ctypes.POINTER(Packed), pointer, integer,
        pointer, pointer,
    ]  # fmt: skip
    loaded.lgt_answers.restype = None
    loaded.lgt_update.argtypes, loaded.lgt_update.restype = [*[pointer] * 5, ctypes.POINTER(Rates), integer], None
    return loaded
