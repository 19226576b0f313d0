"""The device that trains a run: checks, preparation, and its name in the store."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from lgt.core.checks import ConfigError
from lgt.core.config import RunConfig
from lgt.fused.library import library
from lgt.fused.step import unsupported


def check_device(device: str) -> None:
    """Raise ConfigError when ``device`` is a GPU and this machine has none that PyTorch can use."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("--device", device, "cpu (no CUDA device is visible here)")


def prepare_device(device: str) -> None:
    """Compile the fused training step if ``device`` is a CPU, so that no run has to wait for the compiler."""
    if device == "cpu":
        library()


def device_name(device: str, config: RunConfig, together: int = 1) -> str:
    """The name of the device for ``config``: ``cpu Intel(R) Xeon(R) Processor, 1 thread, fused step, torch 2.9.0``.

    ``together``: how many runs are trained as one ensemble, which never uses the fused step.
    """
    ensemble = [f"up to {together} runs together"] * (together > 1)
    if device.startswith("cuda"):
        return ", ".join([f"{device} {torch.cuda.get_device_name(device)}", *ensemble])
    count = torch.get_num_threads()
    threads = f"{count} thread" + "s" * (count > 1)
    fused = together == 1 and not unsupported(config) and library() is not None
    parts = [f"{device} {processor_name()}", threads, *["fused step"] * fused, f"torch {torch.__version__}"]
    return ", ".join([*parts, *ensemble])


def processor_name() -> str:
    """The processor's model name if the system provides it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
