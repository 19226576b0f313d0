"""Which runs count for a verdict, and that judging reads them once."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from sqlalchemy import event

from lgt.experiments.claims import verdict_counts
from lgt.experiments.experiment import Experiment
from lgt.experiments.judging import judge, judge_all
from lgt.experiments.registry import EXPERIMENTS
from lgt.metrics import trajectory
from lgt.recipes.builders import CO_TRAINED, three_arms
from lgt.store import leases, queries, writes
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store
from lgt.store.merge import merge
from lgt.store.tags import DELETED, change_tags
from tests.experiments.stores import fill, follow, two_levels
from tests.experiments.test_rules import CAPITALIZE, CONTROL, GAIN, MORE, REVERSE, arms


def test_a_seed_counts_where_every_series_has_finished(store):
    fill(store, MORE, {REVERSE: 0.9, CAPITALIZE: 0.2}, seeds=(0, 4))
    two_levels(store, MORE.series[REVERSE](5), 1.0, 0.9)
    found = judge(store, MORE)
    assert found.seeds == [0, 4] and found.outcome == "too few seeds" and found.left_out == {}
    two_levels(store, MORE.series[CAPITALIZE](5), 1.0, 0.2)
    assert judge(store, MORE).outcome == "reproduced"


def test_a_seed_whose_run_was_given_up_is_named_with_the_reason(store):
    fill(store, MORE, {REVERSE: 0.9, CAPITALIZE: 0.2}, seeds=(0, 1, 2, 4))
    two_levels(store, MORE.series[REVERSE](3), 1.0, 0.0)
    lost = writes.create_run(store, MORE.series[CAPITALIZE](3))
    leases.finish_run(store, lost, leases.start_run(store, lost, "w", "cpu"), "failed", error="disk full")
    found = judge(store, MORE)
    assert found.seeds == [0, 1, 2, 4] and found.left_out == {3: f"capitalize only: run {lost} failed"}
    assert f"left out, as a run of theirs was given up: seed 3 (capitalize only: run {lost} failed)" in found.sentence()
    change_tags(store, [queries.finished_by_hash(store)[MORE.series[REVERSE](4).hash()]], add=[DELETED])
    assert set(judge(store, MORE).left_out) == {3, 4}, "a run that somebody deleted does not vanish either"


def test_the_newest_run_is_the_one_that_finished_last_also_after_a_merge(store, tmp_path):
    older = open_store(str(tmp_path / "older.db"))
    fill(older, CONTROL, arms(0.9, 0.0, 0.0))
    fill(store, CONTROL, arms(0.0, 0.0, 0.0))
    merge(store, str(tmp_path / "older.db"))
    assert judge(store, CONTROL).outcome == "reproduced"
    co_trained = next(iter(comparisons(store).values())).runs["co-trained"]
    assert set(co_trained.values()) < set(judge(store, CONTROL).runs)


def test_an_empty_store_has_no_verdict(store):
    found = judge_all(store)
    assert {one.verdict for one in found} == {"not run yet"} and found[0].sentence() == "No finished seed yet"
    assert {one.experiment.name for one in found} == {one.name for one in EXPERIMENTS.values() if one.rule is not None}
    json.dumps([one.as_dict() for one in found])


def test_an_experiment_without_a_rule_is_not_judged(store):
    with pytest.raises(ValueError, match="first-results has no rule"):
        judge(store, EXPERIMENTS["first-results"])


def test_a_replaced_experiment_is_judged_and_does_not_count(store):
    fill(store, EXPERIMENTS["fig8-copy-short"], arms(0.0, 0.0, 0.0), seeds=range(5))
    found = judge_all(store)
    assert "reproduced" in [one.verdict for one in found] and "reproduced" not in verdict_counts(found, 2)
    order = [bool(one.experiment.replaced_by) for one in found if one.experiment.claim == 2]
    assert order == sorted(order), "after those that count"


@pytest.mark.slow
def test_judging_all_gives_the_judgements_of_judging_each(store):
    fill(store, EXPERIMENTS["fig8-copy"], arms(0.3, 0.0, 0.1), seeds=(0, 3))
    follow(store, EXPERIMENTS["fig18-maps"], lambda k: 1 - k / 11)
    for one in judge_all(store):
        assert one.as_dict() == judge(store, one.experiment).as_dict()


@pytest.mark.slow
def test_judging_all_reads_every_measurement_and_computes_every_trajectory_once(store, monkeypatch):
    follow(store, EXPERIMENTS["fig18-maps"], lambda k: 1 - k / 11)
    fill(store, EXPERIMENTS["fig4c"], arms(0.8, 0.1, 0.3))
    statements, followed = Counter(), []
    kept = trajectory.trajectory
    monkeypatch.setattr("lgt.experiments.evidence.trajectory", lambda *of: followed.append(1) or kept(*of))
    event.listen(store, "before_cursor_execute", lambda *of: statements.update([(of[2], str(of[3]))]))
    judge_all(store)
    assert len(followed) == 3, "one for each seed, though two experiments are about these runs"
    repeated = {of[0][:60] for of, count in statements.items() if count > 1 and of[0].startswith("SELECT")}
    assert not repeated and 4 <= len(statements) <= 10


def test_a_judgement_is_plain_in_json(store):
    fill(store, GAIN, arms(0.8, 0.1, 0.3), seeds=(0, 2))
    plain = json.loads(json.dumps(judge(store, GAIN).as_dict()))
    assert plain["rule"] == "gain" and plain["series"]["alone, same steps"] == pytest.approx({"0": 0.1, "2": 0.1})
    assert plain["learned"] == {"capitalize": 1.0, "capitalize_reverse": 1.0, "reverse": 1.0}


def test_series_that_are_the_same_run_share_it_and_the_run_is_listed_once(store):
    first = three_arms("caprev", "demo")
    second = {of: first[CO_TRAINED] for of in (CO_TRAINED, REVERSE)}
    twice = Experiment("twice", 1, "0", "demo", "?", second, GAIN.rule)
    assert len(twice.runs([0, 9])) == 2
