"""The page Launch, drawn by :mod:`lgt.ui.pages.launch`."""

from lgt.ui.pages import launch

launch.render()
