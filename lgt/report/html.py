"""A report of every figure with a verdict as one HTML file: verdicts, charts as SVG, provenance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lgt.charts import LIGHT
from lgt.charts.svg import vector
from lgt.core.plain_text import for_html, in_all_texts
from lgt.experiments.claims import CLAIMS, counting, verdict_counts
from lgt.experiments.judgements import Judgement
from lgt.experiments.judging import judge_all
from lgt.experiments.tables import correlation_frame, overview_charts
from lgt.experiments.words import replaced_sentence, scale_sentence
from lgt.recipes.commands import experiment_command
from lgt.recipes.labels import provenance
from lgt.report.figures import resolve
from lgt.store import queries
from lgt.store.archive_readme import titles
from lgt.store.atomic_files import write_atomically
from lgt.store.errors import StoreError
from lgt.store.library import Library, Source, with_stores

ACROSS, WIDTH = 880, 420
"""Width of a chart across the page, and of one of two beside each other, px."""
STYLE = """
body { font: 16px/1.5 "Source Sans 3", "Segoe UI", Helvetica, Arial, sans-serif; color: #1d2733; margin: 3rem auto;
  max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 2rem; line-height: 1.2; } h2 { margin-top: 3rem; } h3 { margin: 2rem 0 0.2rem; font-size: 1.1rem; }
.note { color: #5f6b7a; font-size: 0.92rem; } code { font-size: 0.9em; }
.verdict { display: inline-block; border: 1px solid; border-radius: 0.4rem; padding: 0 0.5rem; margin-right: 0.4rem;
  font-weight: 600; font-size: 0.9rem; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; } .charts figure { margin: 0; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 0.5rem 0; }
th, td { text-align: left; padding: 0.15rem 0.9rem 0.15rem 0; font-weight: normal; } th { color: #5f6b7a; }
svg { max-width: 100%; height: auto; }
"""


def write_report(source: Source, path: Path) -> Path:
    """Write the report of one store or several to ``path``, whole or not at all, and return it.

    Raises StoreError where it cannot be written, or without the package that draws charts into a file.
    """
    text = "\n".join(page(source))
    try:
        write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
    return path


def page(source: Source) -> Iterator[str]:
    """The report's lines."""
    judgements = judge_all(source)
    now = datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC")
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><title>Length Transfer Lab</title>'
    yield f"<style>{STYLE}</style>"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<h1>Length generalization transfers between related tasks: what our runs say</h1>"
    yield (
        "<p>Cai, Lee, Schwarzschild, Oymak, Papailiopoulos, <cite>Extrapolation by Association: Length Generalization "
        "Transfer in Transformers</cite>, arXiv 2506.09251, figure by figure. Models, training time and most lengths "
        "are smaller than the paper's; the preset is named with each figure. docs/CLAIMS.md has the rules of the "
        "verdicts and says which of them were written before their runs.</p>"
    )
    yield f'<p class="note">From {for_html(titles(source))}, {now}.</p>'
    if not any(one.seeds for one in judgements):
        yield "<p>No finished seed of any figure yet.</p>"
        return
    for chart in resolve(overview_charts(counting(judgements)), LIGHT):
        yield f"<figure>{svg(chart(), ACROSS)}</figure>"
    for number, statement in CLAIMS.items():
        verdicts = ", ".join(f"{count} {outcome}" for outcome, count in verdict_counts(judgements, number).items())
        yield f"<h2>{number}. {for_html(statement)}</h2><p>So far: {verdicts}.</p>"
        for judgement in (one for one in judgements if one.experiment.claim == number):
            yield from section(source, judgement)


def section(source: Source, judgement: Judgement) -> Iterator[str]:
    """One figure: verdict, numbers, a curve for each series, where they come from."""
    experiment = judgement.experiment
    colour = LIGHT.verdict(judgement.verdict)
    yield f'<h3><span class="verdict" style="color: {colour}">{judgement.verdict}</span> '
    asked = experiment.source[:1].upper() + experiment.source[1:]
    yield f"{for_html(asked)}: {for_html(experiment.statement)}</h3>"
    yield f"<p>{for_html(judgement.sentence())}.</p>"
    notes = (scale_sentence(experiment), replaced_sentence(experiment))
    yield f'<p class="note">{for_html(". ".join(note for note in notes if note))}.</p>'
    correlations = correlation_frame(judgement)
    if not correlations.empty:
        yield correlations.to_html(index=False, border=0)
    if judgement.runs:
        yield '<div class="charts">'
        requests = judgement.charts(queries.accuracy(source, judgement.runs))
        for place, chart in enumerate(resolve(requests, LIGHT)):
            yield f"<figure>{svg(chart(), WIDTH if place else ACROSS)}</figure>"
        yield "</div>"
        runs = queries.runs(source, ids=judgement.runs)
        runs = with_stores(source, runs) if isinstance(source, Library) else runs
        yield f'<p class="note">{for_html(provenance(runs))}</p>'
    yield f'<p class="note">Repeat with <code>{for_html(experiment_command(experiment.name))}</code></p>'


def svg(chart: Any, width: int) -> str:
    """``chart`` as SVG, ``width`` px wide. Raises StoreError when the package for that is missing."""
    drawn = vector(in_all_texts(chart.to_dict()), width)
    if drawn is None:
        raise StoreError("a report needs the package vl-convert-python; install it with pip")
    return drawn
