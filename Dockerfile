# recsys with its HTTP server and reports; PostgreSQL runs elsewhere, at RECSYS_DATABASE_URL.
#
#   docker build -t recsys .
#   docker run --rm -e RECSYS_DATABASE_URL=postgresql://... recsys refresh --if-changed

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY alembic alembic
COPY sql sql
COPY recsys recsys
RUN python -m venv /opt/recsys && /opt/recsys/bin/pip install --no-cache-dir ".[report,web]"

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 recsys && install -d -o recsys /cache
COPY --from=build /opt/recsys /opt/recsys
ENV PATH=/opt/recsys/bin:$PATH RECSYS_HOME=/cache PYTHONUNBUFFERED=1
USER recsys
WORKDIR /home/recsys
EXPOSE 8000
# Healthy while the published run is fresh. docker-compose.yml checks the server of `serve` instead.
HEALTHCHECK --interval=5m --timeout=30s --start-period=2m CMD ["recsys", "status", "--check"]
ENTRYPOINT ["recsys"]
CMD ["--help"]
