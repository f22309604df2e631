# The serving image: no torch, no training packages, not root.
#   docker build --build-arg EXTRA=gpu -t isthmus-serve:gpu .
#   docker run -p 50051:50051 -e MLFLOW_TRACKING_URI=http://mlflow:5000 isthmus-serve:gpu \
#     --model street --provider require_cuda --host 0.0.0.0 --insecure
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# cpu or gpu: CUDA and cuDNN come as wheels with onnxruntime-gpu, the driver from the host.
ARG EXTRA=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/isthmus
WORKDIR /source
# Dependencies first: they change less often than the source, and the layer is kept.
COPY requirements-serve-${EXTRA}.lock requirements.lock
RUN /opt/isthmus/bin/pip install --require-hashes --no-deps --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY datasets datasets
COPY protos protos
COPY serving serving
COPY training training
COPY src src
# The wheel's build backend (hatchling) comes unlocked, into a build environment that is thrown away.
RUN /opt/isthmus/bin/pip install --no-deps . \
 && ! /opt/isthmus/bin/python -P -c "import torch" 2>/dev/null

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --create-home isthmus \
 && install --directory --owner=isthmus --mode=0700 /var/cache/isthmus
COPY --from=build /opt/isthmus /opt/isthmus
# The NVIDIA variables ask the container runtime for the driver; without a GPU nobody reads them.
ENV PATH=/opt/isthmus/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/var/cache \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
WORKDIR /home/isthmus
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-m", "isthmus.serving.probe", "--port-file", "/tmp/isthmus.port"]
# The port file lets the health check follow --port.
ENTRYPOINT ["isthmus", "serve", "--port-file", "/tmp/isthmus.port"]
CMD ["--help"]
