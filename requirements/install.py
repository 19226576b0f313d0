"""Install what requirements.txt lists, and let pip check the SHA-256 of each file: ``python requirements/install.py``.

``make setup`` and the Dockerfile run this with the Python of the environment to fill. ``packages.lock`` and
``torch.lock`` have the hashes that PyPI gives for every platform (``make lock`` writes them).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
CHECKED = ("install", "--quiet", "--require-hashes", "--no-deps", "--requirement")


def pip(*words: str) -> bool:
    """Run pip; whether it succeeded. What it says goes to the terminal."""
    return subprocess.run([sys.executable, "-m", "pip", *words], check=False).returncode == 0


def quiet_pip(*words: str) -> bool:
    """Run pip without its messages; whether it succeeded."""
    ended = subprocess.run([sys.executable, "-m", "pip", *words], check=False, capture_output=True)
    return ended.returncode == 0


def torch_version() -> str:
    """The version of PyTorch in ``torch.lock``."""
    lines = (HERE / "torch.lock").read_text(encoding="utf-8").splitlines()
    return next(line.split()[0] for line in lines if line.startswith("torch==")).removeprefix("torch==")


def installed_torch() -> str:
    """The version of PyTorch in this environment, such as ``2.13.0+cpu``; empty without one."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


def install_torch(version: str, run: Callable[..., bool] = pip, try_quietly: Callable[..., bool] = quiet_pip) -> bool:
    """Install PyTorch; whether it succeeded.

    A build that somebody put into this environment or on this machine's disk (pip's ``find-links``) is used as it is:
    it is another file than PyPI's, so the lock does not have its hash. What comes over the network is checked.
    """
    found = installed_torch()
    if found.split("+")[0] == version:
        print(f"PyTorch {found} is installed already. Its hash is not checked.")
        return True
    with tempfile.TemporaryDirectory() as folder:
        on_disk = ("download", "--quiet", "--no-index", "--no-deps", "--dest", folder, f"torch=={version}")
        if not try_quietly(*on_disk):
            return run(*CHECKED, str(HERE / "torch.lock"))
        (file,) = Path(folder).iterdir()
        print(f"PyTorch from this machine's disk: {file.name}. Its hash is not checked.")
        return run("install", "--quiet", str(file))


def main() -> None:
    """Install everything. Ends with exit code 1 when pip refuses a file; pip's message names the file."""
    if not (pip(*CHECKED, str(HERE / "packages.lock")) and install_torch(torch_version())):
        sys.exit("The packages are not installed. See pip's message above.")


if __name__ == "__main__":
    main()
