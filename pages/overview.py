"""The page Overview, drawn by :mod:`lgt.ui.pages.overview`."""

from lgt.ui.pages import overview

overview.render()
