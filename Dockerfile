# syntax=docker/dockerfile:1
# Saxaul as one process. Debian slim, not Alpine: some dependencies have no wheels for musl.

FROM python:3.13-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /opt/saxaul
# Dependencies change more rarely than the source: a layer of their own
COPY constraints.txt pyproject.toml README.md ./
RUN /opt/saxaul/bin/python -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']))" > requirements.txt \
    && /opt/saxaul/bin/pip install --no-cache-dir --constraint constraints.txt --requirement requirements.txt
COPY engine engine
COPY partners partners
COPY loadtest loadtest
COPY game_rules game_rules
RUN /opt/saxaul/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim-bookworm
# No login, no home; owns nothing but its data folder
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin saxaul \
    && install --directory --owner=saxaul --group=saxaul /data
COPY --from=build /opt/saxaul /opt/saxaul
ENV PATH=/opt/saxaul/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SAXAUL_HOST=0.0.0.0 \
    SAXAUL_PORT=8000 \
    SAXAUL_DATABASE_URL=sqlite:////data/saxaul.db
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Secrets (SAXAUL_TOKEN_SECRET, SAXAUL_SERVER_KEY …) come at run time; without them it refuses to listen off loopback
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['SAXAUL_PORT']}/readyz\", timeout=4)"]
ENTRYPOINT ["saxaul"]
CMD ["serve"]
