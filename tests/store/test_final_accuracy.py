"""The table's numbers, which SQL computes, are those that pages and rules compute."""

from __future__ import annotations

import math

import pytest

from lgt.metrics.run_curves import run_curves
from lgt.store import queries
from lgt.store.engine import open_store


def test_final_accuracy_equals_the_definition_for_every_shipped_run(shipped):
    engine = open_store(str(shipped), read_only=True)
    table = queries.final_accuracy(engine)
    runs = run_curves(queries.accuracy(engine, table.run_id))
    assert len(table) > 300 and set(runs) == set(table.run_id)
    kinds = set()
    for row in table.itertuples():
        run = runs[int(row.run_id)]
        assert row.trained == pytest.approx(run.trained, abs=1e-12), row.run_id
        kinds.add(run.transfer is None)
        if run.transfer is None:
            assert math.isnan(row.transfer), row.run_id
        else:
            assert row.transfer == pytest.approx(run.transfer, abs=1e-12), row.run_id
    assert kinds == {True, False}, "runs with and without a transfer region"
