"""Short names for people. A label never identifies a run."""

from __future__ import annotations

from collections.abc import Iterable

from lgt.config import Arm, RunConfig

ARM_TITLES: dict[Arm, str] = {
    "co-trained": "with auxiliary",
    "alone-same-steps": "alone, same steps",
    "alone-same-examples": "alone, same main-task examples",
}


def id_ranges(ids: Iterable[int]) -> str:
    """Numbers in words, neighbours as a range.

    >>> id_ranges([3, 1, 2, 7, 9, 10])
    '1–3, 7, 9–10'
    """
    ranges: list[list[int]] = []
    for number in sorted(set(ids)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in ranges)


def head_name(layer: int, head: int) -> str:
    """A head's name as charts and tables have it, counted from 1.

    >>> head_name(1, 0)
    'L2·H1'
    """
    return f"L{layer + 1}·H{head + 1}"


def run_label(config: RunConfig) -> str:
    """Such as ``caprev 8<-16 with auxiliary, seed 0``.

    >>> from lgt.presets import group_config
    >>> run_label(group_config("caprev", "demo", arm="alone-same-steps"))
    'caprev 8<-16 alone, same steps, seed 0'
    >>> run_label(group_config("caprev", "demo", position="nope"))
    'caprev 8<-16 with auxiliary, no positions, seed 0'
    """
    name = config.group if config.group != "custom" else config.main.task
    lengths = str(config.main.training_length)
    if config.transfer_length:
        lengths += f"<-{config.transfer_length}"
    elif config.others:
        lengths += f" beside {max(spec.training_length for spec in config.others)}"
    arm = ARM_TITLES[config.arm] if config.others or config.arm != "co-trained" else "alone"
    return f"{name} {lengths} {arm}{without_positions(config.model.position)}, seed {config.model_seed}"


def without_positions(position: str) -> str:
    """What a run's name says of positional encoding: nothing where there is one, as in nearly all runs."""
    return ", no positions" if position == "nope" else ""
