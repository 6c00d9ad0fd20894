"""The options of `make bench`, which help reads without the libraries compared."""

from featurestack.base.options import DatasetOptions, option


class FeaturesBenchOptions(DatasetOptions):
    """How much faster features are extracted than by librosa and audioFlux.

    The other benches are commands with a --help of their own:
    - python -m bench.answers     what answer reaches, in what time and memory
    - python -m bench.course      the course's feature sets on real and synthetic sounds
    - python -m bench.few_labels  accuracy with few labelled clips of each class
    - python -m bench.foreign     how sure ridge is of none of its classes, by refits
    - python -m bench.first_quarter  README.md from an empty HOME to an answer
    - python -m bench.fuzz        hostile options and damaged files
    - python -m bench.labels      labels chosen by NEXT=, wrong labels in the report
    - python -m bench.layers      layers of pretrained networks on speech
    - python -m bench.methods     fs.compare and other tests on simulated datasets
    - python -m bench.service     a prediction by a bundle and by an ONNX file
    - python -m bench.stack       a trained network on stacks, compared with mel
    - python -m bench.statements  how often statements of reports are false
    - python -m bench.step        time of a training step in several loops
    - python -m bench.stretches   detections against marked sounds, by window length
    - python -m bench.kill        SIGKILL at random moments, and its consequences
    - python -m bench.two_models  answer with texturenet as a second model
    - python -m bench.wide        memory of ridge on the layers of several networks
    """

    dataset: str = option("synth", "any dataset whose clips are there")
    features: str = option("all", "features, separated by blanks")
