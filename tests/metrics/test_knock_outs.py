"""The knock-out test by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lgt.metrics.knock_outs import knock_out_test


def test_the_knock_out_test_by_hand():
    """Means over lengths, each counting alike: 10/10 and 20/40 are 0.75."""
    rows = [("", 1, 10, 10), ("", 2, 20, 40), ("A", 1, 5, 10), ("A", 2, 4, 40), ("B", 1, 5, 10), ("B", 2, 4, 40),
            ("C", 1, 0, 10), ("C", 2, 0, 40), ("D", 1, 9, 10), ("D", 2, 36, 40)]  # fmt: skip
    found = knock_out_test(pd.DataFrame(rows, columns=["heads", "length", "correct", "total"]), "A")
    assert (found.intact, found.chosen) == (0.75, pytest.approx(0.3))
    assert sorted(found.others) == [0, pytest.approx(0.3), pytest.approx(0.9)]
    assert found.as_bad == 2 and found.p == 3 / 4, "B hurts exactly as much, C more"
