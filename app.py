"""Length Transfer Lab's dashboard: ``streamlit run app.py``."""

from pathlib import Path

from lgt.ui import navigation

navigation.run(Path(__file__).parent)
