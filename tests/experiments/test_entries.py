"""The experiments themselves: their runs, their names, and what an extension may add."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from lgt.core.checks import ConfigError
from lgt.experiments import paper_figures, register, register_claim
from lgt.experiments import registry as entries
from lgt.experiments.claims import CLAIMS
from lgt.experiments.judging import judge, judge_all
from lgt.experiments.registry import EXPERIMENTS, experiment_named, made_by
from lgt.experiments.rules.base import Rule
from lgt.experiments.seeds import parse_seeds, seeds_text
from lgt.experiments.words import lengths_here, lengths_in_paper, scale_sentence
from lgt.recipes.builders import ALONE_SAME_STEPS
from lgt.store import queries
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.store.measurements import ACCURACY
from lgt.ui.panels import repeat_sentence
from tests.conftest import ROOT
from tests.experiments.test_rules import GAIN
from tests.packed import without


def test_every_experiment_makes_its_runs():
    for experiment in EXPERIMENTS.values():
        runs = experiment.runs([0, 1])
        assert len(runs) == len({config.hash() for config in runs}) and len(runs) >= len(experiment.series)
        assert experiment.claim in CLAIMS and {config.model_seed for config in runs} == {0, 1}


def test_a_figure_without_a_grid_has_one_transfer_length():
    for experiment in EXPERIMENTS.values():
        lengths = {config.transfer_length for config in experiment.runs([0])}
        if experiment.grid_lengths:
            assert len(experiment.series) == 25 and None in lengths, "half of the grid has no transfer region"
        elif experiment.rule is not None:
            assert None not in lengths and len(lengths) == 1


def test_an_entry_that_replaces_another_judges_the_same_figure_with_other_runs():
    replaced = {one.name: EXPERIMENTS[one.replaced_by] for one in EXPERIMENTS.values() if one.replaced_by}
    assert replaced
    for name, by in replaced.items():
        old = EXPERIMENTS[name]
        assert not by.replaced_by and (old.claim, old.figures, old.rule) == (by.claim, by.figures, by.rule)
        assert old.series.keys() == by.series.keys() and old.runs([0])[0].hash() != by.runs([0])[0].hash()


def test_the_scale_sentence_has_the_lengths_of_pairs_and_of_the_grid():
    assert (lengths_here(EXPERIMENTS["fig3a"]), lengths_in_paper(EXPERIMENTS["fig3a"])) == ("6 ← 12", "16 ← 32")
    assert (lengths_here(EXPERIMENTS["fig10"]), lengths_in_paper(EXPERIMENTS["fig10"])) == ("2 to 32", "4 to 256")
    said = scale_sentence(EXPERIMENTS["fig6-shallow"])
    assert "preset small, model.layers=4, training.learning_rate=0.04" in said and "The paper: lengths" in said


def test_runs_are_repeated_by_an_experiment_that_makes_them_whatever_it_was_called_then(shipped):
    engine = open_store(str(shipped))
    runs, named = queries.runs(engine), 0
    for comparison in comparisons(engine).values():
        shown = runs[runs.id.isin(comparison.ids(*comparison.runs))]
        sentence = repeat_sentence(shown, comparison)
        said = re.search(r"lgt experiment (\S+) --seeds ([^\s`]+)", sentence)
        assert said or "lgt train" in sentence
        if said:
            named += 1
            made = {config.hash() for config in EXPERIMENTS[said[1]].runs(parse_seeds(said[2]))}
            repeated = shown[shown.arm == "co-trained"] if "the co-trained ones" in sentence else shown
            assert set(repeated.config_hash) <= made and len(made) <= 3 * len(repeated)
    assert named > 5 and made_by({"0" * 16}, {0}) is None


def test_seeds_are_written_as_they_are_read():
    for seeds in ([0], [0, 1, 2], [1, 4, 9], [7, 8]):
        assert parse_seeds(seeds_text(seeds)) == seeds
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds("3-1")


@dataclass(frozen=True, kw_only=True)
class Nameless(Rule):
    """A rule without ``words``."""

    name = "nameless"
    quantity = "nothing"

    def measure(self, runs):
        raise NotImplementedError


@pytest.fixture()
def own_entries(monkeypatch):
    monkeypatch.setattr(entries, "EXPERIMENTS", dict(EXPERIMENTS))
    monkeypatch.setitem(CLAIMS, 90, "to be taken away again")


def test_an_extension_registers_an_experiment_and_a_claim(own_entries):
    register_claim(90, "to be taken away again")
    register(replace(GAIN, name="toy-1", claim=90))
    assert experiment_named("toy-1").claim == 90


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "fig3a"}, "free name"),
        ({"name": "two words"}, "free name"),
        ({"name": "toy-2", "claim": 77}, "claim"),
        ({"name": "toy-3", "series": {}}, "at least one series"),
        ({"name": "toy-4", "replaced_by": "fig3"}, "replaced_by: 'fig3'"),
        ({"name": "toy-5", "rule": Nameless()}, r"Nameless\.words: None is not accepted; accepted: a text"),
        (
            {"name": "toy-6", "series": {ALONE_SAME_STEPS: GAIN.series[ALONE_SAME_STEPS]}},
            "series with together among them",
        ),
    ],
)
def test_what_cannot_be_registered_is_refused_in_one_line(own_entries, changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        register(replace(GAIN, **changes))
    assert "\n" not in str(error.value) and changes["name"] not in set(entries.EXPERIMENTS) - set(EXPERIMENTS)


def test_a_claim_keeps_its_statement(own_entries):
    with pytest.raises(ConfigError, match="a number that is free"):
        register_claim(90, "another statement")


def table_of_verdicts() -> dict[str, tuple[str, str]]:
    """(figures, preset) by name, as docs/REPRODUCTION.md has them."""
    lines = [line.split(" | ") for line in (ROOT / "docs/REPRODUCTION.md").read_text().splitlines() if "`" in line]
    return {
        words[1].strip("`"): (words[0].lstrip("| "), words[2].split("`")[1])
        for words in lines
        if len(words) > 5 and "`" in words[2]
    }


def test_the_entries_that_the_module_makes_are_those_of_the_documents_and_of_the_shipped_runs(shipped):
    """The module is read again, because its entries are made when it is imported."""
    fresh = {one.name: one for one in importlib.reload(paper_figures).PAPER_FIGURES}
    done, documents = queries.finished_by_hash(open_store(str(shipped))), table_of_verdicts()
    assert list(fresh) == [name for name, one in EXPERIMENTS.items() if name in fresh]
    for name, one in fresh.items():
        known = EXPERIMENTS[name]
        assert replace(one, series={}) == replace(known, series={}), "claim, figures, statement, rule, seeds"
        for series, make in one.series.items():
            assert any(make(seed).hash() in done for seed in range(20)), f"{name}: no stored run of {series}"
            assert make(3) == known.series[series](3)
        if one.rule is not None:
            assert documents[name] == (one.figures, one.preset)
    judged = [one for one in fresh.values() if one.rule is not None]
    planned = {name for name, one in EXPERIMENTS.items() if one.planned}
    assert {one.name for one in judged} == set(documents) - planned and len(judged) > 40
    assert planned < set(documents), "preregistered experiments are in the table, with or without runs"


@pytest.mark.parametrize(
    ("name", "claim", "statement", "seeds"),
    [("fig3a", 1, "Digit sums and carries of longer numbers lift addition.", 5),
     ("fig11-maps", 8, "Ablation-map difference tracks the gap: addition", 3),
     ("fig11-attention", 8, "Attention difference tracks the gap: addition", 3)],
)  # fmt: skip
def test_some_entries_word_for_word(name, claim, statement, seeds):
    one = EXPERIMENTS[name]
    assert (one.claim, one.seeds) == (claim, seeds) and one.statement.startswith(statement)


@pytest.mark.slow
def test_a_seed_with_an_incomplete_run_is_left_out_and_the_reason_is_named(own_shipped):
    engine = open_store(str(own_shipped))
    before = judge(engine, EXPERIMENTS["fig3a"])
    series, of = next((series, run_id) for series, run_id in before.ids[1].items() if series.arm == "co-trained")
    empty = before.ids[2][series]
    gone = without(ACCURACY, lambda row: (row.run_id == empty) | (row.run_id == of) & np.isin(row.length, (8, 9, 11)))
    gone(own_shipped)
    after = judge(engine, EXPERIMENTS["fig3a"])
    assert set(before.ids) - set(after.ids) == {1, 2} and after.ids == {s: before.ids[s] for s in after.ids}
    missing = "; ".join(f"{task} is missing at length 8–9, 11" for task in ("reverse_add", "no_carry", "carry_only"))
    said = after.left_out[1].removeprefix(f"{series}: run {of} is incomplete (").removesuffix(")")
    assert sorted(said.split("; ")) == sorted(missing.split("; "))
    assert after.left_out[2] == f"{series}: run {before.ids[2][series]} is incomplete (no counts)"
    assert {seed: why for seed, why in after.left_out.items() if seed not in (1, 2)} == before.left_out
    assert judge_all(engine)[0].as_dict() == judge(engine, judge_all(engine)[0].experiment).as_dict()
