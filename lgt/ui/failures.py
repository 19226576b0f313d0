"""Pictures of failure on the page of a run: where its answers go wrong, beside the run that it is compared with.

torch comes with :mod:`lgt.evaluation.failures`, which is imported for the first answers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from lgt.charts import failure_grid
from lgt.charts.failures import READING, ROW_ORDERS, ROWS, RowOrder
from lgt.core import bounds
from lgt.core.config import RunConfig
from lgt.core.glossary import bullet, definition
from lgt.core.plain_text import for_markdown
from lgt.metrics.failures import (
    ANOTHER_TASK,
    ERRORS,
    carries_into,
    first_wrong,
    longest_chain,
    other_task,
)
from lgt.metrics.zones import ZONE_TITLES, zone
from lgt.recipes.labels import ARM_TITLES, task_title
from lgt.recipes.settings import is_imported
from lgt.store.errors import StoreError
from lgt.store.queries import RunRecord
from lgt.tasks import TASKS, evaluation_lengths
from lgt.tasks.prompts import longest
from lgt.ui import address, data, frame, models
from lgt.ui.answers import spec_of, token_text
from lgt.ui.drawing import draw
from lgt.ui.failure_pairs import ANCHOR, example_link, pair_of

if TYPE_CHECKING:
    from lgt.evaluation.failures import JudgedAnswer

IN_ADDRESS = ("task", "lengths", "order", "answer")
"""What the address says about the pictures."""
CLICKED, CHOSEN = "clicked", "failures-answer"
"""The selection of a click on a row, and where the session keeps which answer is shown in full."""


# --- what is shown ----------------------------------------------------------------------------------------------


def default_lengths(config: RunConfig, task: str) -> list[int]:
    """A trained length, one in the transfer region and one beyond, as far as the run measures them.

    For the main task the second is the middle of the transfer region; for another task it is its own training length.
    """
    main, own = config.main.training_length, spec_of(config, task).training_length
    reached = max(config.transfer_length or main, own)
    middle = (main + 1 + reached) // 2 if task == config.main.task else own
    return [length for length in sorted({main, middle, reached + 1}) if length in lengths_of(config, task)]


def lengths_of(config: RunConfig, task: str) -> list[int]:
    """The lengths that can be shown: those at which the run measures the task, as far as the Playground goes."""
    most = longest(TASKS[task], config.options)
    return [length for length in evaluation_lengths(TASKS[task], config) if length <= most]


def zone_name(config: RunConfig, task: str, length: int) -> str:
    """The title of the zone of a length for one task of a run."""
    spec = spec_of(config, task)
    return ZONE_TITLES[zone(length, spec.training_length, config.transfer_length if spec.role == "main" else None)]


@st.cache_data(show_spinner=False, max_entries=256)
def _table(key: str, run_id: int, sha256: str, task: str, length: int) -> pd.DataFrame:
    from lgt.evaluation.failures import judged_answers

    config, model = models.load(run_id)
    found = judged_answers(model, config, task, length)
    about = {
        "run_id": run_id, "task": task, "length": length, "zone": zone_name(config, task, length),
        "test_set_size": found.total,
    }  # fmt: skip
    return pd.DataFrame(about | row_of(number, one) for number, one in enumerate(found.answers, start=1))


def row_of(number: int, one: JudgedAnswer) -> dict[str, object]:
    """One answer as a row for :func:`lgt.charts.failure_grid`."""
    carries = carries_into(one.wanted.sums)
    other = other_task(one.written, one.wanted) if ANOTHER_TASK in one.kinds else None
    return {
        "test_prompt": number, "prompt": spaced(one.prompt.body), "true_answer": spaced(one.prompt.answer),
        "greedy_answer": spaced(one.written), "error_kind": one.kinds[0], "also_fits": ", ".join(one.kinds[1:]),
        "answered_task": other or "", "first_wrong": first_wrong(one.written, one.prompt.answer) or 0,
        "carries_in": " ".join(map(str, carries)), "longest_chain": longest_chain(carries),
    }  # fmt: skip


def spaced(tokens: tuple[int, ...]) -> str:
    """Tokens as text with a space between them."""
    return " ".join(map(token_text, tokens))


def answers_of(run_id: int, task: str, lengths: list[int]) -> pd.DataFrame:
    """Every answer of a run at these lengths, computed from its stored weights; empty where there is no test prompt.

    Raises StoreError when the weights are damaged.
    """
    sha256 = data.last_weights(run_id)
    tables = [_table(data.key(), run_id, sha256, task, length) for length in lengths]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


# --- the section ------------------------------------------------------------------------------------------------


def show(record: RunRecord) -> None:
    """The section of one run: the pictures, or one sentence that says why there are none. Nothing for a run that has
    not finished, that another program made, or that has a task which this code does not know."""
    unknown = any(spec.task not in TASKS for spec in record.config.tasks)
    if is_imported(record.config) or record.state != "done" or unknown:
        return
    st.subheader("Where it goes wrong", anchor=ANCHOR)
    if record.id not in data.runs_with_weights():
        st.info(
            f"The weights of run {data.name(record.id)} are not in the store, so its answers cannot be computed. "
            f"Make the run again with its command, or look at a run with weights. {example_link()}".strip()
        )
        return
    st.fragment(show_section)(record)


def show_section(record: RunRecord) -> None:
    """The controls, the pictures and the answer that was chosen; a fragment with an error boundary of its own."""
    with frame.error_boundary("Where it goes wrong"):
        task, lengths, order = choose(record.config)
        if not lengths:
            st.info("Choose at least one length.")
            return
        shown = [run_id for run_id in pair_of(record).runs if has_task(run_id, task)]
        tables = usable_tables(shown, task, lengths)
        if not tables:
            return
        chosen = chosen_answer(tables)
        st.markdown(
            f"{READING} All answers are greedy: the model reads what it has written, so one mistake can cause others."
        )
        kinds = sorted({kind for table in tables.values() if len(table) for kind in table.error_kind})
        for column, (run_id, table) in zip(st.columns(len(tables), gap="large"), tables.items(), strict=True):
            with column:
                draw(
                    failure_grid, table, frame.theme(), title=title_of(run_id), order=order, kinds=kinds,
                    chosen=chosen[1:] if chosen[0] == run_id else (0, 0), selection=CLICKED,
                    key=chart_key(run_id), name=f"Answers of run {data.name(run_id)}",
                    on_select=partial(take_click, run_id),
                )  # fmt: skip
        if len(shown) < 2:
            st.caption(alone_sentence(record, task))
        show_answer(tables, chosen)
        with st.expander("The kinds of errors"):
            st.markdown("\n".join(bullet(kind) for kind in ("greedy answer", *ERRORS, "carry chain")))


def usable_tables(run_ids: list[int], task: str, lengths: list[int]) -> dict[int, pd.DataFrame]:
    """The answers of these runs, by run. A run whose weights cannot be used is left out, with one line that says so."""
    tables = {}
    for run_id in run_ids:
        try:
            with st.spinner("Computing the answers …"):
                tables[run_id] = answers_of(run_id, task, lengths)
        except StoreError as error:
            st.warning(f"The answers of run {data.name(run_id)} cannot be computed. {for_markdown(error)}")
    return tables


def has_task(run_id: int, task: str) -> bool:
    """Whether a run was trained on a task."""
    return any(spec.task == task for spec in data.read_run(run_id).config.tasks)


def title_of(run_id: int) -> str:
    """The heading of a run's picture."""
    config = data.read_run(run_id).config
    arm = ARM_TITLES.get(config.arm, config.arm)
    return f"Run {data.name(run_id)}: {arm}, seed {config.model_seed}"


def alone_sentence(record: RunRecord, task: str) -> str:
    """Why there is one picture only."""
    if task != record.config.main.task:
        return "Only this run of its pair was trained on this task."
    return f"There is no other run of its pair with stored weights. {example_link()}".strip()


def choose(config: RunConfig) -> tuple[str, list[int], RowOrder]:
    """Task, lengths and order of the rows; they live in the address."""
    left, middle, right = st.columns([3, 5, 4], gap="medium")
    with left:
        task = address.select(
            "Task", [spec.task for spec in config.tasks], default=config.main.task, key="task", shown=task_title
        )
    with middle:
        options, default = (list(map(str, found(config, task))) for found in (lengths_of, default_lengths))
        lengths = address.select_several(
            f"Lengths ({TASKS[task].unit}), at most {bounds.PICTURED.most}", options, default=default,
            maximum=bounds.PICTURED.most,
            key="lengths", shown=lambda text: f"{text} · {zone_name(config, task, int(text))}", scope=f"-{task}",
        )  # fmt: skip
    orders = [order for order in ROW_ORDERS if order != "carry chain" or has_carries(task)]
    with right:
        order = address.segments("Order of the rows", orders, default=orders[0], key="order", help=order_help(task))
    return task, sorted(int(length) for length in lengths), next(one for one in orders if one == order)


def order_help(task: str) -> str:
    """What the words of the order mean."""
    return "\n".join(bullet(term) for term in ("kind of error", "carry chain")[: 1 + has_carries(task)])


def has_carries(task: str) -> bool:
    """Whether a task adds with carries."""
    return bool(getattr(TASKS[task], "carries", False))


# --- one answer -------------------------------------------------------------------------------------------------


def chart_key(run_id: int) -> str:
    """The key of a run's picture."""
    return f"failures-{run_id}"


def take_click(run_id: int) -> None:
    """Show the answer whose row was clicked."""
    points = st.session_state[chart_key(run_id)].selection.get(CLICKED) or []
    if points:
        named = (data.name(run_id), points[0]["length"], points[0]["test_prompt"])
        st.session_state[CHOSEN] = "-".join(map(str, named))
        st.toast(f"Test prompt {named[2]} of length {named[1]} is below the pictures, in full.")


def chosen_answer(tables: dict[int, pd.DataFrame]) -> tuple[int, int, int]:
    """Run, length and number of the answer that is shown in full, ``?answer=111-9-17``; zeros without one."""
    known = options_of(tables)
    if st.session_state.setdefault(CHOSEN, st.query_params.get("answer", "")) not in known:
        st.session_state[CHOSEN] = ""
    return known[st.session_state[CHOSEN]]


def options_of(tables: dict[int, pd.DataFrame]) -> dict[str, tuple[int, int, int]]:
    """The drawn answers, by their name in the address, and the empty name for none."""
    found = {"": (0, 0, 0)}
    for run_id, table in tables.items():
        drawn = table[table.test_prompt <= ROWS] if len(table) else table
        for length, number in zip(drawn.get("length", ()), drawn.get("test_prompt", ()), strict=True):
            found[f"{data.name(run_id)}-{length}-{number}"] = (run_id, int(length), int(number))
    return found


def show_answer(tables: dict[int, pd.DataFrame], chosen: tuple[int, int, int]) -> None:
    """The box in which a row can be chosen as well, and the chosen answer in full with a link to the Playground."""
    known = options_of(tables)
    rows = {name: row_at(tables, place) for name, place in known.items() if name}

    def words(name: str) -> str:
        if not name:
            return "none: click a row, or choose it here"
        run_id, length, number = known[name]
        return f"run {data.name(run_id)} · length {length} · test prompt {number} · {rows[name]['error_kind']}"

    name = st.selectbox("One answer in full", list(known), key=CHOSEN, format_func=words, width=460)
    address.remember("answer", name)
    if not name:
        return
    row = rows[name]
    width = max(len(str(row[part])) for part in ("prompt", "true_answer", "greedy_answer"))
    lines = {"prompt": row["prompt"], "true answer": row["true_answer"], "written": row["greedy_answer"]}
    st.code("\n".join(f"{label:<12}{text}" for label, text in lines.items()), language=None, wrap_lines=width > 100)
    run_id, length, number = known[name]
    open_at = urlencode({"run": data.name(run_id), "task": row["task"], "length": length, "test": number})
    st.markdown(f"{kind_sentence(row)} [Open this prompt in the playground](playground?{open_at})")


def row_at(tables: dict[int, pd.DataFrame], place: tuple[int, int, int]) -> pd.Series:
    """The row of one answer."""
    run_id, length, number = place
    table = tables[run_id]
    return table[(table.length == length) & (table.test_prompt == number)].iloc[0]


def kind_sentence(row: pd.Series) -> str:
    """The kind of an answer, with its definition if it is an error."""
    kind, also = str(row["error_kind"]), str(row["also_fits"])
    if kind not in ERRORS:
        return "**Right.**"
    other = f" ({for_markdown(task_title(row['answered_task']))})" if kind == ANOTHER_TASK else ""
    fits = f" It also fits: {also}." if also else ""
    return f"**{kind.capitalize()}**{other}: {definition(kind)}{fits}"
