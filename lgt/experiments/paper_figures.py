"""The experiments for the figures of the paper, with their runs and the rule that judges them.

Figures are those of Cai et al. (arXiv 2506.09251); the statements are in our words. docs/CLAIMS.md explains the rules
and lists which of them were written before their runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lgt.experiments.experiment import Experiment
from lgt.experiments.rules.base import Rule
from lgt.experiments.rules.does_not_track import DoesNotTrack
from lgt.experiments.rules.gain import Gain
from lgt.experiments.rules.more import More
from lgt.experiments.rules.more_gain import MoreGain
from lgt.experiments.rules.no_gain import NoGain
from lgt.experiments.rules.ratio import Ratio
from lgt.experiments.rules.tracks import Tracks
from lgt.experiments.rules.unstable_over_seeds import UnstableOverSeeds
from lgt.experiments.rules.unstable_over_steps import UnstableOverSteps
from lgt.recipes.builders import (
    BOTH,
    CO_TRAINED,
    FAST,
    THREE_LAYERS,
    Maker,
    Series,
    changed,
    densely_measured,
    grid,
    of_group,
    one_auxiliary,
    positions,
    three_arms,
    with_one_auxiliary,
)

Runs = Mapping[Series, Maker]


def _first_results() -> dict[Series, Maker]:
    series: dict[Series, Maker] = {}
    for group, preset in (("caprev", "demo"), ("add-carry", "small"), ("control-add", "small")):
        series |= three_arms(group, preset, prefix=f"{group}, ")
    return series


def _beside_subtraction(preset: str, *settings: str) -> dict[Series, Maker]:
    """Addition with subtraction, and the baselines. For figure 17 the co-trained runs have more measurements."""
    arms = changed(three_arms("add-subtract", preset), *settings)
    return arms | changed({CO_TRAINED: densely_measured("add-subtract", preset)}, *settings)


def _gain(name: str, figures: str, preset: str, statement: str, series: Runs, replaced_by: str = "") -> Experiment:
    """A figure of claim 1."""
    return Experiment(name, 1, figures, preset, statement, series, Gain(), replaced_by=replaced_by)


def _control(name: str, preset: str, statement: str, series: Runs, replaced_by: str = "") -> Experiment:
    """A figure of claim 2."""
    return Experiment(name, 2, "8", preset, statement, series, NoGain(), replaced_by=replaced_by)


def _positions(name: str, preset: str, statement: str, series: Runs, replaced_by: str = "") -> Experiment:
    """A figure of claim 5."""
    rule = MoreGain(better="rope", worse="nope")
    return Experiment(name, 5, "12, 13", preset, statement, series, rule, replaced_by=replaced_by)


def _more(name: str, group: str, preset: str, statement: str, better: Maker | str, worse: str) -> Experiment:
    """A figure of claim 3. ``better``: the runs with both auxiliaries, or the single auxiliary that is expected to give
    more transfer. ``worse``: the single auxiliary that is expected to give less."""
    first = with_one_auxiliary(better) if isinstance(better, str) else BOTH
    second = with_one_auxiliary(worse)
    make = one_auxiliary(group, preset, better) if isinstance(better, str) else better
    series = {first: make, second: one_auxiliary(group, preset, worse)}
    return Experiment(name, 3, "14", preset, statement, series, More(better=first, worse=second), seeds=3)


def _circuits(
    name: str, group: str, preset: str, figures: str, pair: str, maps: type[Tracks] = Tracks,
    attention: type[Tracks] = Tracks, settings: Sequence[str] = (), replaced_by: str = "",
) -> list[Experiment]:  # fmt: skip
    """The two experiments of a pair for claim 8: does the gap follow the ablation maps, and the attention patterns?"""
    series = changed({CO_TRAINED: densely_measured(group, preset)}, *settings)

    def entry(ending: str, what: str, rule: Rule) -> Experiment:
        statement = f"{what} {rule.name} the gap: {pair}."
        by = replaced_by and f"{replaced_by}-{ending}"
        return Experiment(f"{name}-{ending}", 8, figures, preset, statement, series, rule, seeds=3, replaced_by=by)

    return [
        entry("maps", "Ablation-map difference", maps(column="map_difference")),
        entry("attention", "Attention difference", attention(column="attention_difference")),
    ]


PAPER_FIGURES: tuple[Experiment, ...] = (
    _gain("fig3a", "3a, 3d", "small", "Digit sums and carries of longer numbers lift addition.",
          three_arms("add-carry", "small")),
    _gain("fig3b", "3b, 3d", "demo", "Longer subtraction lifts addition.", _beside_subtraction("demo")),
    _gain("fig3b-fast", "3b, 3d", "demo", "Longer subtraction lifts addition, at twice the learning rate.",
          _beside_subtraction("demo", FAST), "fig3b"),
    _gain("fig3b-fast-small", "3b, 3d", "small",
          "Longer subtraction lifts addition, at twice the learning rate and steps.",
          _beside_subtraction("small", FAST), "fig3b"),
    _gain("fig3b-shallow", "3b, 3d", "demo",
          "Longer subtraction lifts addition, in three layers, at twice the learning rate.",
          _beside_subtraction("demo", THREE_LAYERS, FAST), "fig3b"),
    _gain("fig3c", "3c, 3d", "demo", "Longer multiplication lifts addition.", three_arms("add-multiply", "demo")),
    _gain("fig3c-fast", "3c, 3d", "demo", "Longer multiplication lifts addition, at twice the learning rate.",
          changed(three_arms("add-multiply", "demo"), FAST), "fig3c"),
    _gain("fig3c-shallow", "3c, 3d", "demo",
          "Longer multiplication lifts addition, in three layers, at twice the learning rate.",
          changed(three_arms("add-multiply", "demo"), THREE_LAYERS, FAST), "fig3c"),
    _gain("fig3c-shallow-small", "3c, 3d", "small",
          "Longer multiplication lifts addition, in three layers, at twice the learning rate and steps.",
          changed(three_arms("add-multiply", "small"), THREE_LAYERS, FAST), "fig3c"),
    _gain("fig4a", "4a, 4b", "demo", "Longer associative recall lifts copying.", three_arms("copy-mqar", "demo")),
    _gain("fig4a-short", "4a, 4b", "demo", "Longer associative recall lifts copying, in 1,000 steps.",
          changed(three_arms("copy-mqar", "demo"), "training.steps=1000"), "fig4a"),
    _gain("fig4a-short-small", "4a, 4b", "small",
          "Longer associative recall lifts copying, at greater lengths in 2,000 steps.",
          changed(three_arms("copy-mqar", "small"), "training.steps=2000"), "fig4a"),
    _gain("fig4c", "4c, 4d", "demo", "Flipping case and reversing, each longer, lift both together.",
          three_arms("caprev", "demo")),
    _gain("fig6", "6", "small", "Longer shortest paths lift maze walks.", three_arms("dfs-path", "small")),
    _gain("fig6-shallow", "6", "small",
          "Longer shortest paths lift maze walks, in four layers, at twice the learning rate.",
          changed(three_arms("dfs-path", "small"), "model.layers=4", FAST), "fig6"),
    Experiment("fig7", 4, "7", "demo", "Swapped: longer maze walks lift shortest paths.",
               three_arms("path-dfs", "demo"), Gain()),
    _control("fig8-add", "small", "A longer unrelated copy does not lift addition.",
             three_arms("control-add", "small")),
    _control("fig8-copy", "demo", "A longer unrelated reversal does not lift copying.",
             three_arms("control-copy", "demo")),
    _control("fig8-copy-short", "demo", "A longer unrelated reversal does not lift copying, in 1,000 steps.",
             changed(three_arms("control-copy", "demo"), "training.steps=1000"), "fig8-copy"),
    _positions("fig12-strings", "demo", "Rotary positions beat none: flipping and reversing.",
               positions("caprev", "demo", "model.layers=4", "training.steps=3000")),
    _positions("fig12-strings-short", "demo",
               "Rotary positions beat none: flipping and reversing, in two layers and a third of the steps.",
               positions("caprev", "demo"), "fig12-strings"),
    _positions("fig12-arithmetic", "small", "Rotary positions beat none: addition.", positions("add-carry", "small")),
    _more("fig14-caprev-both", "caprev", "demo", "Two auxiliaries beat one: flipping case and reversing.",
          of_group("caprev", "demo"), "reverse"),
    _more("fig14-caprev-closer", "caprev", "demo", "Reversing helps both together more than flipping.",
          "reverse", "capitalize"),
    _more("fig14-add-both", "add-carry", "small", "Two auxiliaries beat one: digit sums and carries.",
          of_group("add-carry", "small"), "no_carry"),
    _more("fig14-add-closer", "add-carry", "small", "Digit sums help addition more than carries do.",
          "no_carry", "carry_only"),
    Experiment("fig10", 6, "10", "demo", "The gap is smallest where training lengths are alike.", grid(), Ratio(),
               seeds=3),
    Experiment("fig11-seeds", 7, "11", "small", "Transfer differs from seed to seed: addition.",
               {CO_TRAINED: densely_measured("add-carry", "small")}, UnstableOverSeeds()),
    Experiment("fig11-steps", 7, "11", "small", "Transfer comes and goes during training: addition.",
               {CO_TRAINED: densely_measured("add-carry", "small")}, UnstableOverSteps()),
    *_circuits("fig11", "add-carry", "small", "11", "addition beside digit sums and carries"),
    *_circuits("fig17", "add-subtract", "demo", "17", "addition beside subtraction"),
    *_circuits("fig17-fast", "add-subtract", "demo", "17", "addition beside subtraction, at twice the learning rate",
               settings=(FAST,), replaced_by="fig17"),
    *_circuits("fig17-fast-small", "add-subtract", "small", "17",
               "addition beside subtraction, at twice the learning rate and steps", settings=(FAST,),
               replaced_by="fig17"),
    *_circuits("fig17-shallow", "add-subtract", "demo", "17",
               "addition beside subtraction, in three layers, at twice the learning rate",
               settings=(THREE_LAYERS, FAST), replaced_by="fig17"),
    *_circuits("fig18", "caprev", "demo", "18", "flipping case and reversing", attention=DoesNotTrack),
    *_circuits("fig19", "control-add", "small", "19", "the unrelated copy beside addition", DoesNotTrack,
               DoesNotTrack),
    Experiment("first-results", 1, "3a, 4c, 8", "demo and small",
               "The runs of figures 3a, 4c and 8-add, which came first.", _first_results()),
)  # fmt: skip
