"""The dashboard without a checkout: what ``lgt app`` starts. Settings: ``.streamlit/config.toml`` in this folder."""

from lgt.ui import navigation

navigation.run()
