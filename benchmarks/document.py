"""BENCHMARKS.md: ``lgt bench`` rewrites the sections between markers, everything else is written by hand."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Section
from lgt.core.processors import usable_cores
from lgt.core.version import code_version

DOCUMENT = ROOT / "BENCHMARKS.md"
FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "sve")  # change numbers
VERSIONS = ("torch", "transformers", "transformer-lens", "streamlit", "altair")


class Refused(ValueError):
    """The request cannot be done. ``str()`` is one line that says what is accepted."""


def replaced(text: str, name: str, body: str) -> str:
    """``text`` with ``body`` between the markers of section ``name``; the rest stays. Raises Refused."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or begin in after:
        raise Refused(f"{DOCUMENT.name} has not exactly one section {begin} ... {end}")
    return f"{before}{begin}\n{body.strip()}\n{end}{after}"


def section_text(section: Section, command: list[str], threads: int) -> str:
    """The Markdown of a section: its lines, where and how they were measured, and its figures for programs."""
    parts = ["\n".join(section.lines), f"<sub>{provenance(command, threads)}</sub>"]
    if section.figures:
        parts.append(f"<!-- figures {json.dumps(section.figures, sort_keys=True)} -->")
    return "\n\n".join(parts)


def figures(text: str, name: str) -> dict[str, Any]:
    """The figures of section ``name`` in ``text``; empty where it was not measured."""
    begin, end = re.escape(f"<!-- bench:{name} -->"), re.escape(f"<!-- /bench:{name} -->")
    section = re.search(f"{begin}(.*?){end}", text, re.DOTALL)
    found = re.search(r"<!-- figures (.*?) -->", section.group(1)) if section else None
    return json.loads(found.group(1)) if found else {}


def write(name: str, section: Section, command: list[str], threads: int, path: Path = DOCUMENT) -> None:
    """Replace the section ``name`` of the document."""
    text = replaced(path.read_text(encoding="utf-8"), name, section_text(section, command, threads))
    scratch = path.with_suffix(".tmp")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)


def require(names: list[str], path: Path = DOCUMENT) -> None:
    """Raise Refused unless the document has the markers of all ``names``. Checked before hours of measuring."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for name in names:
        replaced(text, name, "")


def provenance(command: list[str], threads: int) -> str:
    """Date, command, machine and versions in one line."""
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    code = code_version().partition("+")[2]
    return f"{date}, `{shlex.join(command)}`, {threads} threads; {machine()}; {versions()}; code {code}"


def machine() -> str:
    """Processor, number of cores, and the processor flags that decide the speed of matrix products."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*:\s*(.*)", text)
    listed = re.search(r"(?:flags|Features)\s*:\s*(.*)", text)
    flags = [flag for flag in FLAGS if listed and flag in listed.group(1).split()]
    cores = usable_cores()
    name = model.group(1).strip() if model else platform.processor() or platform.machine()
    return f"{name}, {cores} cores" + (f" ({', '.join(flags)})" if flags else "")


def versions() -> str:
    """The installed versions of Python and of the compared packages."""
    found = [f"Python {platform.python_version()}"]
    for name in VERSIONS:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
