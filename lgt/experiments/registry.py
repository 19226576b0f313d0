"""The experiments by name: the second edition of the paper's figures, the first, those beyond the paper, and those of
extensions.

``lgt experiment NAME`` makes the runs that a store does not have yet; :mod:`lgt.experiments.judging` applies the rule.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from lgt.core.checks import ConfigError
from lgt.experiments.beyond_paper import BEYOND_PAPER
from lgt.experiments.claims import CLAIMS
from lgt.experiments.experiment import Experiment
from lgt.experiments.paper_figures import PAPER_FIGURES
from lgt.experiments.pretraining import PRETRAINING
from lgt.experiments.second_edition import SECOND_EDITION
from lgt.recipes.builders import CO_TRAINED
from lgt.recipes.commands import EXPERIMENT_NAME

EXPERIMENTS: dict[str, Experiment] = {
    one.name: one for one in (*SECOND_EDITION, *PAPER_FIGURES, *BEYOND_PAPER, *PRETRAINING)
}


def register(experiment: Experiment) -> None:
    """Add an experiment of an extension. The Claims page and ``lgt claims`` judge it with the others.

    Raises ConfigError for a name that is already used or not allowed in a web address, for a claim that is not
    registered, for an experiment without series, for a rule without its texts or without the series that it needs, and
    for an unknown ``replaced_by``.
    """
    if experiment.name in EXPERIMENTS or not EXPERIMENT_NAME.fullmatch(experiment.name):
        raise ConfigError("experiment", experiment.name, "a free name of small letters, digits and hyphens")
    if experiment.claim not in CLAIMS:
        raise ConfigError("claim", experiment.claim, "one of " + ", ".join(map(str, CLAIMS)) + ", or register_claim")
    if not experiment.series:
        raise ConfigError("series", "nothing", "at least one series of runs")
    if experiment.replaced_by and experiment.replaced_by not in EXPERIMENTS:
        raise ConfigError("replaced_by", experiment.replaced_by, "an experiment that is registered already")
    _check_rule(experiment)
    EXPERIMENTS[experiment.name] = experiment


def _check_rule(experiment: Experiment) -> None:
    """Raise ConfigError for what would otherwise fail on the first page that shows the verdict."""
    rule = experiment.rule
    if rule is None:
        return
    for name in ("name", "quantity", "words"):
        if not getattr(rule, name, ""):
            raise ConfigError(f"{type(rule).__name__}.{name}", getattr(rule, name, None), "a text")
    if (rule.about_gain or rule.over_training) and CO_TRAINED not in experiment.series:
        labels = ", ".join(map(str, experiment.series))
        raise ConfigError(
            "series", labels, f"series with {CO_TRAINED} among them, which {type(rule).__name__} looks at"
        )


def experiment_named(name: str) -> Experiment:
    """The experiment with this name. Raises ConfigError, which lists the known names, for an unknown name."""
    if name not in EXPERIMENTS:
        raise ConfigError("experiment", name, "one of " + ", ".join(EXPERIMENTS))
    return EXPERIMENTS[name]


def made_by(hashes: Collection[str], seeds: Collection[int]) -> Experiment | None:
    """The experiment whose runs for these seeds include those with these config hashes, and not many others.

    It is found by its runs and not by a stored name, because experiments may be renamed. ``None`` if no experiment
    makes all of these runs, or if each that does makes more than three times as many.
    """
    made = {name: set().union(*(_hashes(name, seed) for seed in seeds)) for name in EXPERIMENTS}
    sizes = {name: len(of) for name, of in made.items() if set(hashes) <= of and len(of) <= 3 * len(set(hashes))}
    return EXPERIMENTS[min(sizes, key=lambda name: sizes[name])] if sizes else None


@lru_cache(maxsize=4096)
def _hashes(name: str, seed: int) -> frozenset[str]:
    return frozenset(config.hash() for config in EXPERIMENTS[name].runs([seed]))
