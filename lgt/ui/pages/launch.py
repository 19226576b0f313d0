"""Launch: choose a task group, queue its runs, watch their curves grow."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import streamlit as st

from lgt.core import bounds
from lgt.core.checks import ConfigError
from lgt.core.config import Arm, RunConfig
from lgt.core.glossary import definition
from lgt.core.plain_text import for_markdown, visible
from lgt.experiments.seeds import parse_seeds
from lgt.fused.library import compiler
from lgt.metrics.durations import expected_seconds
from lgt.recipes.labels import ARM_TITLES, row_title
from lgt.recipes.limits import read_only
from lgt.recipes.presets import PRESETS, baseline
from lgt.store.errors import StoreError
from lgt.store.live import LiveRun
from lgt.store.tags import DELETED
from lgt.ui import actions, address, data, frame, group_form, panels, run_table
from lgt.ui.numbers import counted
from lgt.ui.pairs import choose_race, pairs_of, show_pair

LEAD = "Train a task group here and watch its curve change. Runs continue in the background; you can close this page."
NO_WORKERS = "This dashboard starts no workers (`LGT_MAX_WORKERS=0`); runs wait for workers that somebody else starts."
REFRESH_SECONDS = 2.0
PAIRS, NEWEST = 2, 6
"""How many pairs of curves are shown, and how many runs they are looked for among."""
RECENT_SECONDS = 900
"""For this time the curve of a finished run stays on the page."""
MOST_ENDED, MOST_LINKS = 8, 20
SILENT = {
    "stale": ":orange[**stale**: its worker does not answer; the next free worker takes over within a minute] · ",
    "abandoned": ":orange[**abandoned**: no numbers for an hour; if its program has ended, cancel the run] · ",
}
"""What is said of a running run that nobody reports on, by how its state is shown."""
PROPOSED = "proposed-seeds"
"""Where the session keeps the last proposal of the form: for which runs, and which seeds."""
NO_COMPILER = (
    "This machine has no C++ compiler, so the runs use plain PyTorch, which takes several times as long. Install g++ "
    "(Debian, Ubuntu: the package g++) and start the dashboard again."
)


def choose() -> list[RunConfig]:
    """The runs that the viewer asks for. Raises ConfigError for tasks that cannot be trained, or wrong seeds."""
    left, middle, right = st.columns([5, 3, 3], gap="medium")
    with left:
        group = group_form.choose_group(panels.FAVOURITES[0][0])
    preset = middle.selectbox("Preset", list(PRESETS), key="preset", bind="query-params", help=preset_help())
    with right:
        position = group_form.choose_position()
    with left:
        specs = group_form.choose_specs(group, preset)
        arms = choose_arms()
    if len(specs) < 2:
        raise ConfigError("Auxiliary tasks", "nothing", "at least one auxiliary task")

    def of_seed(seed: int) -> list[RunConfig]:
        together = group_form.config_of(group, specs, preset, position, seed)
        return [baseline(together, arm) for arm in arms]

    with middle:
        seeds = choose_seeds(of_seed)
    bounds.REQUEST.check("Runs of this form", len(seeds) * len(arms))  # before a thousand configs are made
    return [config for seed in seeds for config in of_seed(seed)]


def choose_arms() -> list[Arm]:
    """Which arms of the comparison to train, ``?sides=`` in the address."""
    asked = st.query_params.get("sides", "").split(",")
    known: list[Arm] = [arm for arm in ARM_TITLES if arm in asked]
    st.session_state.setdefault("sides", known or list(group_form.USUAL_ARMS))
    arms = st.pills(
        "Arms", list(ARM_TITLES), selection_mode="multi", key="sides", format_func=lambda arm: ARM_TITLES[arm],
        help=f"{definition('arm')} {definition('baseline')}",
    )  # fmt: skip
    usual = arms == list(group_form.USUAL_ARMS) or not arms
    address.remember("sides", "" if usual else ",".join(arms))
    return arms


def choose_seeds(of_seed: Callable[[int], list[RunConfig]]) -> list[int]:
    """Model seeds, ``?seeds=`` in the address; by default the first one whose runs the store does not have yet.

    The proposed seed stays until the form changes. A click therefore starts the seed that the viewer sees, and a second
    click, also one of another viewer, finds the runs of the first click.
    """
    usual, form = str(actions.unused_seed(of_seed)), form_key(of_seed)
    seeds, (last_form, last) = st.session_state.get("seeds"), st.session_state.get(PROPOSED, ("", None))
    if seeds is None or (seeds == last and form != last_form):
        st.session_state["seeds"] = st.query_params.get("seeds", usual)
        st.session_state[PROPOSED] = form, usual
    seeds = st.text_input(
        "Seeds", key="seeds", max_chars=bounds.RANGES.most, help=f"Such as 0-4 or 0,2,5. {definition('seed')}"
    )
    address.remember("seeds", "" if seeds == usual else seeds)
    return parse_seeds(seeds)


def form_key(of_seed: Callable[[int], list[RunConfig]]) -> str:
    """The hashes of the form's choices, seeds aside; empty for tasks that cannot be trained."""
    try:
        return " ".join(config.hash() for config in of_seed(0))
    except ConfigError:
        return ""


def preset_help() -> str:
    """What a preset is, and the presets, one line each."""
    lines = (f"- **{preset.name}**: {preset.summary}" for preset in PRESETS.values())
    return "\n".join([definition("preset"), "", *lines])


def duration(seconds: float) -> str:
    """Such as ``20 s``, ``4 min`` or ``2.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate(configs: list[RunConfig]) -> str:
    """How long the runs will take, estimated from finished runs of this store."""
    runs = data.read_runs()
    alike = [(config.group, config.preset, config.arm, config.training.steps) for config in configs]
    of = {kind: expected_seconds(runs, config) for kind, config in dict(zip(alike, configs, strict=True)).items()}
    each = [of[kind] for kind in alike]  # the runs of a thousand seeds take equally long
    known = [seconds for seconds in each if seconds is not None]
    if not known:
        return f"{counted(len(configs), 'run')}; no similar run has finished here yet, so there is no estimate"
    total = sum(known) / len(known) * len(configs)
    at_once = min(len(configs), max(1, bounds.WORKERS.most))
    longest = max(total / at_once, max(known))
    runs_text, workers_text = counted(len(configs), "run"), counted(at_once, "worker")
    return f"{runs_text}, about {duration(longest)} on {workers_text} (estimated from finished runs here)"


def run_link(run_id: int) -> str:
    """A link to the page of a run, for Markdown."""
    name = data.name(run_id)
    return f"[run {name}](runs?run={name})"


def run_links(ids: list[int]) -> str:
    """Links to the pages of the first of these runs, and how many more there are, for Markdown."""
    links = ", ".join(run_link(run_id) for run_id in ids[:MOST_LINKS])
    return links + (f" and {len(ids) - MOST_LINKS} more" if len(ids) > MOST_LINKS else "")


def show_start(configs: list[RunConfig]) -> None:
    """The button Start. Runs that the store has are not made again; a second click finds the runs of the first one."""
    known = actions.known_runs(configs)
    missing = [config for config, run_id in zip(configs, known, strict=True) if run_id is None]
    here = [run_id for run_id in known if run_id is not None]
    if here:
        links = run_links(here)
        of = f"{len(here)} of {len(configs)}"
        st.caption(f"{of} are in your workspace already: {links}. Another seed makes a new run.")
    elsewhere = actions.runs_elsewhere(missing)
    if elsewhere:
        links = run_links(elsewhere)
        st.caption(f"Other stores have runs with these settings and seeds: {links}. Start makes your own beside them.")
    if missing:
        st.caption(estimate(missing) + ".")
        if compiler() is None:
            st.warning(NO_COMPILER)
    token = st.session_state.setdefault("token", uuid.uuid4().hex)
    with st.container(horizontal=True):
        clicked = st.button("Start", type="primary", disabled=not missing or read_only(), key="start")
        if not missing:
            st.button("Take another seed", key="reseed", on_click=take_another_seed)
    if clicked and missing:
        actions.submit(missing, token)
        st.session_state.token = uuid.uuid4().hex
        st.rerun()


def take_another_seed() -> None:
    """Propose a seed whose runs the store does not have yet. For a button."""
    st.session_state.pop("seeds", None)
    address.remember("seeds", "")


def board() -> None:
    """The runs; a fragment that is drawn again every two seconds while a run waits or runs."""
    with frame.error_boundary("Launch"):
        draw_runs()


def draw_runs() -> None:
    """The waiting and running runs at this moment, and those that ended last."""
    live = data.read_live_runs()
    actions.show_refusal()
    if bool(live) != st.session_state["watching"]:
        st.rerun()  # the first run came or the last one ended: the page starts or stops its timer
    running = [run for run in live if run.state == "running"]
    names = titles([run.id for run in live])
    waiting = [run for run in live if run.state == "queued"]
    if live:
        show_workers(len(running), len(waiting), any(run.stale for run in running))
    for run in running[: bounds.WORKERS.most + 8]:
        show_running(run, names)
    for run in waiting[:5]:
        row, button = st.columns([6, 1], vertical_alignment="center")
        row.caption(f"run {data.name(run.id)} · {names.get(run.id, for_markdown(run.label))} · waiting")
        cancel_button(run.id, button)
    if len(waiting) > 5:
        st.caption(f"and {len(waiting) - 5} more waiting")
    show_curves(running)
    show_ended()


def titles(ids: list[int]) -> dict[int, str]:
    """Runs in words, by id; only those that are asked for, because a store can have ten thousand."""
    runs = data.read_runs()
    shown = runs[runs.id.isin(ids)] if ids else runs[:0]
    return {int(row.id): for_markdown(row_title(row)) for _, row in shown.iterrows()}


def show_workers(running: int, waiting: int, late: bool) -> None:
    """How many workers there are, and a button that starts some when no worker takes the waiting runs."""
    busy = actions.workers()
    most = bounds.WORKERS.most
    own = f"Workers of this dashboard: {busy} of at most {most}." if most else NO_WORKERS
    st.caption(f"Runs: {running} running, {waiting} waiting. {own}")
    if most and (waiting or late) and not busy and not read_only():
        st.button(
            "Start workers", key="workers", on_click=actions.try_action, args=(actions.start_workers, waiting + late)
        )


def show_running(run: LiveRun, names: dict[int, str]) -> None:
    """One running run: its step, its speed, the time that is left."""
    with st.container(border=True):
        name, button = st.columns([6, 1], vertical_alignment="center")
        title = names.get(run.id, for_markdown(run.label))
        name.markdown(f"**run {data.name(run.id)}** · {SILENT.get(run.shown, '')}{title}")
        cancel_button(run.id, button)
        facts = [f"step {run.step:,}" if run.recorded else f"step {run.step:,} of {run.total_steps:,}"]
        if run.recorded:
            facts.append("recorded by another program")
        if run.loss is not None:
            facts.append(f"loss {run.loss:.3g} nats")
        if run.tokens_per_second:
            facts.append(f"{run.tokens_per_second:,.0f} tokens/s")
        if run.seconds_left is not None:
            facts.append(f"about {duration(run.seconds_left)} left")
        if run.attempt > 1:
            facts.append(f"attempt {run.attempt}")
        st.progress(0.0 if run.recorded else min(run.step / run.total_steps, 1.0), text=" · ".join(facts))


def cancel_button(run_id: int, place: st.delta_generator.DeltaGenerator) -> None:
    """Cancel this run."""
    place.button(
        "Cancel",
        key=f"cancel-{run_id}",
        disabled=read_only(),
        on_click=actions.try_action,
        args=(actions.cancel, run_id),
    )


def show_curves(running: list[LiveRun]) -> None:
    """The newest pairs with a run that is running or finished recently: alone on the left, together on the right."""
    runs = data.read_runs()
    ids = [run.id for run in running[::-1][:NEWEST]]
    if not runs.empty:
        runs = runs[[DELETED not in str(tags).split(",") for tags in runs.tags]]
        recent = runs[(runs.state == "done") & (runs.finished_at > time.time() - RECENT_SECONDS)]
        ids += recent.sort_values("finished_at").id.tolist()[::-1][: NEWEST - len(ids)]
    pairs = pairs_of(ids, runs, PAIRS)
    as_race = choose_race(pairs)
    for pair in pairs:
        show_pair(pair, titles([run_id for run_id in pair if run_id is not None]), as_race)


def show_ended() -> None:
    """The runs that ended last, with the reason when they failed."""
    runs = data.read_runs()
    runs = runs[runs.state.isin(["done", *run_table.BROKEN])] if not runs.empty else runs
    if runs.empty:
        return
    st.subheader("Ended", anchor=False)
    last = runs.sort_values("finished_at", ascending=False).head(MOST_ENDED)
    names = titles(last.id.tolist())
    for _, row in last.iterrows():
        text, button = st.columns([6, 1], vertical_alignment="center")
        reason = f": {for_markdown(row.error)}" if isinstance(row.error, str) else ""
        name = f"{run_link(int(row.id))} · {names[int(row.id)]}"
        text.caption(f"{name} · **{for_markdown(row.state)}**{reason} · {duration(float(row.seconds))}")
        if row.state in run_table.BROKEN:
            number = int(row.id)
            button.button(
                "Retry",
                key=f"retry-{number}",
                disabled=read_only(),
                on_click=actions.try_action,
                args=(actions.retry, number),
            )
            log = data.read_run(int(row.id)).log_tail
            if log:
                with st.expander(f"Log of run {data.name(row.id)}"):
                    st.code(visible(log), language=None, wrap_lines=True)


def limits_text() -> str:
    """The limits of this dashboard, and the variables that set them."""
    values = ", ".join(f"{bound.name} {bound.most:,} (`{bound.variable}`)" for bound in bounds.SETTABLE)
    return f"Limits here: {values}."


def main() -> None:
    live = data.read_live_runs()  # first, so that a store that cannot be read is one message and nothing else
    if read_only():
        st.info("This dashboard is read-only: you can see everything, but start nothing.", icon=":material/lock:")
    try:
        configs = choose()
        if configs:
            show_start(configs)
        else:
            st.caption("Choose at least one arm.")
    except ConfigError as error:
        st.error(for_markdown(error))
    except StoreError as error:
        st.error(for_markdown(error), icon=":material/database_off:")
    if not bounds.WORKERS.most and not live:
        st.info(NO_WORKERS, icon=":material/info:")
    if not live:  # a worker would take the waiting runs, and opening a page must not start them
        actions.keep_worker_ready()
    st.session_state["watching"] = bool(live)
    st.fragment(board, run_every=REFRESH_SECONDS if live else None)()
    st.caption(limits_text())


def render() -> None:
    """Draw the page."""
    with frame.page("Launch", LEAD):
        main()
