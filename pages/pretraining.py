"""The page Pretraining, drawn by :mod:`lgt.ui.pages.pretraining`."""

from lgt.ui.pages import pretraining

pretraining.render()
