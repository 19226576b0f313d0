"""Benchmarks of Length Transfer Lab and of other libraries (peers); run by ``python -m lgt bench`` in a checkout.

``harness`` measures two sides in turn and compares them, ``document`` writes BENCHMARKS.md, ``registry`` lists the
benchmarks, ``plain`` and ``peers`` are the networks to compare with. Every other module is one benchmark.
"""
