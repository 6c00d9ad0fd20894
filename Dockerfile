# The commands of README in a container, without a GPU. Build once, then work on the current folder:
#   docker build -t featurestack .
#   docker run --rm -v "$PWD:/work" featurestack demo
#   docker run --rm -v "$PWD:/work" featurestack answer DATASET="my sounds"
FROM python:3.13-slim
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir -c requirements.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu .
WORKDIR /work
ENTRYPOINT ["featurestack"]
CMD ["demo"]
