"""The race on a page (``?race=1``): both arms of a comparison replayed by the browser, and the race as files.

The browser gets every stored step at once and plays without this server (``lgt/report/race.js``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from lgt.charts.race import race_picture
from lgt.core.config import Arm, RunConfig
from lgt.core.plain_text import as_code
from lgt.metrics.race import Measured, race, seeds_with_steps
from lgt.recipes.labels import provenance, setting_title
from lgt.recipes.presets import PRESETS, group_config
from lgt.report.race_gif import race_gif
from lgt.report.race_page import SCRIPT, SKELETON, STYLE, race_data, race_page
from lgt.store.comparisons import Comparison
from lgt.ui import address, data, drawing, frame, panels, prediction, tour

MEAN = "mean"
"""The value of ``?race-seed=`` for the mean over seeds."""

_race = st.components.v2.component("lgt.race", html=SKELETON, css=STYLE, js=SCRIPT)


def is_shown() -> bool:
    """Whether this view shows the race in place of the two curves. Not while the result is hidden on purpose: the tour
    and the prediction reveal it themselves."""
    return st.query_params.get("race") == "1" and not tour.current() and not prediction.is_asked_for()


def switch_button() -> None:
    """The button that shows the race, or the curves again."""
    label, icon, value = ("Show the curves", "show_chart", "") if is_shown() else ("Watch the race", "play_circle", "1")
    st.button(label, icon=f":material/{icon}:", key="race-switch", on_click=address.remember, args=("race", value),
              help="Both arms replayed over their measured steps.")  # fmt: skip


def read_measured(ids: list[int]) -> Measured:
    """Runs of one arm at all their measured steps."""
    return Measured(data.read_accuracy(ids, "all"), data.read_head_scores(ids, "all"))


@st.cache_data(show_spinner=False, max_entries=64)
def _picture(
    alone: Measured, together: Measured, config: RunConfig, threshold: float, title: str, seed: int | None
) -> dict[str, Any]:
    return race_picture(race(alone, together, config, threshold, seed), ("Alone", title))


Pictures = Callable[[int | None], dict[str, Any]]
"""The picture of a seed; of ``None``, of the mean over seeds."""


def view_name(seed: int | None) -> str:
    """A choice of seeds in words; ``None`` is the mean."""
    return "mean over seeds" if seed is None else f"seed {seed}"


def show_race(comparison: Comparison, baseline: Arm, threshold: float) -> None:
    """The race of a comparison, the choice of its seeds, and its files."""
    if not comparison.ids(baseline):
        st.info("There is no race, because this baseline has not been run yet. **Show the curves** says how to run it.")
        return
    alone, together = (read_measured(ids) for ids in (comparison.ids(baseline), comparison.ids("co-trained")))
    seeds = sorted(seeds_with_steps(alone, together))
    if not seeds:
        st.info(too_few_steps())
        return
    place = st.container(key="race-picture")
    make = partial(_picture, alone, together, comparison.config, threshold, panels.co_trained_title(comparison.config))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="quiet-race"):
        seed = choose_seed(seeds)
        offer_files(comparison, baseline, make, seeds, seed)
    with place:
        draw(make(seed), key="race")


def show_runs(alone: int, together: int) -> None:
    """The race of two runs of one seed. While one of them trains, the race waits at its end for further steps."""
    runs = [data.read_run(run_id) for run_id in (alone, together)]
    config = runs[1].config
    first, second = read_measured([alone]), read_measured([together])
    if not seeds_with_steps(first, second):
        st.caption(f"Runs {data.name(alone)} and {data.name(together)}: the race begins when both have been measured "
                   "at two steps.")  # fmt: skip
        return
    picture = _picture(first, second, config, panels.DEFAULT_THRESHOLD / 100, panels.co_trained_title(config), None)
    draw(picture, key=f"race-{together}", live=any(run.state == "running" for run in runs))


def draw(picture: dict[str, Any], *, key: str, live: bool = False) -> None:
    """The race in the browser. ``live``: at the end it waits for further steps instead of starting again."""
    _race(key=key, data=race_data({"": picture}, theme=frame.theme().name, brief=frame.presenting(), live=live))


def offer_files(comparison: Comparison, baseline: Arm, make: Pictures, seeds: list[int], seed: int | None) -> None:
    """Two buttons: the race with all its seeds as one HTML file, and the shown one as an animated GIF."""
    title = setting_title(comparison.setting, comparison.config)
    runs = data.read_runs()
    shown = runs[runs.id.isin(comparison.ids(baseline, "co-trained"))]
    sources = [provenance(shown), panels.repeat_sentence(shown, comparison).replace("`", "")]
    stem = drawing.safe_name(drawing.stem("overview"), "race", "" if seed is None else view_name(seed))
    # The files are made when they are asked for, outside the session: everything of the session is read here.
    st.download_button(
        "HTML file", partial(html_file, make, seeds, seed, title, sources), f"{stem}.html", "text/html",
        key="race-html", on_click="ignore", icon=":material/html:",
        help="The race with all its seeds as one file. It opens by a double click, without a network.",
    )  # fmt: skip
    st.download_button(
        "GIF for slides", partial(gif_file, make, seed, title, frame.theme().name), f"{stem}.gif", "image/gif",
        key="race-gif", on_click="ignore", icon=":material/gif_box:",
        help="The race as an animated picture of twelve seconds. It takes about ten seconds to make.",
    )  # fmt: skip


def html_file(make: Pictures, seeds: list[int], seed: int | None, title: str, sources: list[str]) -> bytes:
    """The race of every view as one HTML file that begins with ``seed``."""
    views = {view_name(one): make(one) for one in (None, *seeds)}
    return race_page(title, race_data(views, view_name(seed)), sources).encode()


def gif_file(make: Pictures, seed: int | None, title: str, theme: str) -> bytes:
    """The race of one view as an animated GIF."""
    return race_gif(make(seed), title, theme)


def choose_seed(seeds: list[int]) -> int | None:
    """The seed that is shown, ``?race-seed=``; ``None`` for the mean over all of them."""
    options = [MEAN, *map(str, seeds)]
    chosen = address.select(
        "Seeds", options, default=MEAN, key="race-seed",
        shown=lambda name: f"mean over {len(seeds)} seed{'s' * (len(seeds) != 1)}" if name == MEAN else f"seed {name}",
    )  # fmt: skip
    return None if chosen == MEAN else int(chosen)


def too_few_steps() -> str:
    """Why there is nothing to replay, and which runs have it."""
    steps = {name: group_config("caprev", name).evaluation.snapshots for name in PRESETS}
    named = ", ".join(f"{as_code(name)} at {count}" for name, count in steps.items())
    return (
        "There is no race, because no seed of this task group was measured before the end of training in both arms. "
        f"Runs of the presets are measured at several steps: {named}."
    )
