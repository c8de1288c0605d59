# The score service. Build from the repository's root:
#   docker build -f deploy/docker/score.Dockerfile -t ghostback/score .
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY constraints.txt pyproject.toml ./
COPY protos protos
COPY clients clients
COPY models models
COPY services services
RUN python -m venv /opt/ghostback \
    && /opt/ghostback/bin/pip install --no-cache-dir --constraint constraints.txt ./protos ./clients/python ./models .

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/ghostback --create-home ghostback \
    && install -d -o ghostback /var/lib/ghostback/statistics
COPY --from=build /opt/ghostback /opt/ghostback
USER 10001
WORKDIR /var/lib/ghostback
ENV GHOSTBACK_HOST=0.0.0.0 GHOSTBACK_PORT=8443 GHOSTBACK_METRICS_PORT=9090
EXPOSE 8443 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/ghostback/bin/python", "-m", "services.score"]
