# The features service. Build from the repository's root:
#   docker build -f deploy/docker/features.Dockerfile -t ghostback/features .
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
# LightGBM needs OpenMP's runtime.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes libgomp1=12.2.0-14+deb12u1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/ghostback --create-home ghostback \
    && install -d -o ghostback /var/lib/ghostback/feature-sets
COPY --from=build /opt/ghostback /opt/ghostback
USER 10001
WORKDIR /var/lib/ghostback
ENV GHOSTBACK_HOST=0.0.0.0 GHOSTBACK_PORT=8443 GHOSTBACK_METRICS_PORT=9090
EXPOSE 8443 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/ghostback/bin/python", "-m", "services.features"]
