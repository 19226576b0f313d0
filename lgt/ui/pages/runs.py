"""Runs: every run of the store, to find, mark, compare and open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from lgt.core.config import RunConfig
from lgt.core.glossary import definition
from lgt.recipes.commands import OWN_STORE, experiment_command, train_command
from lgt.recipes.labels import ARM_TITLES, config_title
from lgt.recipes.limits import read_only
from lgt.store.comparisons import Comparison
from lgt.store.queries import RunRecord
from lgt.ui import actions, address, data, frame, group_form, panels, run_table
from lgt.ui.numbers import counted

LEAD = (
    "Every run of this store. Tick runs to mark, compare or delete them. Open a run for its configuration and its "
    "measurements."
)
SHOWN = {"current": "Current", "starred": "Starred", "archived": "Archived", "deleted": "Deleted"}
FACETS = {"group": "Task group", "side": "Arm", "preset": "Preset", "state": "State"}
"""The filters by column of the table, which is also their name in the address."""
MOST_COMPARED = 6


def choose_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs that the viewer looks for."""
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    search = left.text_input(
        "Search", key="search", bind="query-params", placeholder="number, task, tag, note, error", max_chars=200
    )
    with right:
        keys = {title: key for key, title in SHOWN.items()}
        show = keys[address.segments("Show", list(keys), default="Current", key="show")]
    arms = {value: ARM_TITLES[arm] for arm, value in run_table.ARM_FACETS.items()}
    facets = {}
    for column, (name, title) in zip(st.columns(len(FACETS), gap="small"), FACETS.items(), strict=True):
        options = sorted(rows[name].unique())
        with column:
            facets[name] = address.select_several(
                title,
                options,
                default=[],
                maximum=len(options) or 1,
                key=name,
                shown=lambda value: arms.get(value, value),
            )
    return run_table.filtered(rows, search or "", facets, show=show)


def show_table(rows: pd.DataFrame, total: int) -> list[int]:
    """The table; returns the ids of the ticked runs."""
    st.caption(f"{len(rows):,} of {total:,} runs.")
    share: dict[str, Any] = {"format": "%.0f%%", "min_value": 0.0, "max_value": 100.0}
    columns: dict[str, Any] = {
        "run_id": st.column_config.NumberColumn("Run", format="%d", pinned=True),
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
    shown = rows[list(run_table.COLUMNS)].assign(**percent)
    event = st.dataframe(
        shown, key="table", hide_index=True, column_config=columns, on_select="rerun", selection_mode="multi-row",
        height=min(36 * (len(rows) + 1) + 3, 430), width="stretch",
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
        numbers = ", ".join(map(str, deleted[:10])) + (" …" if len(deleted) > 10 else "")
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
        show_star_button(ids, picked)
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
        broken = picked[picked.state.isin(["failed", "cancelled"])].run_id.tolist()
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
        tags_and_note_form(ids, picked)


def show_star_button(ids: list[int], picked: pd.DataFrame) -> None:
    """A button that stars runs, or removes the stars when all of them have one."""
    starred = bool(ids) and bool((picked.star != "").all())
    change = {"remove": ["star"]} if starred else {"add": ["star"]}
    st.button("Unstar" if starred else "Star", key="star", disabled=read_only() or not ids, on_click=actions.try_action,
              args=(actions.retag, ids), kwargs=change)  # fmt: skip


def tags_and_note_form(ids: list[int], picked: pd.DataFrame) -> None:
    """Tags and a note for the ticked runs."""
    with st.form("words", border=False):
        left, right, button = st.columns([3, 5, 1], vertical_alignment="bottom")
        common = set.intersection(*[set(tags.split(", ")) for tags in picked.tags]) - {""}
        tags = left.text_input("Tags, separated by commas", ", ".join(sorted(common)), max_chars=200)
        notes = picked.notes.unique()
        note = right.text_input("Note", notes[0] if len(notes) == 1 else "", max_chars=2000)
        if button.form_submit_button("Save", width="stretch"):
            typed = {tag.strip() for tag in tags.split(",")} - {""}
            actions.try_action(actions.retag, ids, add=sorted(typed), remove=sorted(common - typed))
            actions.try_action(actions.note, ids, note)
            st.rerun()


def for_each(action: Callable[[int], object], ids: list[int]) -> None:
    """Do ``action`` for every run."""
    for run_id in ids:
        action(run_id)


def open_run(ids: list[int]) -> None:
    """Open the page of one run. For a button."""
    st.query_params["run"] = str(ids[0])


def close_run() -> None:
    """Go back to the table. For a button."""
    st.query_params.pop("run", None)


def show_comparison(ids: list[int]) -> None:
    """The values in which the ticked runs differ, and their curves side by side."""
    if len(ids) > MOST_COMPARED:
        st.caption(f"Tick at most {MOST_COMPARED} runs to compare them.")
        return
    st.subheader("Compare", anchor=False)
    records = {run_id: data.read_run(run_id) for run_id in sorted(ids)}
    differing = run_table.config_differences({f"run {run_id}": record.config for run_id, record in records.items()})
    if differing.empty:
        st.caption("Their configurations are the same.")
    else:
        st.dataframe(differing, key="differences", hide_index=True, width="stretch")
    names = sorted(records)
    for start in range(0, len(names), 3):
        row = names[start : start + 3]
        for run_id, column in zip(row, st.columns(max(2, len(row)), gap="medium"), strict=False):
            with column:
                st.markdown(f"**Run {run_id}** · {title_of(records[run_id])}")
                accuracy = data.read_accuracy([run_id])
                if accuracy.empty:
                    st.caption("Nothing has been measured.")
                else:
                    panels.curve(accuracy, key=f"curve-{run_id}")


def title_of(record: RunRecord) -> str:
    """A run in words."""
    return frame.escaped(config_title(record.config))


def date_text(seconds: float | None) -> str:
    """A time (seconds since 1970) as a date in UTC, or that it has not come yet."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B %Y, %H:%M UTC") if seconds else "not yet"


def facts_of(record: RunRecord) -> dict[str, str]:
    """State, origin and marks of a run, in words."""
    return {
        "state": str(record.state) + (" (stale)" if record.stale else ""), "experiment": record.experiment or "none",
        "seeds": f"model {record.model_seed}, data {record.data_seed}",
        "steps": f"{record.step:,} of {record.total_steps:,}", "tokens": f"{record.tokens:,}",
        "training": f"{record.seconds:.0f} s", "created": date_text(record.created_at),
        "started": date_text(record.started_at),
        "finished": date_text(record.finished_at), "device": record.device or "none yet",
        "code": record.code_version or "unknown", "attempt": str(record.attempt), "config hash": record.config_hash,
        "tags": ", ".join(record.tags) or "none", "note": record.notes or "none",
    }  # fmt: skip


def show_run(row: pd.DataFrame) -> None:
    """Everything about one run; ``row`` is its row of the table."""
    run_id = int(row.run_id.iloc[0])
    record = data.read_run(run_id)
    own = comparison_of(record)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button("All runs", key="back", icon=":material/arrow_back:", on_click=close_run)
        show_star_button([run_id], row)
        st.markdown(page_links(record, own), width="content")
    st.subheader(f"{row.star.iloc[0]} Run {run_id} · {title_of(record)}".strip(), anchor=False)
    if record.error:
        st.error(f"{record.state}: {frame.escaped(record.error)}")
        if record.log_tail:
            st.code(record.log_tail, language=None, wrap_lines=True)
    accuracy = data.read_accuracy([run_id])
    left, right = st.columns([3, 2], gap="large")
    with left:
        if accuracy.empty:
            st.info("Nothing has been measured yet.")
        else:
            panels.curve(accuracy, key="curve")
    with right:
        facts = facts_of(record)
        st.table(pd.DataFrame({"value": facts.values()}, index=list(facts)), hide_header=True)
    if not read_only():
        tags_and_note_form([run_id], row)
    co_trained = own.config if own else None
    show_command(record, co_trained)
    fork = group_form.fork_sentence(record.config, co_trained)
    if fork:
        st.markdown(fork)
    if not accuracy.empty:
        counts = accuracy[["step", "task", "role", "length", "correct", "total"]]
        st.download_button("Counts of this run (CSV)", counts.to_csv(index=False), f"lgt-run-{run_id}.csv", key="csv")
        with st.expander("Training"):
            panels.training(data.read_accuracy([run_id], "all"), [run_id], key=str(run_id))
    with st.expander("Full configuration"):
        values = run_table.config_frame(record.config)
        differing = counted(int((values.changed != "").sum()), "value")
        st.caption(f"Different from the preset {frame.escaped(record.preset)}: {differing}.")
        order = values.sort_values("changed", ascending=False, kind="stable")
        st.dataframe(order, key="settings", hide_index=True, width="stretch")


def show_command(record: RunRecord, co_trained: RunConfig | None) -> None:
    """The command that makes this run; without one, that of its experiment. ``co_trained``: a run of its comparison."""
    command, kind = train_command(record.config, co_trained), "command"
    if not command and record.experiment:
        command, kind = experiment_command(record.experiment), "experiment"
    if command:
        st.caption(f"The {kind} that makes this run:")
        st.code(f"{command} {OWN_STORE}", language="bash", wrap_lines=True)


def comparison_of(record: RunRecord) -> Comparison | None:
    """The comparison in which a run counts. A baseline may count in several: then that of its own group."""
    found = [
        comparison for comparison in data.read_comparisons().values()
        if comparison.runs[record.config.arm].get(record.model_seed) == record.id
    ]  # fmt: skip
    return min(found, key=lambda one: one.setting.group != record.task_group, default=None)


def page_links(record: RunRecord, own: Comparison | None) -> str:
    """Links to the pages that show this run; ``own``: see :func:`comparison_of`."""
    links = []
    if own:
        arm = next(name for name, arm in run_table.ARM_ADDRESSES.items() if arm == record.config.arm)
        choice = {"pair": own.setting.key, "side": arm, "seed": record.model_seed}
        links.append(f"[Its heads](heads?{urlencode(choice)})")
    if record.state == "done" and record.id in data.runs_with_weights():
        links.append(f"[Open it in the playground](playground?run={record.id})")
    return " · ".join(links)


def main() -> None:
    if not data.exists() or data.read_runs().empty:
        frame.empty_store()
        return
    actions.show_refusal()
    asked = st.query_params.get("run", "")
    rows = run_table.table(data.read_runs(), data.read_final_accuracy())
    if asked.isdecimal() and len(asked) < 12 and int(asked) in set(rows.run_id):
        show_run(rows[rows.run_id == int(asked)])
        return
    if asked:
        st.warning(f"run: {frame.escaped(asked)} is not in this store. Enter the number of a run below.")
    if read_only():
        st.info("This dashboard is read-only: you can see everything, but change nothing.", icon=":material/lock:")
    found = choose_runs(rows)
    show_undo()
    ids = show_table(found, len(rows))
    show_buttons(ids, rows)
    if len(ids) > 1:
        show_comparison(ids)


def render() -> None:
    """Draw the page."""
    with frame.page("Runs", LEAD):
        main()
