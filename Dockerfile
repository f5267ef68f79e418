# smartnode in a container: docker build -t smartnode . ; packaging/README.md shows how to run it.
FROM python:3.13-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/smartnode
WORKDIR /src
COPY requirements/run.txt requirements/
RUN /opt/smartnode/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/run.txt
COPY requirements/build.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY smartnode smartnode
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /src/wheels . \
    && /opt/smartnode/bin/pip install --quiet --no-deps --no-index /src/wheels/*.whl \
    && /opt/smartnode/bin/pip uninstall --quiet --yes pip

FROM python:3.13-slim-trixie
COPY --from=build /opt/smartnode /opt/smartnode
# Data, state and cache lie beside each other in one volume: the quota binds their sum, and state that outlives the data
# would take a fresh volume for a lost disk.
RUN useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin smartnode \
    && mkdir -p /config /data/items /data/state /data/cache \
    && chown -R smartnode:smartnode /data
ENV PATH=/opt/smartnode/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SMARTNODE_STORAGE__PATH=/data/items \
    STATE_DIRECTORY=/data/state \
    CACHE_DIRECTORY=/data/cache
USER 10001:10001
WORKDIR /data
VOLUME /config /data
EXPOSE 6881/tcp 6881/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8765/healthz', timeout=8)"]
ENTRYPOINT ["smartnode"]
CMD ["run"]
