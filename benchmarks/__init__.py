"""Side-by-side measurements of Length Transfer Lab and its peers; run by ``python -m lgt bench`` in a checkout.

``harness`` alternates two sides and compares them, ``document`` writes BENCHMARKS.md, ``registry`` names the
benchmarks; every other module is one theme, or what several themes share (``plain`` and ``peers``: the other sides).
"""
