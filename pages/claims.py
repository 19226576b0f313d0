"""The page Claims, drawn by :mod:`lgt.ui.pages.claims`."""

from lgt.ui.pages import claims

claims.render()
