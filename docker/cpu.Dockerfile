# llada serve on a CPU. From the repository's root:
#
#   docker build -f docker/cpu.Dockerfile -t llada:cpu .
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/models:/models" llada:cpu /models/LLaDA-8B-Instruct
#
# No weights are inside: mount a folder with models, or a hub's cache, at /models.
# Nobody has built this file yet: docs/server.md, "Containers".

FROM python:3.11.14-slim-bookworm AS build
# PyTorch's own index of CPU builds. Elsewhere pip finds those with CUDA libraries, which weigh some gigabytes.
ARG TORCH_INDEX_URL="https://download.pytorch.org/whl/cpu"
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY constraints.txt ./
RUN python -m venv /srv/llada \
    && /srv/llada/bin/pip install -c constraints.txt --extra-index-url "$TORCH_INDEX_URL" torch
COPY packages ./packages
RUN /srv/llada/bin/pip install -c constraints.txt hatchling \
    && /srv/llada/bin/pip install -c constraints.txt --no-build-isolation \
        ./packages/llada-core ./packages/llada-runtime ./packages/llada-server \
        ./packages/llada-fastdllm ./packages/llada-dinfer ./packages/llada-nemotron ./packages/llada-sdar \
        ./packages/llada-dream ./packages/llada-llada2 ./packages/llada-diffusiongemma \
        ./packages/llada-decoders \
    && /srv/llada/bin/pip uninstall --yes hatchling

FROM python:3.11.14-slim-bookworm
RUN useradd --no-log-init --uid 10001 --create-home --home-dir /var/lib/llada llada \
    && install -d -o llada -g llada /models
COPY --from=build /srv/llada /srv/llada
ENV PATH=/srv/llada/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/models/huggingface \
    LLADA_SERVE_HOST=0.0.0.0 \
    LLADA_SERVE_PORT=8000
USER 10001
WORKDIR /var/lib/llada
VOLUME ["/models"]
EXPOSE 8000
# A large model takes minutes to load. /health asks for no key; with TLS give a health check of your own.
# It asks at LLADA_SERVE_PORT: for another port in the container set that, as it does not see --port.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['LLADA_SERVE_PORT'] + '/health', timeout=4)"]
ENTRYPOINT ["llada", "serve"]
