"""Runs: every run of the store, to find, mark, compare and open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from lgt.core import bounds
from lgt.core.glossary import definition
from lgt.core.plain_text import for_markdown
from lgt.recipes.labels import ARM_TITLES
from lgt.recipes.limits import read_only
from lgt.ui import actions, address, data, downloads, failure_pairs, frame, one_run, panels, run_search, run_table
from lgt.ui.titles import plain_table

LEAD = (
    "Every run of the stores that count here. Tick runs to mark, compare or delete them. Open a run for its "
    "configuration and its measurements."
)
SHOWN = {"current": "Current", "starred": "Starred", "archived": "Archived", "deleted": "Deleted"}
FACETS = {"group": "Task group", "side": "Arm", "preset": "Preset", "seed": "Seed", "state": "State"}
"""The filters by column of the table, which is also their name in the address."""


SEARCH_HELP = (
    "All terms have to hold. A word is searched in the run's number, tasks, tags, note and error; text in quotes "
    "may contain spaces. Numbers take `=` `!=` `>` `>=` `<` `<=`. Texts take `:` (contains), `=` and `!=`. "
    "`=` and `!=` compare shares in whole percents, as the table shows them. A comparison leaves out runs without "
    "the number."
)


def search_box() -> str:
    """The search text, with the fields it may name and, below it, the first part that cannot be read."""
    found = st.text_input(
        "Search",
        key="search",
        bind="query-params",
        placeholder="reverse seed=2 transfer>0.8",
        max_chars=bounds.SEARCH.most,
    )
    search = (found or "")[: bounds.SEARCH.most]
    problems = run_search.read_search(search).problems
    if problems:
        more = f" {len(problems) - 1} more cannot be read." if len(problems) > 1 else ""
        st.warning(f"{for_markdown(problems[0])}. The table is shown without this term.{more}")
    with st.expander("Search by field"):
        offered = [name for name in run_search.FIELDS if name != "store" or data.several()]
        st.markdown("\n".join(f"- `{run_search.FIELDS[n].example}`: {run_search.FIELDS[n].meaning}" for n in offered))
        st.caption(SEARCH_HELP)
    return search


def choose_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs that the viewer looks for."""
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="top")
    with left:
        search = search_box()
    with right:
        keys = {title: key for key, title in SHOWN.items()}
        show = keys[address.segments("Show", list(keys), default="Current", key="show")]
    arms = {value: ARM_TITLES[arm] for arm, value in run_table.ARM_FACETS.items()}
    facets = {}
    for column, (name, title) in zip(st.columns(len(FACETS), gap="small"), FACETS.items(), strict=True):
        options = [str(value) for value in sorted(rows[name].unique())]
        with column:
            facets[name] = address.select_several(
                title,
                options,
                default=[],
                maximum=len(options) or 1,
                key=name,
                shown=lambda value: arms.get(value, value),
            )
    return run_table.filtered(rows, search, facets, show=show)


def show_table(rows: pd.DataFrame, total: int) -> list[int]:
    """The table; returns the ids of the ticked runs."""
    st.caption(f"{len(rows):,} of {total:,} runs.")
    share: dict[str, Any] = {"format": "%.0f%%", "min_value": 0.0, "max_value": 100.0}
    columns: dict[str, Any] = {
        "number": st.column_config.NumberColumn("Run", format="%d", pinned=True),
        "store": st.column_config.TextColumn("Store", width=110, help=definition("store")),
        "star": st.column_config.TextColumn("★", width=40),
        "tasks": st.column_config.TextColumn("Tasks", width=330),
        "arm": st.column_config.TextColumn("Arm", width=130),
        "preset": "Preset",
        "position": st.column_config.TextColumn("Positions", width="small"),
        "seed": st.column_config.NumberColumn("Seed", format="%d"),
        "state": "State",
        "transfer": st.column_config.ProgressColumn(
            "Transfer", width=110, help=f"Transfer accuracy. {definition('transfer accuracy')}", **share
        ),
        "trained": st.column_config.ProgressColumn(
            "Trained", width=110, help="Exact match of the main task, averaged over its trained lengths.", **share
        ),
        "steps": st.column_config.NumberColumn("Steps", format="localized"),
        "seconds": st.column_config.NumberColumn("Training, s", format="%.0f"),
        "finished": st.column_config.DatetimeColumn("Finished (UTC)", format="D MMM YYYY, HH:mm", timezone="UTC"),
        "tags": "Tags",
        "notes": st.column_config.TextColumn("Notes", width="medium"),
    }
    percent = {name: 100 * rows[name] for name in ("transfer", "trained")}
    left_out = {"run_id"} | ({"store"} if not data.several() else set())
    shown = rows[[name for name in run_table.COLUMNS if name not in left_out]].assign(**percent)
    event = st.dataframe(
        plain_table(shown), key="table", hide_index=True, column_config=columns, on_select="rerun",
        selection_mode="multi-row",
        height=min(36 * (max(len(rows), 1) + 1) + 3, 430), width="stretch",
    )  # fmt: skip
    return [int(rows.run_id.iloc[place]) for place in event["selection"]["rows"] if place < len(rows)]


def mark_deleted(ids: Sequence[int]) -> None:
    """Mark runs as deleted, and remember them for Undo."""
    changed = actions.retag(ids, add=["deleted"])
    if changed:
        st.session_state["deleted"] = changed


def unmark_deleted(ids: Sequence[int]) -> None:
    """Undo :func:`mark_deleted`."""
    actions.retag(ids, remove=["deleted"])
    st.session_state.pop("deleted", None)


def show_undo() -> None:
    """The runs that were deleted last, and a button to undo it."""
    deleted = st.session_state.get("deleted")
    if deleted:
        text, button = st.columns([5, 1], vertical_alignment="center")
        numbers = ", ".join(map(data.name, deleted[:10])) + (" …" if len(deleted) > 10 else "")
        text.info(
            f"Deleted: run {numbers}. Deleted runs do not count in comparisons and verdicts. You can restore them."
        )
        button.button("Undo", key="undo", on_click=actions.try_action, args=(unmark_deleted, deleted), width="stretch")


def show_buttons(ids: list[int], rows: pd.DataFrame) -> None:
    """Buttons for the ticked runs."""
    picked = rows[rows.run_id.isin(ids)]
    locked = read_only() or not ids
    with st.container(horizontal=True, gap="small"):
        st.button("Open", key="open", disabled=len(ids) != 1, on_click=open_run, args=(ids[:1],))
        one_run.show_star_button(ids, picked)
        away = bool(ids) and bool(picked.archived.all())
        change = {"remove": ["archived"]} if away else {"add": ["archived"]}
        st.button("Unarchive" if away else "Archive", key="archive", disabled=locked, on_click=actions.try_action,
                  args=(actions.retag, ids), kwargs=change)  # fmt: skip
        live = picked[picked.state.isin(["queued", "running"])].run_id.tolist()
        st.button(
            "Cancel",
            key="cancel",
            disabled=locked or not live,
            on_click=actions.try_action,
            args=(for_each, actions.cancel, live),
        )
        broken = picked[picked.state.isin(run_table.BROKEN)].run_id.tolist()
        st.button(
            "Retry",
            key="retry",
            disabled=locked or not broken,
            on_click=actions.try_action,
            args=(for_each, actions.retry, broken),
        )
        if bool(ids) and bool(picked.deleted.all()):
            st.button(
                "Restore", key="restore", disabled=locked, on_click=actions.try_action, args=(unmark_deleted, ids)
            )
            sure = st.checkbox("I am sure", key="sure")
            st.button("Delete permanently", key="destroy", disabled=locked or not sure, on_click=actions.try_action,
                      args=(actions.delete, ids))  # fmt: skip
        else:
            st.button("Delete", key="delete", disabled=locked, on_click=actions.try_action, args=(mark_deleted, ids))
    if ids and not read_only():
        one_run.tags_and_note_form(ids, picked)


def for_each(action: Callable[[int], object], ids: list[int]) -> None:
    """Do ``action`` for every run."""
    for run_id in ids:
        action(run_id)


def open_run(ids: list[int]) -> None:
    """Open the page of one run. For a button."""
    st.query_params["run"] = data.name(ids[0])


def show_comparison(ids: list[int]) -> None:
    """The values in which the ticked runs differ, and their curves side by side."""
    if len(ids) > bounds.COMPARED.most:
        st.caption(f"Tick at most {bounds.COMPARED.most} runs to compare them.")
        return
    st.subheader("Compare", anchor=False)
    records = {run_id: data.read_run(run_id) for run_id in sorted(ids)}
    differing = run_table.config_differences(
        {f"run {data.name(run_id)}": record.config for run_id, record in records.items()}
    )
    if differing.empty:
        st.caption("Their configurations are the same.")
    else:
        st.dataframe(plain_table(differing), key="differences", hide_index=True, width="stretch")
    names = sorted(records)
    for start in range(0, len(names), 3):
        row = names[start : start + 3]
        for run_id, column in zip(row, st.columns(max(2, len(row)), gap="medium"), strict=False):
            with column:
                st.markdown(f"**Run {data.name(run_id)}** · {one_run.title_of(records[run_id])}")
                accuracy = data.read_accuracy([run_id])
                if accuracy.empty:
                    st.caption("Nothing has been measured.")
                else:
                    panels.curve(accuracy, key=f"curve-{run_id}", name=f"Curve run {data.name(run_id)}")


def main() -> None:
    if not data.exists() or data.read_runs().empty:
        frame.empty_store()
        return
    actions.show_refusal()
    asked = st.query_params.get("run", "")
    rows = data.read_run_table()
    run_id = data.run_named(asked)
    if run_id is not None:
        one_run.show_run(rows[rows.run_id == run_id])
        return
    if asked:
        st.warning(f"run: {for_markdown(asked)} is not in the stores that count here. Open a run below.")
    if read_only():
        st.info("This dashboard is read-only: you can see everything, but change nothing.", icon=":material/lock:")
    example = failure_pairs.example_link()
    if example:
        st.caption(example)
    found = choose_runs(rows)
    show_undo()
    ids = show_table(found, len(rows))
    show_buttons(ids, rows)
    st.download_button(
        "Runs of this table (CSV)", partial(downloads.runs_csv, found, data.library()), "lgt-runs.csv", "text/csv",
        key="runs-csv", on_click="ignore", type="tertiary", icon=":material/table:", help=downloads.HELP,
        disabled=found.empty,
    )  # fmt: skip
    if len(ids) > 1:
        show_comparison(ids)


def render() -> None:
    """Draw the page."""
    with frame.page("Runs", LEAD):
        main()
