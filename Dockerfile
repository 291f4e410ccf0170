# syntax=docker/dockerfile:1
# Two stages: the first builds the wheel and its locked dependencies, the second carries them alone.

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/fhirsvc
# Dependencies first: they change less often than the code.
COPY requirements.lock ./
RUN /opt/fhirsvc/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY fhirsvc fhirsvc
COPY mappings mappings
COPY fixtures fixtures
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/fhirsvc/bin/pip install --no-deps /wheels/fhirsvc-*.whl

FROM python:3.12-slim
COPY --from=build /opt/fhirsvc /opt/fhirsvc
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin fhirsvc \
    && install --directory --owner=fhirsvc --mode=0700 /data
ENV PATH="/opt/fhirsvc/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    FHIRSVC_DATABASE_URL=sqlite:////data/fhirsvc.sqlite
USER fhirsvc
WORKDIR /data
# Records are health data: the volume belongs on an encrypted disk.
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["fhirsvc"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
