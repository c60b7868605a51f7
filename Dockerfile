# `docker build -t laurels .`; docs/self-hosting.md says how to run it, and with which settings.
FROM python:3.13-slim-bookworm AS build

# The image's own release of Debian decides which compiler it is.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY requirements/serve.txt requirements/
RUN python -m venv /opt/laurels \
    && /opt/laurels/bin/pip install --no-cache-dir --require-hashes -r requirements/serve.txt
COPY LICENSE MANIFEST.in README.md pyproject.toml setup.py ./
COPY src src
RUN /opt/laurels/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/laurels/bin/pip uninstall --yes cython setuptools pip


FROM python:3.13-slim-bookworm

COPY --from=build /opt/laurels /opt/laurels
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin laurels \
    && install --directory --owner=laurels --mode=0700 /var/lib/laurels
ENV PATH=/opt/laurels/bin:$PATH \
    LAURELS_DATA=/var/lib/laurels \
    LAURELS_HOST=0.0.0.0
USER 10001
VOLUME /var/lib/laurels
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", "import os, http.client as c; h = c.HTTPConnection('127.0.0.1', int(os.environ.get('LAURELS_PORT', 8000)), timeout=2); h.request('GET', '/-/health'); raise SystemExit(h.getresponse().status != 200)"]
ENTRYPOINT ["laurels"]
CMD ["serve"]
