"""The options of `make bench`, which help reads without the libraries compared."""

from featurestack.base.options import DatasetOptions, option


class FeaturesBenchOptions(DatasetOptions):
    """How many times as fast as librosa and audioFlux features are extracted.

    Other benches compare with nothing, and each is a command with its own --help:
    - python -m bench.answers     what answer reaches, in what time and memory
    - python -m bench.course      the course's feature sets on real and synthetic sounds
    - python -m bench.few_labels  accuracy with few labelled clips of each class
    - python -m bench.first_quarter  README.md from an empty HOME to an answer
    - python -m bench.fuzz        hostile options and damaged files
    - python -m bench.labels      labels chosen by doubt, wrong labels that are listed
    - python -m bench.layers      numbers of networks on speech, chosen in the folds
    - python -m bench.methods     the comparison beside other tests, on made worlds
    - python -m bench.service     a prediction by a bundle and by an ONNX file
    - python -m bench.statements  how often statements of reports are false
    - python -m bench.step        a training step by several loops
    - python -m bench.kill        SIGKILL at random moments: what is lost or changes
    - python -m bench.two_models  answer with texturenet as a second model
    - python -m bench.wide        memory of ridge on the layers of several networks
    """

    dataset: str = option("synth", "any dataset whose clips are there")
    features: str = option("all", "features, separated by blanks")
