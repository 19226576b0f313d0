"""The rules that judge figures, one module each. :mod:`lgt.experiments.rules.base` has their base class."""
