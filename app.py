"""Length Transfer Lab's dashboard: ``streamlit run app.py``."""

from pathlib import Path

from streamlit.starlette import App

from lgt.ui import navigation, server_guard, server_start

if __name__ == "__main__":  # Streamlit runs this file for every view of a page,
    navigation.run(Path(__file__).parent)
else:  # and imports it once, as the module `app`, to start the server.
    app = App(__file__, middleware=server_guard.MIDDLEWARE, lifespan=server_start.announced)
