"""Optimizers of a run: Muon for all matrices of one shape at once, AdamW for the rest; and gradient clipping.

The first dimension of parameters may be the members of an ensemble (:mod:`lgt.training.ensemble`). Each member gets the
update that it would get alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from lgt.core.config import TrainingConfig
from lgt.core.frozen import is_frozen
from lgt.model.decoder import Decoder

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
SMALLEST_NORM = 1e-7


def orthogonalised(matrices: Tensor) -> Tensor:
    """``matrices`` [..., rows, columns] with singular values moved towards one; same shape and dtype.

    These are the five Newton-Schulz steps of Muon (Jordan et al. 2024), as batched products. The matrix is divided by
    its norm; then a singular value s becomes p(p(p(p(p(s))))), with p(s) = 3.4445 s - 4.7750 s^3 + 2.0315 s^5.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).reshape(-1, *sorted(matrices.shape[-2:]))  # at least as wide as tall
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=SMALLEST_NORM)
    a, b, c = COEFFICIENTS
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(matrices.shape)


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay for matrices [..., rows, columns] of any shapes.

    The updates equal those of ``torch.optim.Muon`` and of ``lgt/fused/step.cpp``. The same few operations
    update all matrices of one shape. Newton-Schulz runs in bfloat16 on a GPU and in float32 on the CPU, as in the fused
    step. Every parameter must have a gradient at every step.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every matrix once. ``closure`` belongs to PyTorch's interface; it is not supported (ValueError)."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameters in by_shape.values():
                self._update(parameters, group)

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        rate, decay, momentum = group["lr"], group["weight_decay"], group["momentum"]
        gradients = torch.stack([parameter.grad for parameter in parameters if parameter.grad is not None])
        state = self.state[parameters[0]]  # one state [matrices, ..., rows, columns] for all of this shape
        average = state.setdefault("momentum", torch.zeros_like(gradients)).lerp_(gradients, 1 - momentum)
        direction = gradients.lerp(average, momentum)
        rows, columns = direction.shape[-2:]
        update = orthogonalised(direction.bfloat16() if direction.is_cuda else direction).to(direction.dtype)
        torch._foreach_mul_(parameters, 1 - rate * decay)
        torch._foreach_add_(parameters, update.unbind(), alpha=-rate * max(1.0, rows / columns) ** 0.5)


def make_optimizers(
    model: Decoder, training: TrainingConfig, parameters: Mapping[str, Tensor] | None = None
) -> list[torch.optim.Optimizer]:
    """The optimizers for ``training.optimizer``; each parameter group has its base learning rate under ``base``.

    ``adamw``: AdamW for everything. ``muon``: :class:`Muon` for the matrices of the layers, AdamW for embedding,
    unembedding and gains. Weight decay applies only to matrices of the layers. ``parameters``, by name, are used
    instead of the model's parameters; they are the stacked parameters of several members. Frozen parameters
    (``training.frozen``) have no optimizer; :func:`freeze` keeps them out of the gradient.
    """
    layered = {name for name, p in model.named_parameters() if name.startswith("layers.") and p.ndim == 2}
    given = dict(model.named_parameters()) if parameters is None else parameters
    chosen = {name: p for name, p in given.items() if not is_frozen(name, training.frozen)}
    matrices = [p for name, p in chosen.items() if name in layered]
    rest = [p for name, p in chosen.items() if name not in layered]
    rate, decay = training.learning_rate, training.weight_decay
    groups: list[dict[str, object]] = [{"params": rest, "lr": training.embedding_learning_rate, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = []
    if training.optimizer == "muon":
        optimizers += [Muon(matrices, lr=rate, weight_decay=decay)] if matrices else []
    else:
        groups.append({"params": matrices, "lr": rate, "weight_decay": decay})
    on_gpu = next(iter(chosen.values())).is_cuda
    fused = True if on_gpu else None  # one kernel for all parameters; on the CPU PyTorch chooses
    optimizers.append(torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=fused))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base"] = group["lr"]
    return optimizers


def freeze(parameters: Mapping[str, Tensor], training: TrainingConfig) -> None:
    """Let autograd compute no gradient of the frozen ones of ``parameters``, by name. The others stay as they are: an
    encoding may have parameters that are never trained."""
    for name, parameter in parameters.items():
        if is_frozen(name, training.frozen):
            parameter.requires_grad_(False)


def take_step(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Take one step of every optimizer at ``factor`` times its base rates, then remove the gradients."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def clip_each_member(parameters: Iterable[Tensor], limit: float) -> None:
    """Scale down the gradients of each member whose norm is above ``limit``, as ``clip_grad_norm_`` does for one model.

    ``parameters``: [members, ...]. The norm of a member is over all of its own parameters.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients])
    factor = (limit / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)  # [members]
    for gradient in gradients:
        gradient.mul_(factor.view(-1, *[1] * (gradient.ndim - 1)))
