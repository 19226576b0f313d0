"""The page Heads, drawn by :mod:`lgt.ui.pages.heads`."""

from lgt.ui.pages import heads

heads.render()
