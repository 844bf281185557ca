# dsr with the tested versions of its packages; docs/container.md says how to build and run it.
FROM python:3.11-slim-bookworm

# [gpu] adds the CUDA libraries that TensorFlow needs.
ARG EXTRAS=""

COPY . /opt/dsr
RUN pip install --no-cache-dir --constraint /opt/dsr/requirements.lock "/opt/dsr${EXTRAS}"

# Whoever runs it writes into the mounted folder, and what Keras downloads goes there too.
ENV HOME=/data
WORKDIR /data
RUN useradd --home-dir /data --uid 1000 dsr && chown dsr /data
USER 1000

ENTRYPOINT ["dsr"]
CMD ["--help"]
