"""How many prompts a number counts, and that an edited source file is compiled again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lgt.core.config import RunConfig
from lgt.evaluation.ablation import ablation_map, head_score_rows
from lgt.evaluation.attention import attention_difference_rows, mean_patterns, pattern_difference
from lgt.evaluation.exact_match import accuracy_rows
from lgt.evaluation.test_sets import test_set
from lgt.fused import library as fused_library
from lgt.model.checkpoint import measured_copy
from lgt.model.decoder import Decoder
from lgt.tasks import task_named
from lgt.tasks.sampling import test_examples
from lgt.training.recorder import MemoryRecorder
from lgt.training.snapshots import attribution_lengths, measure, snapshot_steps
from tests.conftest import tiny
from tests.evaluation.reference import greedy_answers

EXAMPLES, PROGRESS, MAPPED = 120, 37, 11
"""Of the last step's accuracy, of the steps before and of the maps: no two alike, the first more than some lengths
have."""


def counting(**evaluation: int) -> RunConfig:
    """A run whose numbers of examples are all different."""
    config = tiny(steps=10)
    numbers = {"examples": EXAMPLES, "progress_examples": PROGRESS, "attribution_examples": MAPPED, "snapshots": 2}
    return replace(config, evaluation=replace(config.evaluation, **(numbers | evaluation)))


def prompts(config: RunConfig, task: str, length: int, most: int) -> int:
    """How many distinct test prompts there are, up to ``most``, counted by their tokens."""
    found = test_examples(task_named(task), length, most, config.evaluation.seed, config.options)
    return len(set(map(tuple, found.tokens.tolist())))


@pytest.fixture(scope="module")
def measured() -> tuple[RunConfig, Decoder, MemoryRecorder]:
    """An untrained model, measured at both of its snapshots."""
    config, recorder = counting(), MemoryRecorder()
    model = Decoder(config.model, seed=1)
    for step in snapshot_steps(config):
        measure(model, config, step, recorder)
    return config, measured_copy(model), recorder


def test_total_is_the_number_of_prompts_that_there_were(measured) -> None:
    config, _, recorder = measured
    early, last = snapshot_steps(config)
    for step, asked in ((early, PROGRESS), (last, EXAMPLES)):
        totals = {(row.task, row.length): row.total for row in recorder.accuracies[step]}
        assert totals == {cell: prompts(config, *cell, asked) for cell in totals}
        assert set(totals) == {
            (s.task, n) for s in config.tasks for n in range(1, config.evaluation.maximum_length + 1)
        }
    assert min(totals.values()) < EXAMPLES == max(totals.values()), (
        "some lengths have fewer prompts than were asked for"
    )


def test_correct_is_what_decoding_token_by_token_gets_right(measured) -> None:
    config, model, _ = measured
    rows = accuracy_rows(model, config, 23)
    for row in rows[::5]:
        batch = test_set(config, row.task, row.length, 23)
        right = (greedy_answers(model, batch) == batch.tokens).all(dim=1).sum()
        assert (row.correct, row.total) == (int(right), len(batch))


def test_maps_are_measured_with_the_number_of_examples_asked_for(measured) -> None:
    config, model, recorder = measured
    for step, rows in recorder.maps.items():
        lengths = {row.length for row in rows}
        assert lengths == set(attribution_lengths(config)) or step < config.training.steps
        expected = {(s.task, n): prompts(config, s.task, n, MAPPED) for s in config.tasks for n in lengths}
        assert {(row.task, row.length): row.examples for row in rows} == expected
    row = recorder.maps[config.training.steps][-1]
    again = ablation_map(model, test_set(config, row.task, row.length, MAPPED))
    assert row.loss_rise == pytest.approx(float(again.loss_rise[row.layer, row.head]), abs=1e-6)
    others = [ablation_map(model, test_set(config, row.task, row.length, n)).loss_rise for n in (PROGRESS, EXAMPLES)]
    assert all(row.loss_rise != pytest.approx(float(other[row.layer, row.head]), abs=1e-6) for other in others)


def test_attention_is_measured_with_the_number_of_examples_asked_for(measured) -> None:
    config, model, recorder = measured
    rows = recorder.differences[config.training.steps]
    row = rows[-1]
    sets = {n: [test_set(config, task, row.length, n) for task in (row.task_a, row.task_b)] for n in (MAPPED, PROGRESS)}
    found = {
        n: float(pattern_difference(*(mean_patterns(model, one) for one in pair))[row.layer, row.head])
        for n, pair in sets.items()
    }
    assert row.difference == pytest.approx(found[MAPPED], rel=1e-5) != pytest.approx(found[PROGRESS], rel=1e-5)
    assert {row.task_a for row in rows} == {config.main.task}
    assert {row.task_b for row in rows} == {spec.task for spec in config.auxiliaries}


@pytest.mark.parametrize("rows_of", [head_score_rows, attention_difference_rows])
def test_rows_are_those_of_the_lengths_given_and_no_others(measured, rows_of: Callable[..., list]) -> None:
    config, model, _ = measured
    rows = rows_of(model, config, [2, 5])
    assert {row.length for row in rows} == {2, 5}
    cells = {(row.layer, row.head) for row in rows}
    assert cells == {(n, h) for n in range(config.model.layers) for h in range(config.model.heads)}


# --- the compiled library


@pytest.fixture()
def compiled_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """The name that the library of a copy of the sources would get; nothing is compiled."""
    chosen = fused_library.compiler()
    if chosen is None:
        pytest.skip("no C++ compiler")
    shutil.copytree(fused_library.SOURCES, tmp_path / "fused")
    monkeypatch.setattr(fused_library, "SOURCES", tmp_path / "fused")
    monkeypatch.setattr(fused_library, "_compile_into", lambda directory, name, command: Path(name))
    return lambda: fused_library.compiled(chosen, fused_library.SOURCES / "step.cpp", fused_library.HEADERS).name


def sources() -> list[Path]:
    return sorted(path for path in fused_library.SOURCES.iterdir() if path.suffix in (".hpp", ".cpp", ".h"))


@pytest.mark.parametrize("file", [path.name for path in sources()])
def test_an_edited_source_or_header_gives_another_library(compiled_name, tmp_path: Path, file: str) -> None:
    before = compiled_name()
    assert compiled_name() == before
    edited = tmp_path / "fused" / file
    edited.write_text(edited.read_text() + "\n// another line\n")
    assert compiled_name() != before


def test_every_header_that_is_included_lies_beside_the_sources() -> None:
    included = {name for path in sources() for name in re.findall(r'#include "([^"]+)"', path.read_text())}
    assert included and included <= {path.name for path in sources()}


@pytest.mark.parametrize("part", ["FLAGS", "machine_flags", "_processor"])
def test_other_flags_or_another_processor_give_another_library(compiled_name, monkeypatch, part: str) -> None:
    before = compiled_name()
    other = ("-O0",) if part == "FLAGS" else (lambda: ("-O0",)) if part == "machine_flags" else (lambda: "another")
    monkeypatch.setattr(fused_library, part, other)
    assert compiled_name() != before
