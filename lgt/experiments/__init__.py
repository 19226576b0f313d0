"""Experiments: a figure's runs, the rule that judges them, and the verdict. :func:`register` adds an experiment."""

from lgt.experiments.claims import register_claim
from lgt.experiments.registry import register

__all__ = ["register", "register_claim"]
