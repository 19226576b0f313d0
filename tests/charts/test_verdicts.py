"""The charts of verdicts and of the transfer matrix."""

from __future__ import annotations

import re
from math import nan

import pandas as pd
import pytest

from lgt.charts import DARK, LIGHT, transfer_matrix, verdict_chart
from lgt.report.html import svg


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_matrix_and_the_verdicts_are_drawn_with_their_numbers(theme):
    cells = pd.DataFrame(
        [
            {
                "main": "string_copy",
                "auxiliaries": "mqar",
                "control": True,
                "gain": -0.06,
                "low": -0.1,
                "high": 0.0,
                "n": 5,
            },
            {
                "main": "capitalize_reverse",
                "auxiliaries": "capitalize+reverse",
                "control": False,
                "gain": 0.84,
                "low": nan,
                "high": nan,
                "n": 1,
            },
        ]
    )
    drawn = svg(transfer_matrix(cells, theme), 600)
    for text in ("−0.06", "+0.84", "n = 5", "n = 1", "Flip case + Reverse", "Associative recall (unrelated)"):
        assert text in drawn
    row = {"figure": "fig3a", "statement": "3a · Sums lift", "outcome": "reproduced"}
    row |= {"mean": 0.6, "low": 0.5, "high": 0.7}
    rows = pd.DataFrame([row | {"seed": seed, "difference": 0.5 + seed / 10} for seed in range(3)])
    drawn = svg(verdict_chart(rows, theme), 600)
    seeds = re.search(r'<g class="mark-symbol role-mark[^>]*>((?:<path[^>]*/>){3,})</g>', drawn)
    assert "3a · Sums lift" in drawn and "reproduced, n = 3" in drawn and "95% t interval" in drawn and seeds
    for empty in (transfer_matrix(cells[:0], theme), verdict_chart(pd.DataFrame(), theme)):
        assert "yet" in svg(empty, 600)


def test_no_seed_is_drawn_at_the_edge_of_the_axis_instead_of_beyond_it():
    row = {"figure": "f", "statement": "s", "outcome": "reproduced", "mean": 1.5, "low": 1.2, "high": 1.8}
    spec = verdict_chart(pd.DataFrame([row | {"seed": 0, "difference": 1.6}]), LIGHT).to_dict()
    ranges = [layer["encoding"]["x"]["scale"]["domain"] for layer in spec["layer"] if "scale" in layer["encoding"]["x"]]
    assert ranges and all(low <= 0 and high >= 1.6 for low, high in ranges)
