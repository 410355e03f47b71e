# docker build -t trunkline .
FROM python:3.11-slim AS build
COPY . /src
RUN python -m venv /opt/trunkline \
    && /opt/trunkline/bin/pip install --no-cache-dir --no-deps --require-hashes -r /src/requirements.lock \
    && /opt/trunkline/bin/pip install --no-cache-dir --no-deps --no-build-isolation /src

FROM python:3.11-slim
RUN useradd --system --home-dir /var/lib/trunkline --create-home --shell /usr/sbin/nologin trunkline
COPY --from=build /opt/trunkline /opt/trunkline
ENV PATH=/opt/trunkline/bin:$PATH TRUNKLINE_CONFIG=/etc/trunkline/trunkline.toml
USER trunkline
WORKDIR /var/lib/trunkline
VOLUME /var/lib/trunkline
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
# The schema is brought up to this release first; /etc/trunkline/trunkline.toml is yours.
CMD ["sh", "-c", "trunkline db upgrade && exec trunkline run"]
