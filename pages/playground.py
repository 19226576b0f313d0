"""The page Playground, drawn by :mod:`lgt.ui.pages.playground`."""

from lgt.ui.pages import playground

playground.render()
