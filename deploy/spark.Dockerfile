# Master, workers and driver of a Spark cluster, with the code of the image recsys:
#
#   docker build -t recsys . && docker build -t recsys-spark -f deploy/spark.Dockerfile deploy
FROM recsys
USER root
RUN apt-get update && apt-get install -y --no-install-recommends default-jre-headless procps \
    && rm -rf /var/lib/apt/lists/* \
    && /opt/recsys/bin/pip install --no-cache-dir "pyspark>=4.0"
COPY --chmod=755 spark /usr/local/bin/spark
USER recsys
HEALTHCHECK NONE
