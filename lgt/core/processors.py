"""How many cores this process may use: fewer than the machine has under an affinity mask or a container's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

GROUPS, OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores(groups: Path = GROUPS, own: Path = OWN_GROUP) -> int:
    """The cores of this process, at least 1: the affinity mask, limited by the CPU quotas of its control groups.

    ``groups``: the folder of control groups, ``own``: the file that names those of this process (Linux).
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = _quotas(groups, own)
    return max(1, min([allowed, *(math.ceil(quota) for quota in quotas)]))


def _quotas(groups: Path, own: Path) -> list[float]:
    """The CPU quotas in cores of the control groups of this process and of those above them, version 1 and 2."""
    found = []
    for line in _text(own).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        base = groups if not controllers else groups / "cpu" if "cpu" in controllers.split(",") else None
        if base is None:
            continue
        inner = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(inner) + 1):
            quota = _quota(base.joinpath(*inner[:depth]))
            if quota:
                found.append(quota)
    return found


def _quota(folder: Path) -> float | None:
    words = _text(folder / "cpu.max").split() or [
        _text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")
    ]
    try:
        quota, period = (float(word) for word in words[:2])
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
