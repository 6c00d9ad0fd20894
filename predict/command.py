"""The commands `predict` and `verify`, which refuse what is wrong before torch is
loaded.
"""

from dataclasses import replace
from pathlib import Path

from featurestack.commandline.options import DatasetOptions
from featurestack.features_cache import dataset_name
from featurestack.predict.options import VerifyOptions
from featurestack.results import folders
from featurestack.train.options import PredictOptions


def predict(options: PredictOptions) -> int:
    """Predict the classes of new audio by a trained run."""
    needed = options.audio is not None or options.elsewhere
    if needed and not Path(options.run).is_file():
        dataset = "" if options.elsewhere else dataset_name(options.dataset)
        folders.select_one(options.runs, options.run, dataset)
    from featurestack.predict.clips import predict_audio

    return predict_audio(options)


def verify(options: VerifyOptions) -> int:
    """Check a cache for damage, or what a run's weights predict."""
    if options.run:
        from featurestack.predict.verify import verify_run

        return verify_run(options)
    from featurestack.pipeline.reference import verify_features

    default = DatasetOptions().dataset
    return verify_features(replace(options, dataset=options.dataset or default))
