"""Length Transfer Lab's dashboard: ``streamlit run app.py``."""

from pathlib import Path

import streamlit as st

st.set_page_config(
    page_title="Length Transfer Lab", page_icon=str(Path(__file__).parent / "lgt" / "ui" / "icon.png"), layout="wide"
)

navigation = st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/lightbulb:", default=True),
        st.Page("pages/explore.py", title="Explore", icon=":material/stacked_line_chart:", url_path="explore"),
        st.Page("pages/heads.py", title="Heads", icon=":material/hub:", url_path="heads"),
        st.Page("pages/matrix.py", title="Matrix", icon=":material/grid_on:", url_path="matrix"),
        st.Page("pages/claims.py", title="Claims", icon=":material/fact_check:", url_path="claims"),
        st.Page("pages/launch.py", title="Launch", icon=":material/play_circle:", url_path="launch"),
        st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:", url_path="runs"),
        st.Page("pages/playground.py", title="Playground", icon=":material/toys:", url_path="playground"),
    ],
    position="top",
)
navigation.run()
