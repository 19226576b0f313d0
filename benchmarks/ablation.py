"""One mean-ablation map, all heads and tasks in the transfer region: ours against TransformerLens hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks import harness
from benchmarks.harness import Disagreement, Section, Settings
from benchmarks.peers import as_hooked, trained_without_qk_norm
from lgt.core.config import RunConfig
from lgt.evaluation.ablation import head_score_rows
from lgt.evaluation.test_sets import test_set
from lgt.model.batch import Batch
from lgt.training.snapshots import attribution_lengths

TOLERANCE = 1e-5
Key = tuple[str, int, int, int]  # task, length, layer, head


def scores(hooked: Any, batch: Batch, hooks: list[tuple[str, Callable[..., Tensor]]]) -> tuple[Tensor, Tensor]:
    """Exact match [B] and mean cross-entropy [B] (nats) of the answers under ``hooks``."""
    logits = hooked.run_with_hooks(batch.tokens[:, :-1], return_type="logits", fwd_hooks=hooks)
    targets, mask = batch.tokens[:, 1:], batch.scored[:, 1:]
    nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none") * mask
    match = ((logits.argmax(-1) == targets) | ~mask).all(dim=1)
    return match, nats.sum(1) / mask.sum(1).clamp(min=1)


def replaced_by_mean(head: int, mean: Tensor) -> Callable[..., Tensor]:
    """A hook on ``hook_z`` [B, T, H, dh] that sets one head to ``mean`` [T, dh]."""

    def hook(value: Tensor, hook: object) -> Tensor:
        value[:, :, head] = mean
        return value

    return hook


def hooked_map(hooked: Any, batch: Batch) -> dict[tuple[int, int], tuple[float, float]]:
    """(layer, head) -> accuracy drop and loss rise."""
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(hooked.cfg.n_layers)]
    _, cache = hooked.run_with_cache(batch.tokens[:, :-1], names_filter=names)
    weight = batch.present[:, :-1, None, None].float()
    match, loss = scores(hooked, batch, [])
    found = {}
    for layer, name in enumerate(names):
        mean = (cache[name] * weight).sum(0) / weight.sum(0).clamp(min=1)  # [T, H, dh]
        for head in range(hooked.cfg.n_heads):
            hook = replaced_by_mean(head, mean[:, head])
            ablated_match, ablated_loss = scores(hooked, batch, [(name, hook)])
            drop = match.float().mean() - ablated_match.float().mean()
            found[layer, head] = float(drop), float((ablated_loss - loss).mean())
    return found


def hooked_rows(hooked: Any, config: RunConfig, lengths: list[int]) -> dict[Key, tuple[float, float]]:
    """The maps of every task at every one of ``lengths``."""
    found = {}
    with torch.inference_mode():
        for spec in config.tasks:
            for length in lengths:
                batch = test_set(config, spec.task, length, config.evaluation.attribution_examples)
                found |= {(spec.task, length, *place): pair for place, pair in hooked_map(hooked, batch).items()}
    return found


def require_same(mine: dict[Key, tuple[float, float]], theirs: dict[Key, tuple[float, float]]) -> None:
    """Raise Disagreement unless both maps have the same heads and the same numbers."""
    if mine.keys() != theirs.keys():
        raise Disagreement("ablation: the two maps have different heads, tasks or lengths")
    for key in mine:
        for what, a, b in zip(("accuracy drop", "loss rise"), mine[key], theirs[key], strict=True):
            if not abs(a - b) <= TOLERANCE:
                raise Disagreement(f"ablation: {what} of {key} is {a:.6f} here and {b:.6f} there")


def run(settings: Settings) -> Section:
    """One line: seconds of both sides for the maps of the transfer region."""
    config, model = trained_without_qk_norm(settings)
    low, high = config.main.training_length, config.transfer_length or 0
    lengths = [length for length in attribution_lengths(config) if low < length <= high]
    hooked = as_hooked(model)

    def ours() -> dict[Key, tuple[float, float]]:
        rows = head_score_rows(model, config, lengths)
        return {(row.task, row.length, row.layer, row.head): (row.accuracy_drop, row.loss_rise) for row in rows}

    pair = harness.alternate(
        lambda _: harness.seconds(ours), lambda _: harness.seconds(lambda: hooked_rows(hooked, config, lengths)),
        lambda: require_same(ours(), hooked_rows(hooked, config, lengths)), settings.repetitions,
    )  # fmt: skip
    what = f"{config.model.layers * config.model.heads} heads, {len(config.tasks)} tasks, lengths {lengths}, "
    row = [what + f"{config.evaluation.attribution_examples} examples", harness.spread(pair.ours, "s"),
           harness.spread(pair.peer, "s"), pair.ratio_text()]  # fmt: skip
    return Section(harness.table(["map", "ours", "TransformerLens", "times faster"], [row]))
