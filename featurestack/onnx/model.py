"""The networks of an exported ONNX file, by onnxruntime, for `predict.model.Model`.

The file's metadata have the configuration, from which features are computed as for a
bundle.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

from featurestack.commandline.errors import RequestError
from featurestack.predict.bundle import (
    Bundle,
    BundleConfig,
    Probabilities,
    RunModel,
    Values,
)
from featurestack.results.config import read_config
from featurestack.train.network_input import Floats

CONFIG = "config"  # key of the metadata: run.json with the keys of `BundleConfig`
AGAIN = "export it again from its run"


class ExportedModel(RunModel):
    """The networks of an ONNX file that `export` wrote; RequestError for another
    file.
    """

    def __init__(self, file: Path) -> None:
        try:
            self.session = open_session(file.read_bytes())
            metadata = self.session.get_modelmeta().custom_metadata_map
            content = json.loads(metadata[CONFIG])
        except Exception as error:  # onnxruntime's errors have no common class
            reason = str(error).splitlines()[0]
            raise RequestError(
                f"{file} is no ONNX file of this project's runs ({reason})"
            ) from None
        config = read_config(content, BundleConfig, str(file), AGAIN)
        super().__init__(Bundle(config, {}))
        self.fold_numbers = tuple(json.loads(metadata["folds"]))

    def by_fold(self, values: Values, filled: Floats) -> list[Probabilities]:
        """(B, K) of each fold's model alone.

        Clips without padding have lengths of their own and are given one by one.
        """
        if not self.input.drop_padding:
            return list(np.moveaxis(run_session(self.session, values), 1, 0))
        answers = []
        for clip in range(len(filled)):
            own = []
            for channel, stored in zip(self.input.channels, values):
                frames = self.input.own_frames(channel, filled[clip : clip + 1])[0]
                own.append(stored[clip : clip + 1, :, :frames])
            answers.append(run_session(self.session, own))
        return list(np.moveaxis(np.concatenate(answers), 1, 0))


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    """A silent session of onnxruntime on one thread."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(
        content, settings, providers=["CPUExecutionProvider"]
    )


def run_session(session: onnxruntime.InferenceSession, values: Values) -> Probabilities:
    """(B, F, K) for clips of one length."""
    fed = {}
    for given, channel in zip(session.get_inputs(), values, strict=True):
        fed[given.name] = channel.astype(np.float32)
    (by_fold,) = session.run(["by_fold"], fed)
    return by_fold
