"""The page Matrix, drawn by :mod:`lgt.ui.pages.matrix`."""

from lgt.ui.pages import matrix

matrix.render()
