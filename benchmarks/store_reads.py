"""Time the reads of a store: ``python store_reads.py STORE``, with PYTHONPATH at the code to measure. Prints JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time

from lgt.experiments.judging import judge_all
from lgt.store import queries
from lgt.store.comparisons import comparisons
from lgt.store.engine import open_store

engine = open_store(sys.argv[1], read_only=True)
runs = queries.runs(engine)
ids = runs[runs.state == "done"].id.tolist()
groups = comparisons(engine)
figure = max((one.ids("co-trained") for one in groups.values()), key=len)
course = queries.head_scores(engine, ids, "all").groupby("run_id").step.nunique()
courses = course[course > 1].index.tolist()
READS = {
    "runs": lambda: queries.runs(engine),
    "accuracy, final, all runs": lambda: queries.accuracy(engine, ids),
    "accuracy, all steps, all runs": lambda: queries.accuracy(engine, ids, "all"),
    "head_scores, final, one figure": lambda: queries.head_scores(engine, figure),
    "head_scores, all steps, runs with courses": lambda: queries.head_scores(engine, courses, "all"),
    "attention_differences, all steps, the same": lambda: queries.attention_differences(engine, courses, "all"),
    "training_log, one run": lambda: queries.training_log(engine, ids[:1]),
    "final_accuracy": lambda: queries.final_accuracy(engine),
    "comparisons": lambda: comparisons(engine),
    "judge_all": lambda: judge_all(engine),
}
found = {}
for name, read in READS.items():
    read()
    times = []
    for _ in range(3 if name == "judge_all" else 7):
        started = time.perf_counter()
        read()
        times.append(time.perf_counter() - started)
    found[name] = statistics.median(times)
print(json.dumps(found))
