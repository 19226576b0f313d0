"""Ten steps give the bits that they have always given, so that no change of the code changes results unnoticed.

The code is compiled for any processor with AVX2, which others with wider vectors can run too. The order in which the
compiler adds numbers is its own, so the checksums belong to one compiler. Networks whose biases PyTorch computes from
parameters have none, because PyTorch's products differ between processors.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess

import numpy as np
import pytest
import torch

from lgt.core.config import RunConfig
from lgt.fused import library as fused_library
from lgt.fused.step import FusedStep
from lgt.model.decoder import Decoder
from lgt.training.batches import make_batch
from lgt.training.loop import learning_rate_factor
from tests.fused.test_step import SHAPES, fresh_library, threads

__all__ = ["fresh_library", "threads"]
STEPS = 10
COMPILER = 12
CHECKSUMS = {
    "linear biases, three heads": "708a688ccd9d25aa",
    "one layer, six times": "3854671691553717",
    "demo": "066572ea31a7044e",
    "fewer sequences than groups": "acba9a36c6bf9ca7",
    "heads of 8 channels": "8a1400e5032ceebc",
    "no positions": "6755a4fba789410d",
    "one layer, no qk norm": "55b58e420e421874",
    "sequences longer than a chunk": "426cacf7dedc9285",
    "three layers": "40d7059a2340b99a",
    "widths that fill no vector": "e70a51b04087f8f5",
    "two heads share keys": "0f23eec7876b9988",
    "one key head, tied": "a2daece796cb7c07",
    "nine heads share three keys, tied": "eeef6c3de3608c4d",
    "tied, two times": "25de209b4b5893e4",
}


def major_version() -> int | None:
    """The version of g++, if that is the compiler."""
    command = fused_library.compiler()
    if command is None or "g++" not in command[-1]:
        return None
    asked = subprocess.run([*command, "-dumpversion"], capture_output=True, text=True, check=True)
    return int(asked.stdout.split(".")[0])


def checksum(config: RunConfig) -> str:
    """The first digits of the SHA-256 of the weights after ten steps."""
    step = FusedStep(Decoder(config.model, 1), config.training)
    # PyTorch's first weights depend on the processor, those of NumPy do not.
    drawn = np.random.default_rng(1).normal(0.0, 0.1, len(step.parameters)).astype(np.float32)
    step.parameters.copy_(torch.from_numpy(drawn))
    for number in range(STEPS):
        step.step(make_batch(config, number), learning_rate_factor(config.training, number))
    return hashlib.sha256(step.parameters.numpy().tobytes()).hexdigest()[:16]


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the checksums are those of x86 processors")
@pytest.mark.skipif(major_version() != COMPILER, reason=f"the checksums are those of g++ {COMPILER}")
def test_ten_steps_have_the_bits_that_they_always_had(fresh_library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_library, "machine_flags", lambda: ("-march=x86-64-v3",))
    assert {name: checksum(SHAPES[name]) for name in CHECKSUMS} == CHECKSUMS
