"""`python -m pipeline plan`: the cost of an extraction; the cache stays as it is."""

import numpy as np

from featurestack.commandline.tables import text_table
from featurestack.features_cache.missing import missing
from featurestack.features_cache.side_files import read_costs
from featurestack.pipeline.extraction_report import describe_work
from featurestack.pipeline.options import ExtractOptions
from featurestack.pipeline.request import Request, request
from featurestack.pipeline.worker import ClipTask, Computation, ExtractionResult

# clips that `plan` measures; the first also loads and compiles, so it is computed twice
MEASURED_CLIPS = 5


def run(options: ExtractOptions) -> int:
    """The command `plan`: print the clips to compute, seconds and megabytes of each
    feature.

    Seconds are those that were last measured in this cache, else measured on a few
    clips.
    """
    asked = request(options)
    lacking = missing(asked)
    for note in (*asked.notes, *lacking.notes()):
        print(note)
    known = {name: seconds for name, (seconds, _) in read_costs(asked.cached).items()}
    if not {spec.stored for spec in asked.specs} <= known.keys():
        measured = measure(asked).seconds_a_clip()
        known = measured | known
        source = "about, measured on a few clips"
        print(f"seconds: {source if measured else 'unknown, no clip was read'}")
    rows = []
    for spec, todo in zip(asked.specs, lacking.todo.sum(axis=0).tolist()):
        seconds = f"{todo * known[spec.stored]:.1f}" if spec.stored in known else "-"
        rows.append(
            (
                spec.stored,
                todo,
                seconds,
                f"{len(asked.clips) * spec.clip_bytes / 1e6:.1f}",
            )
        )
    print(text_table(rows, ("feature", "to compute", "seconds of a core", "megabytes")))
    print(describe_work(asked, lacking))
    return 0


def measure(asked: Request, clips: int = MEASURED_CLIPS) -> ExtractionResult:
    """Compute the features of a few clips, spread over the part, and write nothing."""
    result = ExtractionResult()
    computation = Computation(
        asked.variants, asked.dataset.sample_rate, asked.dataset.samples, asked.specs
    )
    everything = dict.fromkeys(range(len(asked.specs)), 0)
    part = asked.part
    spread = np.unique(
        np.linspace(part.start, part.stop - 1, clips, dtype=int)
    ).tolist()
    for row in (*spread[:1], *spread):
        computation.compute(ClipTask(row, asked.sources[row], everything), result)
    return result
