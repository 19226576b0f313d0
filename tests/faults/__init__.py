"""Tests of the promises of RELIABILITY.md: kills, suspended processes, damaged files, a full disk, overload.

They are small in ``make test`` and large in ``make test-faults``, which sets ``LGT_FAULTS=full``.
"""

import os

FULL = os.environ.get("LGT_FAULTS") == "full"


def size(small: int, full: int) -> int:
    """The size of a fault: ``full`` if LGT_FAULTS asks for it, else ``small``."""
    return full if FULL else small
