"""A methods paragraph for a paper: the template methods.txt, filled in from run.json
and the cache.
"""

from collections import Counter
from pathlib import Path

import soundfile

from featurestack import __version__
from featurestack.analysis.findings import Findings
from featurestack.analysis.page import render
from featurestack.features_cache import Cache
from featurestack.results.bootstrap import REPLICATES


def methods_text(found: Findings, cache: Cache | None = None) -> str:
    """A paragraph about the best run: data, features, model, training, protocol,
    statistics, software.
    """
    seconds: list[float] = []
    rates: Counter[int] = Counter()  # sample rate of an audio file -> number of clips
    if cache and found.main:
        tested = cache.sources.set_index("clip_id").loc[found.main.best.clip_ids]
        seconds = [known for known in tested["source_seconds"] if known > 0]
        for path in tested["path"]:
            if Path(path).is_file():
                try:
                    rates[soundfile.info(path).samplerate] += 1
                except soundfile.LibsndfileError:
                    continue
        rates.pop(cache.sample_rate, None)
    text = render(
        "methods.txt",
        f=found,
        replicates=REPLICATES,
        seconds=seconds,
        resampled=rates,
        version=__version__,
    )
    return " ".join(text.split())
