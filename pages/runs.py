"""The page Runs, drawn by :mod:`lgt.ui.pages.runs`."""

from lgt.ui.pages import runs

runs.render()
