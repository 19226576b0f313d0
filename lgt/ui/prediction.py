"""Predict, then reveal: the viewer guesses the curve before the measured one is shown."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lgt.charts.guess import guess_curve
from lgt.core.config import RunConfig
from lgt.metrics.by_seed import mean_curve
from lgt.metrics.guesses import asked_lengths, guess_error
from lgt.ui import address, frame
from lgt.ui.drawing import draw
from lgt.ui.overview_sentences import guess_sentence

STEP = 5
UNDECIDED = 50
"""Where every slider starts, percent, so that the start gives no hint."""


def is_asked_for() -> bool:
    """Whether this view asks for a guess: ``?predict=1``."""
    return st.query_params.get("predict") == "1"


def ask_for_guess() -> None:
    """Ask for a guess. For a button."""
    address.remember("predict", "1")


def stop_guessing() -> None:
    """Show the page as usual. For a button."""
    address.remember("predict", "")
    address.remember("guess", "")


def guess_in_address(lengths: list[int]) -> dict[int, float] | None:
    """The guess in the address (``?guess=100-60-20-0``, percent at ``lengths``); None while there is no valid one."""
    parts = st.query_params.get("guess", "").split("-")
    allowed = {str(percent) for percent in range(0, 101)}
    if len(parts) != len(lengths) or not set(parts) <= allowed:
        return None
    return {length: int(part) / 100 for length, part in zip(lengths, parts, strict=True)}


def result_is_hidden(accuracy: pd.DataFrame, config: RunConfig) -> bool:
    """Whether the measured curve, and everything that would tell it, is still hidden."""
    return is_asked_for() and guess_in_address(asked_lengths(config, mean_curve(accuracy))) is None


def show_guess(accuracy: pd.DataFrame, config: RunConfig, unit: str, *, key: str, height: int) -> None:
    """Sliders and the guessed curve; after the reveal also the measured curve and how far off the guess was."""
    measured = mean_curve(accuracy)
    lengths = asked_lengths(config, measured)
    known = guess_in_address(lengths)
    if known:
        st.markdown(f"**{guess_sentence(guess_error(known, measured), unit)}**")
        with st.container(horizontal=True):
            st.button("Guess again", key="guess-again", on_click=address.remember, args=("guess", ""))
            leave_button()
    guess = known or sliders(lengths, unit)
    table = pd.DataFrame({"length": list(guess), "guess": list(guess.values())})
    if known:  # before that a file must not tell the result either
        table["curve_accuracy"] = [measured.get(length) for length in guess]
    draw(guess_curve, accuracy, frame.theme(), guess, revealed=known is not None, height=height, key=key, table=table,
         about={"task": config.main.task, "main_length": config.main.training_length,
                "transfer_length": config.transfer_length})  # fmt: skip


def leave_button() -> None:
    """Back to the page as it usually is."""
    st.button("Back to the page", key="predict-end", type="tertiary", on_click=stop_guessing)


def sliders(lengths: list[int], unit: str) -> dict[int, float]:
    """One slider a length, and the button that reveals; shares by length."""
    columns = st.columns(len(lengths), gap="small")
    guess = {
        length: column.slider(f"{length} {unit}", 0, 100, UNDECIDED, STEP, format="%d%%", key=f"guess-{length}")
        for length, column in zip(lengths, columns, strict=True)
    }
    with st.container(horizontal=True):
        text = "-".join(str(percent) for percent in guess.values())
        st.button("Reveal", key="reveal", type="primary", on_click=address.remember, args=("guess", text))
        leave_button()
    return {length: percent / 100 for length, percent in guess.items()}
