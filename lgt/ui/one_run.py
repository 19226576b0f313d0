"""One run of the page Runs: its curve, facts, marks, command, training and configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from lgt.core import bounds
from lgt.core.config import RunConfig
from lgt.core.plain_text import for_markdown, visible
from lgt.recipes.commands import stored_experiment_command, train_command
from lgt.recipes.labels import config_title, order_words
from lgt.recipes.limits import read_only
from lgt.recipes.settings import is_imported
from lgt.store.comparisons import Comparison
from lgt.store.locations import WORKSPACE
from lgt.store.queries import RunRecord
from lgt.ui import actions, data, downloads, drawing, failure_pairs, failures, group_form, panels, run_table, stores
from lgt.ui.numbers import counted
from lgt.ui.titles import plain_table

KNOWN_OF_IMPORTED = ("state", "steps", "created", "uuid", "tags", "note")
"""The facts that are shown of a run that another program made."""


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
        tags = left.text_input("Tags, separated by commas", ", ".join(sorted(common)), max_chars=bounds.TAGS.most)
        notes = picked.notes.unique()
        note = right.text_input("Note", notes[0] if len(notes) == 1 else "", max_chars=bounds.NOTE.most)
        if button.form_submit_button("Save", width="stretch"):
            typed = {tag.strip() for tag in tags.split(",")} - {""}
            actions.try_action(actions.retag, ids, add=sorted(typed), remove=sorted(common - typed))
            actions.try_action(actions.note, ids, note)
            st.rerun()


def close_run() -> None:
    """Go back to the table. For a button."""
    for name in ("run", *failures.IN_ADDRESS):
        st.query_params.pop(name, None)


def title_of(record: RunRecord) -> str:
    """A run in words."""
    return for_markdown(config_title(record.config))


def date_text(seconds: float | None) -> str:
    """A time (seconds since 1970) as a date in UTC, or that it has not come yet."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %B %Y, %H:%M UTC") if seconds else "not yet"


def facts_of(record: RunRecord) -> dict[str, str]:
    """State, origin and marks of a run, in words; of a run that another program made, only what is known."""
    facts = {
        "state": record.shown, "experiment": record.experiment or "none",
        "seeds": f"model {record.model_seed}, data {order_words(record.config)}",
        "steps": f"{record.step:,} of {record.total_steps:,}", "tokens": f"{record.tokens:,}",
        "training": f"{record.seconds:.0f} s", "created": date_text(record.created_at),
        "started": date_text(record.started_at),
        "finished": date_text(record.finished_at), "device": record.device or "none yet",
        "code": record.code_version or "unknown", "attempt": str(record.attempt), "config hash": record.config_hash,
        "uuid": record.uuid,
        "tags": ", ".join(record.tags) or "none", "note": record.notes or "none",
    }  # fmt: skip
    return {name: text for name, text in facts.items() if name in KNOWN_OF_IMPORTED or not is_imported(record.config)}


def show_run(row: pd.DataFrame) -> None:
    """Everything about one run; ``row`` is its row of the table."""
    run_id = int(row.run_id.iloc[0])
    record = data.read_run(run_id)
    own = comparison_of(record)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button("All runs", key="back", icon=":material/arrow_back:", on_click=close_run)
        show_star_button([run_id], row)
        st.markdown(page_links(record, own), width="content")
    name = data.name(run_id)
    drawing.view_shows("run", name)
    st.subheader(f"{row.star.iloc[0]} Run {name} · {title_of(record)}".strip(), anchor=False)
    if len(data.library().members) > 1:
        st.markdown(f"{stores.badge(data.library().of(run_id)[0])} {panels.imported_badge(record.config)}".strip())
    if record.error:
        st.error(f"{for_markdown(record.state)}: {for_markdown(record.error)}")
        if record.log_tail:
            st.code(visible(record.log_tail), language=None, wrap_lines=True)
    if record.state in run_table.BROKEN and is_own(run_id) and not read_only() and not is_imported(record.config):
        st.button(
            "Retry", key="retry", on_click=actions.try_action, args=(actions.retry, run_id),
            help="The run goes on from its last saved state.",
        )  # fmt: skip
    for why in panels.missing_counts([run_id] if record.state == "done" else []).values():
        st.warning(f"This run is incomplete: {for_markdown(why)}. Numbers that need these counts leave it out.")
    accuracy = data.read_accuracy([run_id])
    left, right = st.columns([3, 2], gap="large")
    with left:
        if accuracy.empty:
            st.info("Nothing has been measured yet.")
        else:
            panels.curve(accuracy, key="curve")
    with right:
        facts = facts_of(record)
        shown = [for_markdown(text) for text in facts.values()]
        st.table(pd.DataFrame({"value": shown}, index=list(facts)), hide_header=True)
    if not is_own(run_id):
        whose = data.library().of(run_id)[0].title
        st.caption(
            f"This run belongs to {for_markdown(whose)}. Your star, tags and note about it are kept in your workspace."
        )
    if not read_only():
        tags_and_note_form([run_id], row)
    co_trained = own.config if own else None
    show_command(record, co_trained)
    fork = group_form.fork_sentence(record.config, co_trained)
    if fork:
        st.markdown(fork)
    if not accuracy.empty:
        st.download_button(
            "Counts of this run (CSV)", partial(downloads.readable_csv, accuracy, data.library()),
            f"{drawing.safe_name('lgt-run', name, 'counts')}.csv", "text/csv", key="csv", on_click="ignore",
            help=downloads.HELP,
        )  # fmt: skip
        with st.expander("Training"):
            panels.training(data.read_accuracy([run_id], "all"), [run_id], key=str(run_id))
    with st.expander("Full configuration"):
        values = run_table.config_frame(record.config)
        differing = counted(int((values.changed != "").sum()), "value")
        st.caption(
            "Another program made this run. Nothing more is known of its configuration." if is_imported(record.config)
            else f"Different from the preset {for_markdown(record.preset)}: {differing}."
        )  # fmt: skip
        order = values.sort_values("changed", ascending=False, kind="stable")
        st.dataframe(plain_table(order), key="settings", hide_index=True, width="stretch")
    failures.show(record)


def is_own(run_id: int) -> bool:
    """Whether a run is in the workspace, where it may be changed."""
    return data.library().of(run_id)[0].name == WORKSPACE


def show_command(record: RunRecord, co_trained: RunConfig | None) -> None:
    """The command that makes this run; without one, that of its experiment. ``co_trained``: a run of its comparison."""
    command, kind = train_command(record.config, co_trained), "command"
    if not command:
        command, kind = stored_experiment_command(record.experiment), "experiment"
    if command:
        st.caption(f"The {kind} that makes this run:")
        st.code(command, language="bash", wrap_lines=True)


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
        links.append(f"[Open it in the playground](playground?run={data.name(record.id)})")
        links.append(f"[Where it goes wrong](#{failure_pairs.ANCHOR})")
    return " · ".join(links)
