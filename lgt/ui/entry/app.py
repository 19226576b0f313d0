"""The dashboard without a checkout: what ``lgt app`` starts. Settings: ``.streamlit/config.toml`` in this folder."""

from streamlit.starlette import App

from lgt.ui import navigation, server_guard, server_start

if __name__ == "__main__":  # Streamlit runs this file for every view of a page,
    navigation.run()
else:  # and imports it once, as the module `app`, to start the server.
    app = App(__file__, middleware=server_guard.MIDDLEWARE, lifespan=server_start.announced)
