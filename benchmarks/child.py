"""Run one function of this package in a fresh process: ``python -m benchmarks.child module:function JSON THREADS``."""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Print what the function returns as the last line of standard output, as JSON."""
    target, arguments, threads = sys.argv[1:]
    module, _, function = target.partition(":")
    import torch  # here, so that its import counts in the measured time, as for `lgt train`

    torch.set_num_threads(int(threads))
    print(json.dumps(getattr(importlib.import_module(f"benchmarks.{module}"), function)(**json.loads(arguments))))


if __name__ == "__main__":
    main()
