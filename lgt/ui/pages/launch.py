"""Launch: choose a pair, queue its runs, watch their curves grow."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import fields

import streamlit as st

from lgt.core.checks import ConfigError
from lgt.core.choices import POSITIONS
from lgt.core.config import Arm, RunConfig
from lgt.experiments.seeds import parse_seeds
from lgt.metrics.durations import expected_seconds
from lgt.recipes import labels
from lgt.recipes.labels import ARM_TITLES
from lgt.recipes.limits import Limits, limits, read_only, variable
from lgt.recipes.presets import PRESETS, baseline
from lgt.store.errors import StoreError
from lgt.store.live import LiveRun
from lgt.ui import actions, address, data, frame, pair_form, panels

LEAD = (
    "Train a pair here and watch its curve grow. Runs are executed by worker processes of their own: close this page "
    "whenever you like."
)
REFRESH_SECONDS = 2.0
CHARTS = 2
LATELY_SECONDS = 900  # so long the curve of a finished run stays beside those of running ones
ENDED = 8
PROPOSED = "proposed-seeds"
"""Where the session keeps what the form proposed last: for which runs, and the seeds."""


def choose() -> list[RunConfig]:
    """The runs that the viewer asks for. ConfigError: a pair that cannot be trained, or seeds that are none."""
    left, middle, right = st.columns([5, 3, 3], gap="medium")
    with left:
        group = pair_form.choose_group(panels.FAVOURITES[-1])
    preset = middle.selectbox("Preset", list(PRESETS), key="preset", bind="query-params", help=preset_help())
    with right:
        positions = POSITIONS.by_title()
        position = positions[address.segments("Positional encoding", list(positions), default="rotary", key="position")]
    with left:
        specs = pair_form.choose_specs(group, preset)
    with left:
        sides = choose_sides()
    if len(specs) < 2:
        raise ConfigError("Trained beside", "nothing", "at least one task beside the main task")

    def of_seed(seed: int) -> list[RunConfig]:
        together = pair_form.config_of(group, specs, preset, position, seed)
        return [baseline(together, arm) for arm in sides]

    with middle:
        seeds = choose_seeds(of_seed)
    return [config for seed in seeds for config in of_seed(seed)]


def choose_sides() -> list[Arm]:
    """Which sides of the comparison to train, ``?sides=`` in the address."""
    asked = st.query_params.get("sides", "").split(",")
    known: list[Arm] = [arm for arm in ARM_TITLES if arm in asked]
    st.session_state.setdefault("sides", known or list(pair_form.USUAL_SIDES))
    sides = st.pills(
        "Sides", list(ARM_TITLES), selection_mode="multi", key="sides", format_func=lambda arm: ARM_TITLES[arm]
    )
    usual = sides == list(pair_form.USUAL_SIDES) or not sides
    address.remember("sides", "" if usual else ",".join(sides))
    return sides


def choose_seeds(of_seed: Callable[[int], list[RunConfig]]) -> list[int]:
    """Model seeds, ``?seeds=`` in the address; untouched, the first one whose runs the store does not have yet.

    What was proposed stays while the form does: a click starts the seed that its viewer sees, and a second click, or
    somebody else's, finds the first one's runs.
    """
    usual, form = str(actions.unused_seed(of_seed)), form_of(of_seed)
    seeds, (last_form, last) = st.session_state.get("seeds"), st.session_state.get(PROPOSED, ("", None))
    if seeds is None or (seeds == last and form != last_form):
        st.session_state["seeds"] = st.query_params.get("seeds", usual)
        st.session_state[PROPOSED] = form, usual
    seeds = st.text_input("Seeds", key="seeds", max_chars=50, help="Such as 0-4 or 0,2,5.")
    address.remember("seeds", "" if seeds == usual else seeds)
    return parse_seeds(seeds)


def form_of(of_seed: Callable[[int], list[RunConfig]]) -> str:
    """What tells the form's choices, seeds aside, from others; empty for a pair that cannot be trained."""
    try:
        return " ".join(config.hash() for config in of_seed(0))
    except ConfigError:
        return ""


def preset_help() -> str:
    """What the presets are, one line each."""
    return "\n".join(f"- **{preset.name}**: {preset.summary}" for preset in PRESETS.values())


def duration(seconds: float) -> str:
    """Such as ``20 s``, ``4 min`` or ``2.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(number: int, noun: str) -> str:
    """Such as ``1 run`` or ``2 runs``."""
    return f"{number} {noun}" + "s" * (number != 1)


def estimate(configs: list[RunConfig]) -> str:
    """What the runs will cost, from what finished runs of this store took."""
    runs = data.read_runs()
    each = [expected_seconds(runs, config) for config in configs]
    known = [seconds for seconds in each if seconds is not None]
    if not known:
        return f"{counted(len(configs), 'run')}; nothing like them has finished here yet, so there is no estimate"
    total = sum(known) / len(known) * len(configs)
    at_once = min(len(configs), limits().workers)
    longest = max(total / at_once, max(known))
    runs_text, workers_text = counted(len(configs), "run"), counted(at_once, "worker")
    return f"{runs_text}, about {duration(longest)} on {workers_text} (from finished runs here)"


def start(configs: list[RunConfig]) -> None:
    """The button. Runs that the store has already are not made again; a double click finds the first click's runs."""
    known = actions.known_runs(configs) if data.exists() else [None] * len(configs)
    missing = [config for config, run_id in zip(configs, known, strict=True) if run_id is None]
    here = [run_id for run_id in known if run_id is not None]
    if here:
        links = ", ".join(f"[run {run_id}](runs?run={run_id})" for run_id in here)
        st.caption(f"{len(here)} of {len(configs)} have been asked for before: {links}. Another seed makes a new run.")
    if missing:
        st.caption(estimate(missing) + ".")
    token = st.session_state.setdefault("token", uuid.uuid4().hex)
    with st.container(horizontal=True):
        wanted = st.button("Start", type="primary", disabled=not missing or read_only(), key="start")
        if not missing:
            st.button("Take another seed", key="reseed", on_click=take_another_seed)
    if wanted and missing:
        actions.submit(missing, token)
        st.session_state.token = uuid.uuid4().hex
        st.rerun()


def take_another_seed() -> None:
    """Propose a seed whose runs the store does not have yet. For a button."""
    st.session_state.pop("seeds", None)
    address.remember("seeds", "")


def board() -> None:
    """The runs; a fragment that is drawn anew every other second while there is something to see."""
    with frame.error_boundary("Launch"):
        draw_runs()


def draw_runs() -> None:
    """What waits, runs and has ended lately, as it stands now."""
    live = data.read_live_runs()
    refusal = st.session_state.pop("refusal", None)
    if refusal:
        st.error(refusal)
    if bool(live) != st.session_state["watching"]:
        st.rerun()  # the first one has come or the last one ended: the page starts its timer, or stops it
    running = [run for run in live if run.state == "running"]
    names = titles([run.id for run in live])
    waiting = [run for run in live if run.state == "queued"]
    if live:
        workers_line(len(running), len(waiting), any(run.stale for run in running))
    for run in running[: limits().workers + 8]:
        card(run, names)
    for run in waiting[:5]:
        row, button = st.columns([6, 1], vertical_alignment="center")
        row.caption(f"run {run.id} · {names.get(run.id, run.label)} · waiting")
        cancel_button(run.id, button)
    if len(waiting) > 5:
        st.caption(f"and {len(waiting) - 5} more waiting")
    charts(running)
    ended()


def titles(ids: list[int]) -> dict[int, str]:
    """Runs in words, by id; of a store of ten thousand only those that are asked for."""
    runs = data.read_runs()
    shown = runs[runs.id.isin(ids)] if ids else runs[:0]
    return {int(row.id): frame.plain(labels.run_title(row)) for _, row in shown.iterrows()}


def workers_line(running: int, waiting: int, late: bool) -> None:
    """How many workers there are, and a way to get some when nobody takes the waiting runs."""
    busy = actions.workers()
    st.caption(f"{running} running, {waiting} waiting; {busy} of at most {limits().workers} workers of this dashboard.")
    if (waiting or late) and not busy and not read_only():
        st.button("Start workers", key="workers", on_click=attempt, args=(actions.start_workers, waiting + late))


def card(run: LiveRun, names: dict[int, str]) -> None:
    """One running run: how far, how fast, how long still."""
    with st.container(border=True):
        name, button = st.columns([6, 1], vertical_alignment="center")
        stale = (
            ":orange[**stale**: its worker has not been heard of; the next free one takes over within a minute] · "
            if run.stale
            else ""
        )
        name.markdown(f"**run {run.id}** · {stale}{names.get(run.id, run.label)}")
        cancel_button(run.id, button)
        facts = [f"step {run.step:,} of {run.total_steps:,}"]
        if run.loss is not None:
            facts.append(f"loss {run.loss:.3g} nats")
        if run.tokens_per_second:
            facts.append(f"{run.tokens_per_second:,.0f} tokens/s")
        if run.seconds_left is not None:
            facts.append(f"about {duration(run.seconds_left)} left")
        if run.attempt > 1:
            facts.append(f"attempt {run.attempt}")
        st.progress(min(run.step / run.total_steps, 1.0), text=" · ".join(facts))


def cancel_button(run_id: int, place: st.delta_generator.DeltaGenerator) -> None:
    """Cancel this run."""
    place.button(
        "Cancel", key=f"cancel-{run_id}", disabled=read_only(), on_click=attempt, args=(actions.cancel, run_id)
    )


def attempt(action: Callable[[int], object], argument: int) -> None:
    """Do what a button asks; what the store says against it is shown on the board."""
    try:
        action(argument)
    except (ConfigError, StoreError) as error:
        st.session_state["refusal"] = str(error)


def charts(running: list[LiveRun]) -> None:
    """The curves of the newest runs that run or have lately finished, side by side and in order of their ids."""
    ids = [run.id for run in running[-CHARTS:]]
    runs = data.read_runs()
    if not runs.empty:
        lately = runs[(runs.state == "done") & (runs.finished_at > time.time() - LATELY_SECONDS)]
        ids += lately.sort_values("finished_at").id.tolist()[::-1][: CHARTS - len(ids)]
    names = titles(ids)
    for run_id, column in zip(sorted(ids), st.columns(CHARTS, gap="large"), strict=False):
        with column:
            accuracy = data.read_accuracy([run_id])
            name = f"**run {run_id}** · {names.get(run_id, '')}"
            if accuracy.empty:
                st.caption(f"{name}: its first measurement is on its way.")
                continue
            st.caption(f"{name}, after {int(accuracy.step.max()):,} steps")
            panels.curve(accuracy, key=f"live-{run_id}")


def ended() -> None:
    """The runs that ended last, with the reason where they did not end well."""
    runs = data.read_runs()
    runs = runs[runs.state.isin(["done", "failed", "cancelled"])] if not runs.empty else runs
    if runs.empty:
        return
    st.subheader("Ended", anchor=False)
    last = runs.sort_values("finished_at", ascending=False).head(ENDED)
    names = titles(last.id.tolist())
    for _, row in last.iterrows():
        text, button = st.columns([6, 1], vertical_alignment="center")
        reason = f": {frame.plain(row.error)}" if isinstance(row.error, str) else ""
        name = f"[run {row.id}](runs?run={row.id}) · {names[int(row.id)]}"
        text.caption(f"{name} · **{row.state}**{reason} · {duration(float(row.seconds))}")
        if row.state in ("failed", "cancelled"):
            number = int(row.id)
            button.button(
                "Retry", key=f"retry-{number}", disabled=read_only(), on_click=attempt, args=(actions.retry, number)
            )
            log = data.read_run(int(row.id)).log_tail
            if log:
                with st.expander(f"Log of run {row.id}"):
                    st.code(log, language=None, wrap_lines=True)


def caps() -> str:
    """What is allowed here, and by which variables."""
    allowed = limits()
    values = ", ".join(
        f"{field.name} {getattr(allowed, field.name):,} (`{variable(field.name)}`)" for field in fields(Limits)
    )
    return f"At most, in one run and in this store: {values}."


def main() -> None:
    live = data.read_live_runs()  # first: a store that cannot be read is one message, and nothing else
    if read_only():
        st.info("This dashboard is read-only: everything can be seen, nothing started.", icon=":material/lock:")
    try:
        configs = choose()
        if configs:
            start(configs)
        else:
            st.caption("Choose at least one side.")
    except ConfigError as error:
        st.error(str(error))
    except StoreError as error:
        st.error(str(error), icon=":material/database_off:")
    if not live:  # a ready worker would take the waiting runs, and looking at a page must not start them
        actions.keep_worker_ready()
    st.session_state["watching"] = bool(live)
    st.fragment(board, run_every=REFRESH_SECONDS if live else None)()
    st.caption(caps())


def render() -> None:
    """Draw the page."""
    with frame.page("Launch", LEAD):
        main()
