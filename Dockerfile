# recsys with its HTTP server and reports; PostgreSQL runs elsewhere, at RECSYS_DATABASE_URL.
#
#   docker build -t recsys .
#   docker build -t recsys-spark --target spark .     with Spark: for master, workers, driver and executors
#   docker run --rm -e RECSYS_DATABASE_URL=postgresql://... recsys refresh --if-changed

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY alembic alembic
COPY sql sql
COPY recsys recsys
RUN python -m venv /opt/recsys && /opt/recsys/bin/pip install --no-cache-dir ".[report,web]"

FROM python:3.13-slim AS base
# The wheels of implicit lack GNU OpenMP, and so does the image of Python.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 recsys && install -d -o recsys /cache
COPY --from=build /opt/recsys /opt/recsys
ENV PATH=/opt/recsys/bin:$PATH RECSYS_HOME=/cache PYTHONUNBUFFERED=1
USER 1000
WORKDIR /home/recsys
ENTRYPOINT ["recsys"]
CMD ["--help"]

FROM base AS spark
USER root
RUN apt-get update && apt-get install -y --no-install-recommends default-jre-headless procps \
    && rm -rf /var/lib/apt/lists/* \
    && /opt/recsys/bin/pip install --no-cache-dir "pyspark>=4.0"
COPY --chmod=755 deploy/spark /usr/local/bin/spark
# Workers write here; their default is beside pyspark, which belongs to root.
ENV SPARK_WORKER_DIR=/tmp/spark-work
USER 1000
# Executors in Kubernetes are started as `executor`, by this.
ENTRYPOINT ["/usr/local/bin/spark"]
CMD ["master"]

FROM base
EXPOSE 8000
# Healthy while the published run is fresh. docker-compose.yml checks the server of `serve` instead.
HEALTHCHECK --interval=5m --timeout=30s --start-period=2m CMD ["recsys", "status", "--check"]
