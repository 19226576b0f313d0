"""Another backend for torch.compile: ``inductor``, which runs use, may compile for half a minute."""

from __future__ import annotations

import torch


def compile_with(backend: str, monkeypatch) -> list[torch.nn.Module]:
    """Compile modules with ``backend`` from now on; returns a list that grows with each module that asks for it.

    ``aot_eager`` traces and differentiates as ``inductor`` does, and runs the operations of PyTorch.
    """
    asked: list[torch.nn.Module] = []
    compile_module = torch.nn.Module.compile

    def compile_one(module, **options):
        asked.append(module)
        compile_module(module, **options, backend=backend)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_one)
    return asked
