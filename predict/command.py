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
    from featurestack.features_cache.cache import cache_of
    from featurestack.features_cache.contents import verify_cache

    default = DatasetOptions().dataset
    cache = cache_of(replace(options, dataset=options.dataset or default))
    verdicts = verify_cache(cache, options.features)
    print("\n".join(verdict.text for verdict in verdicts))
    return 0 if all(verdict.intact for verdict in verdicts) else 1
