"""The head-sharing graph of one run on a page, with the sentences that say what is shared."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from lgt.charts import ablation_maps, sharing_graph, sharing_summary
from lgt.core.config import Arm
from lgt.metrics.by_seed import SeedSummary, transfer_by_seed
from lgt.metrics.maps import mapped_zone, mean_maps
from lgt.metrics.zones import IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, TRANSFER_REGION, ZONE_TITLES, Zone
from lgt.store.comparisons import Comparison
from lgt.ui import data, frame
from lgt.ui.drawing import draw
from lgt.ui.head_similarity import overlap_sentence, similarity_table
from lgt.ui.titles import task_words

NOT_COMPARABLE = "Head numbers cannot be compared between runs."


def show_sharing(
    comparison: Comparison, arm: Arm, seed: int | None, *, key: str, threshold: float, table: bool = False,
    accuracy: pd.DataFrame | None = None, name: str = "",
) -> None:  # fmt: skip
    """Head-sharing graph of one run of ``arm``, and sentences that say which run it is and what is shared.

    Head numbers of different seeds cannot be compared, so a graph is always one run's; the closing sentence counts over
    the seeds that are mapped in the same zone. ``table`` adds the measures of similarity of this run's maps and
    attention. ``accuracy`` holds the counts at another point of training than its end, one step a run: heads are then
    those of that step.
    """
    runs = comparison.runs[arm]
    seed = seed if seed in runs else min(runs)
    main, auxiliaries = tasks_of(comparison, arm)
    zones, maps, transfer = maps_by_seed(comparison, arm, accuracy)
    shown = maps[seed]
    if shown.empty:
        st.info(missing_maps_sentence(runs[seed], accuracy))
        return
    st.caption(zone_sentence(zones[seed], shown, transfer.get(seed)))
    about = about_maps(runs[seed], zones[seed], shown, accuracy)
    draw(
        sharing_graph, shown, frame.theme(), main=main, auxiliaries=auxiliaries, threshold=threshold, key=key,
        name=name, about=about,
    )  # fmt: skip
    st.markdown(sharing_sentence(shown, main, auxiliaries, threshold))
    same_zone = [maps[s] for s in maps if zones[s] == zones[seed] and not maps[s].empty]
    st.caption(
        f"Graph: run {data.name(runs[seed])}, seed {seed}{median_note(seed, transfer)}, {int(shown.examples.iloc[0])} "
        f"prompts for each task. {NOT_COMPARABLE} "
        f"{len(same_zone)} of {len(runs)} seeds have ablation maps in this zone. "
        + over_seeds(same_zone, main, auxiliaries, threshold)
    )
    if table:
        show_similarity(comparison, arm, runs[seed], shown, accuracy)
        draw(
            ablation_maps, shown, frame.theme(), key=f"maps-{key}", tasks=[main, *auxiliaries], maximum=1.0,
            name=name.replace("Heads", "Ablation maps", 1), about=about,
        )  # fmt: skip


def about_maps(run_id: int, zone: Zone, maps: pd.DataFrame, accuracy: pd.DataFrame | None = None) -> dict[str, object]:
    """What a downloaded table of ``maps`` says in every row: the run, the step unless it is the last, the lengths."""
    steps = {} if accuracy is None else {"step": int(accuracy[accuracy.run_id == run_id].step.iloc[0])}
    lengths = ", ".join(map(str, maps.attrs["lengths"]))
    return {"run_id": run_id, **steps, "lengths": lengths, "zone": ZONE_TITLES[zone]}


def show_similarity(
    comparison: Comparison, arm: Arm, run_id: int, shown: pd.DataFrame, accuracy: pd.DataFrame | None
) -> None:
    """How similar the heads of the tasks are in one run with the ablation maps ``shown``."""
    main, auxiliaries = tasks_of(comparison, arm)
    if auxiliaries:
        _, attention = heads_at(comparison.ids(arm), accuracy)
        same_lengths = attention[(attention.run_id == run_id) & attention.length.isin(shown.attrs["lengths"])]
        st.table(similarity_table(shown, same_lengths, main, auxiliaries))


def median_note(seed: int, transfer: Mapping[int, float]) -> str:
    """Says of the seed with the median transfer accuracy (of an even number the lower one) that it is that."""
    is_median = bool(transfer) and SeedSummary(dict(transfer)).middle_seed() == seed
    return " (the seed with the median transfer accuracy)" if is_median else ""


def missing_maps_sentence(run_id: int, accuracy: pd.DataFrame | None) -> str:
    """Why there is no graph: the run has no maps here, or only at the end of training."""
    later = accuracy is not None and not data.read_head_scores([run_id]).empty
    where = " at this point of training, only at its end" if later else " at these lengths"
    return f"Run {data.name(run_id)} has no ablation maps{where}."


def tasks_of(comparison: Comparison, arm: Arm) -> tuple[str, list[str]]:
    """The main task and the auxiliary tasks in runs of ``arm``."""
    auxiliaries = [spec.task for spec in comparison.config.auxiliaries] if arm == "co-trained" else []
    return comparison.config.main.task, auxiliaries


def heads_at(run_ids: list[int], accuracy: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Map entries and attention differences of these runs at their end, or at the steps that ``accuracy`` has."""
    if accuracy is None:
        return data.read_head_scores(run_ids), data.read_attention_differences(run_ids)
    steps = accuracy.groupby("run_id").step.first()
    found = data.read_head_scores(run_ids, "all"), data.read_attention_differences(run_ids, "all")
    scores, attention = (rows[rows.step == rows.run_id.map(steps)] for rows in found)
    return scores, attention


def maps_by_seed(
    comparison: Comparison, arm: Arm, accuracy: pd.DataFrame | None = None
) -> tuple[dict[int, Zone], dict[int, pd.DataFrame], dict[int, float]]:
    """By seed of ``arm``: the zone in which its heads are mapped, its map there, its transfer accuracy.

    At the end of training, or at the steps of ``accuracy``.
    """
    scores, _ = heads_at(comparison.ids(arm), accuracy)
    summary = transfer_by_seed(data.read_accuracy(comparison.ids(arm)) if accuracy is None else accuracy)
    transfer = summary.values if summary else {}
    runs = sorted(comparison.runs[arm].items())
    zones = {seed: mapped_zone(transfer.get(seed)) for seed, _ in runs}
    of_runs = mean_maps(scores, comparison.config, {run: zones[seed] for seed, run in runs})
    maps = {seed: of_runs[run] for seed, run in runs}
    return zones, maps, transfer


# --- sentences --------------------------------------------------------------------------------------------------


def heads_sentence(comparison: Comparison, arm: Arm, seed: int | None, threshold: float) -> str:
    """The sentence under the graph of :func:`show_sharing`; empty without runs or maps."""
    runs = comparison.runs[arm]
    if not runs:
        return ""
    shown = maps_by_seed(comparison, arm)[1][seed if seed in runs else min(runs)]
    return "" if shown.empty else sharing_sentence(shown, *tasks_of(comparison, arm), threshold)


def zone_sentence(zone: Zone, heads: pd.DataFrame, transfer: float | None = None) -> str:
    """At which lengths the heads were knocked out; with ``transfer``, the run's transfer accuracy, also why not in the
    transfer region."""
    places: dict[Zone, str] = {
        IN_DISTRIBUTION: "at the trained lengths", TRANSFER_REGION: "in the transfer region",
        OUT_OF_DISTRIBUTION: "beyond the transfer region",
    }  # fmt: skip
    text = f"**Heads {places[zone]}** (lengths {', '.join(map(str, heads.attrs['lengths']))})."
    if zone != IN_DISTRIBUTION or transfer is None:
        return text
    return (
        f"{text} In the transfer region this model is at {transfer:.0%} exact match, so switching heads off can hardly "
        "make it worse there."
    )


def sharing_sentence(heads: pd.DataFrame, main: str, auxiliaries: list[str], threshold: float) -> str:
    """What the graph shows, in one sentence that is true of its data."""
    counts = sharing_summary(heads, main, auxiliaries, threshold)
    needed = f"{counts['main']} of {counts['heads']} heads matter to **{task_words(main)}**"
    if not auxiliaries:
        return f"{needed}."
    if not counts["main"]:
        return (
            f"No single head costs **{task_words(main)}** more than {100 * threshold:.0f} points of exact match here."
        )
    return f"{needed}; **{counts['shared']} of them** also matter to {either_of(auxiliaries)}."


def either_of(tasks: list[str]) -> str:
    """Task titles in bold, joined for a sentence, such as ``**Reverse** or **Copy**``."""
    *others, last = [f"**{task_words(name)}**" for name in tasks]
    return f"{', '.join(others)} or {last}" if others else last


@st.cache_data(show_spinner=False, max_entries=256)
def over_seeds(maps: list[pd.DataFrame], main: str, auxiliaries: list[str], threshold: float) -> str:
    """The same counts for every map (one a seed), and how similar the maps are beside chance."""
    counts = [sharing_summary(heads, main, auxiliaries, threshold) for heads in maps]
    if not auxiliaries:
        return f"Heads that matter, seed by seed: {', '.join(str(c['main']) for c in counts)}."
    shares = ", ".join(f"{c['shared']} of {c['main']}" for c in counts)
    overlap = overlap_sentence(maps, main, auxiliaries)
    return f"Shared heads among those that the main task needs, seed by seed: {shares}. {overlap}"
