"""Short names for people. A label never identifies a run."""

from __future__ import annotations

from lgt.config import Arm, RunConfig

ARM_TITLES: dict[Arm, str] = {
    "co-trained": "with auxiliary",
    "alone-same-steps": "alone, same steps",
    "alone-same-examples": "alone, same main-task examples",
}


def run_label(config: RunConfig) -> str:
    """Such as ``caprev 8<-16 with auxiliary, seed 0``.

    >>> from lgt.presets import group_config
    >>> run_label(group_config("caprev", "demo", arm="alone-same-steps"))
    'caprev 8<-16 alone, same steps, seed 0'
    """
    name = config.group if config.group != "custom" else config.main.task
    lengths = str(config.main.training_length)
    if config.transfer_length:
        lengths += f"<-{config.transfer_length}"
    elif config.others:
        lengths += f" beside {max(spec.training_length for spec in config.others)}"
    arm = ARM_TITLES[config.arm] if config.others or config.arm != "co-trained" else "alone"
    return f"{name} {lengths} {arm}, seed {config.model_seed}"
