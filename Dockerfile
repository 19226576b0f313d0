# The dashboard on the shipped results, with the C++ compiler of the training step. The workspace and the cache are in the
# volume /data. It runs as the user lgt (10001), who can write only there.
#
# Docker's list of official images gave this digest for 3.11-slim-bookworm (Python 3.11.16) on 2026-08-25, for all platforms.
# A newer one: `docker buildx imagetools inspect python:3.11-slim-bookworm`.
FROM python:3.11-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 lgt && install -d -o lgt -g lgt -m 700 /data
WORKDIR /srv/lgt
COPY requirements requirements
RUN PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore python requirements/install.py
COPY . .
ENV LGT_DATABASE_URL=/data/workspace.db LGT_CACHE=/data/cache PYTHONDONTWRITEBYTECODE=1
USER lgt
VOLUME /data
EXPOSE 8501
HEALTHCHECK CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health')"
CMD ["streamlit", "run", "app.py", "--server.address", "0.0.0.0"]
