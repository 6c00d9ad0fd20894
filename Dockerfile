# The commands of README in a container, without a GPU. Build once, then work on the current folder:
#   docker build -t featurestack .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" featurestack demo
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" featurestack answer DATASET="my sounds"
# It has the extras for networks as features and for ONNX. The kernels are compiled for the processor
# that builds the image; another one compiles them anew, a minute each time a container starts.
FROM python:3.13-slim
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir -c requirements.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu '.[embeddings,onnx]'
# any user of the container reads and adds compiled kernels, and has a home
ENV NUMBA_CACHE_DIR=/opt/kernels HOME=/home/anyone
RUN mkdir -m 777 /home/anyone && mkdir /opt/kernels \
    && python -c "from featurestack.pipeline.features import compile_kernels; compile_kernels()" \
    && chmod -R a+rwX /opt/kernels /home/anyone
WORKDIR /work
ENTRYPOINT ["featurestack"]
CMD ["demo"]
