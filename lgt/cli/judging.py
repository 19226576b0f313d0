"""Commands that judge the paper's figures: experiment, claims, report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lgt.cli.shared_options import Also, AsJson, Database, Evidence, open_database, open_to_read, whole_number
from lgt.core import bounds
from lgt.core.checks import check_integer


def experiment(
    name: str,
    seeds: Annotated[str | None, typer.Option(help="Such as 0-4 or 0,2,5. Default: 0-4, or the planned seeds.")] = None,
    workers: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Single-thread worker processes.")] = 2,
    status: Annotated[bool, typer.Option("--status", help="Only print which runs are done or missing.")] = False,
    database: Database = None,
) -> None:
    """Make the runs of experiment NAME that the store does not have yet. You can interrupt and repeat the command."""
    from lgt.experiments.registry import experiment_named
    from lgt.experiments.seeds import FIRST_SEEDS, parse_seeds, seeds_text

    chosen = experiment_named(name)
    usual = seeds_text(chosen.planned) if chosen.planned else FIRST_SEEDS
    wanted = parse_seeds(usual if seeds is None else seeds)
    check_integer("--workers", workers, 1, bounds.PROCESSES.most)
    engine = open_database(database, create=not status, read_only=status)
    from lgt.execution.campaign import campaign_status, run_campaign

    if not status:
        run_campaign(engine, chosen, wanted, workers=workers)
    lines, complete = campaign_status(engine, chosen, wanted)
    for line in lines:
        print(line)
    if not complete and not status:
        raise typer.Exit(1)


def claims(
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    planned: Annotated[
        bool, typer.Option("--planned", help="Print the planned runs of preregistered experiments as CSV.")
    ] = False,
    database: Evidence = None,
    also: Also = None,
) -> None:
    """Print the verdict on every figure of the paper that has an experiment, and on the experiments beyond the paper,
    from the shipped results."""
    from lgt.experiments.claims import CLAIMS, verdict_counts
    from lgt.experiments.judging import judge_all
    from lgt.experiments.words import replaced_sentence, scale_sentence

    if planned:
        from lgt.experiments.planned import planned_csv

        print(planned_csv(), end="")
        return
    library = open_to_read(database, also, evidence=True)
    found = judge_all(library)
    if as_markdown:
        from lgt.experiments.tables import markdown_table
        from lgt.store import queries

        runs = queries.runs(library)
        print("\n".join(markdown_table(found, dict(zip(runs.id, runs.seconds, strict=True)))))
        return
    if as_json:
        several = len(library.members) > 1
        names = {"runs": [[library.name(run_id) for run_id in one.runs] for one in found]} if several else {}
        plain = [one.as_dict() | {key: of[place] for key, of in names.items()} for place, one in enumerate(found)]
        print(json.dumps(plain, indent=2))
        return
    for number, text in CLAIMS.items():
        print(f"\n{number}. {text} So far: {counted(verdict_counts(found, number))}.")
        for judgement in (one for one in found if one.experiment.claim == number):
            entry = judgement.experiment
            where = f"{entry.name} ({entry.source}, preset {entry.preset})"
            print(f"   {judgement.verdict:<16} {where}: {entry.statement}")
            print(f"   {'':<16} {judgement.sentence()}")
            print(f"   {'':<16} {scale_sentence(entry)}")
            if entry.replaced_by:
                print(f"   {'':<16} {replaced_sentence(entry)}")


def counted(verdicts: Mapping[str, int]) -> str:
    """The counts as text, such as ``2 reproduced, 1 not run yet``."""
    return ", ".join(f"{number} {outcome}" for outcome, number in verdicts.items())


def report(path: str, database: Evidence = None, also: Also = None) -> None:
    """Write all figures and verdicts with their sources to the HTML file PATH, which opens without a server."""
    from lgt.report.html import write_report

    print(write_report(open_to_read(database, also, evidence=True), Path(path)))
