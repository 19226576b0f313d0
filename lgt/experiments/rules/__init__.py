"""The rules that judge figures, one module each; :mod:`lgt.experiments.rules.base` says what a rule is."""
