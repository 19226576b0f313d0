"""The promises of RELIABILITY.md, broken on purpose: killed, frozen, damaged, full, flooded.

Small here, so that every change is tested; large with ``make test-faults``, which sets ``LGT_FAULTS=full``.
"""

import os

FULL = os.environ.get("LGT_FAULTS") == "full"


def size(small: int, full: int) -> int:
    """How much of a fault: ``full`` on demand."""
    return full if FULL else small
