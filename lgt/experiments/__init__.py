"""Experiments: the runs of a figure, the rule that judges them, and the verdict. :func:`register` adds one."""

from lgt.experiments.claims import register_claim
from lgt.experiments.registry import register

__all__ = ["register", "register_claim"]
