"""The page Explore, drawn by :mod:`lgt.ui.pages.explore`."""

from lgt.ui.pages import explore

explore.render()
