"""Runs: every run of the store, to find, mark, compare and look into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from lgt.core.checks import ConfigError
from lgt.recipes import commands, labels
from lgt.recipes.limits import read_only
from lgt.recipes.settings import Setting
from lgt.store.comparisons import Comparison
from lgt.store.errors import StoreError
from lgt.store.queries import RunRecord
from lgt.ui import actions, address, data, frame, pair_form, panels, run_table

LEAD = "Every run of this store. Tick runs to mark, compare or remove them; open one for everything about it."
SHOWN = {"current": "Current", "starred": "Starred", "archived": "Archived", "deleted": "Deleted"}
FACETS = {"group": "Pair", "side": "Side", "preset": "Preset", "state": "State"}
MOST_COMPARED = 6


def choose(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs that the viewer looks for."""
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="bottom")
    search = left.text_input(
        "Search", key="search", bind="query-params", placeholder="number, task, tag, note, error", max_chars=200
    )
    with right:
        words = {word: key for key, word in SHOWN.items()}
        show = words[address.segments("Show", list(words), default="Current", key="show")]
    facets = {}
    for column, (name, title) in zip(st.columns(len(FACETS), gap="small"), FACETS.items(), strict=True):
        options = sorted(rows[name].unique())
        with column:
            facets[name] = address.select_several(
                title, options, default=[], maximum=len(options) or 1, key=name, shown=lambda value: value
            )
    return run_table.chosen(rows, search or "", facets, show=show)


def table(rows: pd.DataFrame, total: int) -> list[int]:
    """The table; returns the ids of the ticked runs."""
    st.caption(f"{len(rows):,} of {total:,} runs.")
    share: dict[str, Any] = {"format": "%.0f%%", "min_value": 0.0, "max_value": 100.0}
    columns: dict[str, Any] = {
        "run_id": st.column_config.NumberColumn("Run", format="%d", pinned=True),
        "star": st.column_config.TextColumn("★", width=40),
        "pair": st.column_config.TextColumn("Pair", width=330),
        "side": st.column_config.TextColumn("Side", width=130),
        "preset": "Preset",
        "position": st.column_config.TextColumn("Positions", width="small"),
        "seed": st.column_config.NumberColumn("Seed", format="%d"),
        "state": "State",
        "transfer": st.column_config.ProgressColumn(
            "Transfer", width=110, help="Exact match beyond the trained lengths, up to the longer task's.", **share
        ),
        "trained": st.column_config.ProgressColumn(
            "Trained", width=110, help="Exact match of the main task, mean over its trained lengths.", **share
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


def attempt(action: Callable[..., object], *arguments: object, **options: object) -> None:
    """Do what a button asks; what the store says against it is shown on the page."""
    try:
        action(*arguments, **options)
    except (ConfigError, StoreError) as error:
        st.session_state["refusal"] = str(error)


def put_away(ids: Sequence[int]) -> None:
    """Mark runs as deleted, and remember which, so that it can be undone."""
    changed = actions.retag(ids, add=["deleted"])
    if changed:
        st.session_state["deleted"] = changed


def bring_back(ids: Sequence[int]) -> None:
    """Undo :func:`put_away`."""
    actions.retag(ids, remove=["deleted"])
    st.session_state.pop("deleted", None)


def undo_line() -> None:
    """What was deleted last, and a way back."""
    deleted = st.session_state.get("deleted")
    if deleted:
        text, button = st.columns([5, 1], vertical_alignment="center")
        numbers = ", ".join(map(str, deleted[:10])) + (" …" if len(deleted) > 10 else "")
        text.info(f"Deleted: run {numbers}. They are out of comparisons and verdicts, and can be brought back.")
        button.button("Undo", key="undo", on_click=attempt, args=(bring_back, deleted), width="stretch")


def toolbar(ids: list[int], rows: pd.DataFrame) -> None:
    """What can be done with the ticked runs."""
    picked = rows[rows.run_id.isin(ids)]
    locked = read_only() or not ids
    with st.container(horizontal=True, gap="small"):
        st.button("Open", key="open", disabled=len(ids) != 1, on_click=open_run, args=(ids[:1],))
        star_button(ids, picked)
        away = bool(ids) and bool(picked.archived.all())
        change = {"remove": ["archived"]} if away else {"add": ["archived"]}
        st.button("Unarchive" if away else "Archive", key="archive", disabled=locked, on_click=attempt,
                  args=(actions.retag, ids), kwargs=change)  # fmt: skip
        live = picked[picked.state.isin(["queued", "running"])].run_id.tolist()
        st.button(
            "Cancel", key="cancel", disabled=locked or not live, on_click=attempt, args=(each, actions.cancel, live)
        )
        broken = picked[picked.state.isin(["failed", "cancelled"])].run_id.tolist()
        st.button(
            "Retry", key="retry", disabled=locked or not broken, on_click=attempt, args=(each, actions.retry, broken)
        )
        if bool(ids) and bool(picked.deleted.all()):
            st.button("Bring back", key="restore", disabled=locked, on_click=attempt, args=(bring_back, ids))
            sure = st.checkbox("I am sure", key="sure")
            st.button("Delete for good", key="destroy", disabled=locked or not sure, on_click=attempt,
                      args=(actions.delete, ids))  # fmt: skip
        else:
            st.button("Delete", key="delete", disabled=locked, on_click=attempt, args=(put_away, ids))
    if ids and not read_only():
        words(ids, picked)


def star_button(ids: list[int], picked: pd.DataFrame) -> None:
    """Star runs, or take their stars away when all have one."""
    starred = bool(ids) and bool((picked.star != "").all())
    change = {"remove": ["star"]} if starred else {"add": ["star"]}
    st.button("Unstar" if starred else "Star", key="star", disabled=read_only() or not ids, on_click=attempt,
              args=(actions.retag, ids), kwargs=change)  # fmt: skip


def words(ids: list[int], picked: pd.DataFrame) -> None:
    """Tags and a note for the ticked runs."""
    with st.form("words", border=False):
        left, right, button = st.columns([3, 5, 1], vertical_alignment="bottom")
        common = set.intersection(*[set(tags.split(", ")) for tags in picked.tags]) - {""}
        tags = left.text_input("Tags, separated by commas", ", ".join(sorted(common)), max_chars=200)
        notes = picked.notes.unique()
        note = right.text_input("Note", notes[0] if len(notes) == 1 else "", max_chars=2000)
        if button.form_submit_button("Save", width="stretch"):
            wanted = {tag.strip() for tag in tags.split(",")} - {""}
            attempt(actions.retag, ids, add=sorted(wanted), remove=sorted(common - wanted))
            attempt(actions.note, ids, note)
            st.rerun()


def each(action: Callable[[int], object], ids: list[int]) -> None:
    """Do ``action`` for every run."""
    for run_id in ids:
        action(run_id)


def open_run(ids: list[int]) -> None:
    """Put one run into the address."""
    st.query_params["run"] = str(ids[0])


def close_run() -> None:
    """Back to the table."""
    st.query_params.pop("run", None)


def compare(ids: list[int]) -> None:
    """In what the ticked runs differ, and their curves side by side."""
    if len(ids) > MOST_COMPARED:
        st.caption(f"Tick at most {MOST_COMPARED} runs to compare them.")
        return
    st.subheader("Compare", anchor=False)
    records = {run_id: data.read_run(run_id) for run_id in sorted(ids)}
    differing = run_table.config_differences({f"run {run_id}": record.config for run_id, record in records.items()})
    if differing.empty:
        st.caption("Their settings are the same.")
    else:
        st.dataframe(differing, key="differences", hide_index=True, width="stretch")
    names = sorted(records)
    for start in range(0, len(names), 3):
        row = names[start : start + 3]
        for run_id, column in zip(row, st.columns(max(2, len(row)), gap="medium"), strict=False):
            with column:
                st.markdown(f"**Run {run_id}** · {named(records[run_id])}")
                accuracy = data.read_accuracy([run_id])
                if accuracy.empty:
                    st.caption("Nothing measured.")
                else:
                    panels.curve(accuracy, key=f"curve-{run_id}")


def named(record: RunRecord) -> str:
    """A run in words."""
    return frame.plain(labels.config_title(record.config))


def when(seconds: float | None) -> str:
    """A moment in words."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B %Y, %H:%M UTC") if seconds else "not yet"


def facts(record: RunRecord) -> dict[str, str]:
    """Where a run comes from."""
    return {
        "state": str(record.state) + (" (stale)" if record.stale else ""), "experiment": record.experiment or "none",
        "seeds": f"model {record.model_seed}, data {record.data_seed}",
        "steps": f"{record.step:,} of {record.total_steps:,}", "tokens": f"{record.tokens:,}",
        "training": f"{record.seconds:.0f} s", "created": when(record.created_at), "started": when(record.started_at),
        "finished": when(record.finished_at), "device": record.device or "none yet",
        "code": record.code_version or "unknown", "attempt": str(record.attempt), "config hash": record.config_hash,
        "tags": ", ".join(record.tags) or "none", "note": record.notes or "none",
    }  # fmt: skip


def one_run(row: pd.DataFrame) -> None:
    """Everything about one run; ``row`` is its row of the table."""
    run_id = int(row.run_id.iloc[0])
    record = data.read_run(run_id)
    standing = standing_of(record)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button("All runs", key="back", icon=":material/arrow_back:", on_click=close_run)
        star_button([run_id], row)
        st.markdown(elsewhere(record, standing), width="content")
    st.subheader(f"{row.star.iloc[0]} Run {run_id} · {named(record)}".strip(), anchor=False)
    if record.error:
        st.error(f"{record.state}: {frame.plain(record.error)}")
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
        provenance = facts(record)
        st.table(pd.DataFrame({"value": provenance.values()}, index=list(provenance)), hide_header=True)
    if not read_only():
        words([run_id], row)
    repeat(record)
    way = pair_form.fork_sentence(record.config, standing[1].config if standing else None)
    if way:
        st.markdown(way)
    if not accuracy.empty:
        counts = accuracy[["step", "task", "role", "length", "correct", "total"]]
        st.download_button("Counts of this run (CSV)", counts.to_csv(index=False), f"lgt-run-{run_id}.csv", key="csv")
        with st.expander("Training"):
            panels.training(data.read_accuracy([run_id], "all"), [run_id], key=str(run_id))
    with st.expander("All settings"):
        settings = run_table.settings_frame(record.config)
        st.caption(f"{int((settings.changed != '').sum())} differ from the preset {frame.plain(record.preset)}.")
        order = settings.sort_values("changed", ascending=False, kind="stable")
        st.dataframe(order, key="settings", hide_index=True, width="stretch")


def repeat(record: RunRecord) -> None:
    """How to make this run again, here or elsewhere."""
    command = commands.command(record.config)
    if command:
        st.caption("The command that makes this run:")
        st.code(f"{command} --database mine.db", language="bash", wrap_lines=True)
    elif record.experiment:
        st.caption("The experiment that makes this run:")
        st.code(
            f".venv/bin/python -m lgt experiment {record.experiment} --database mine.db",
            language="bash",
            wrap_lines=True,
        )


def standing_of(record: RunRecord) -> tuple[Setting, Comparison] | None:
    """The comparison in which a run counts, that of its own group first; a baseline may stand in several."""
    found = [
        (setting, comparison) for setting, comparison in data.read_comparisons().items()
        if comparison.runs[record.config.arm].get(record.model_seed) == record.id
    ]  # fmt: skip
    return min(found, key=lambda one: one[0].group != record.task_group, default=None)


def elsewhere(record: RunRecord, standing: tuple[Setting, Comparison] | None) -> str:
    """Links to the pages that show this very run."""
    links = []
    if standing:
        side = next(name for name, arm in run_table.SIDES.items() if arm == record.config.arm)
        choice = {"pair": panels.setting_key(standing[0]), "side": side, "seed": record.model_seed}
        links.append(f"[Its heads](heads?{urlencode(choice)})")
    if record.state == "done" and record.id in set(data.read_checkpoints().run_id):
        links.append(f"[Play with it](playground?run={record.id})")
    return " · ".join(links)


def main() -> None:
    if not data.exists() or data.read_runs().empty:
        frame.empty_store()
        return
    refusal = st.session_state.pop("refusal", None)
    if refusal:
        st.error(refusal)
    asked = st.query_params.get("run", "")
    rows = run_table.table(data.read_runs(), data.read_final_accuracy())
    if asked.isdecimal() and len(asked) < 12 and int(asked) in set(rows.run_id):
        one_run(rows[rows.run_id == int(asked)])
        return
    if asked:
        st.warning(f"run: {frame.plain(asked)} is not in this store; accepted is the number of a run below.")
    if read_only():
        st.info("This dashboard is read-only: everything can be seen, nothing changed.", icon=":material/lock:")
    found = choose(rows)
    undo_line()
    ids = table(found, len(rows))
    toolbar(ids, rows)
    if len(ids) > 1:
        compare(ids)


def render() -> None:
    """Draw the page."""
    with frame.page("Runs", LEAD):
        main()
