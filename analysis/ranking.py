"""The runs that may be ranked together, and how sure the ranking is.

Only comparable runs share a ranking. They agree in dataset, task, classes, test clips,
source recordings, the cache's audio settings and parameters, folds and protocol (the
validation clips, the epoch that counts). A former answer is in no ranking with the
latest one, whichever score is higher. The main ranking has runs that finished every
fold. If no two comparable runs did, but several finished the same folds, these are
ranked. Accuracy (tags: mAP) is computed over all folds together, with a bootstrap
interval.

The best run is the most accurate one, whatever its model. Features are compared within
one setting, a model with its options: of the settings with several feature sets, the
one whose best set is highest (`Findings.alike`). Sign flips compare the best run with
each other run, and with chance (`compare.ranking`).

Conventions: R runs, the best first; N clips; F folds; G source recordings.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

import numpy as np

from featurestack.analysis.run_arrays import Run, differing_options, same_clips
from featurestack.compare import ranking


def setting(run: Run, runs: Sequence[Run], changed: Collection[str] = ()) -> str:
    """The run's model, and the options that differ among the `runs` of this model:
    `resnet18, augment none`.

    Features, seed and the options in `changed` are left out. An answer and
    predictions from elsewhere have no options that could differ.
    """
    kind = run.model, bool(run.trained)
    same = [other for other in runs if (other.model, bool(other.trained)) == kind]
    keys = set().union(*(differing_options(run, other) for other in same))
    keys |= {"tag" for other in same if other.config.tag != run.config.tag}
    keys -= {"features", *changed}
    return ", ".join(
        [run.model, *(f"{key} {run.option_text(key)}" for key in sorted(keys))]
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking(ranking.Ranking[Run]):
    """Comparable runs, best first."""

    # why its runs are not in the main ranking (`reason_apart`); '' for the main ranking
    reason: str = ""

    @cached_property
    def labels(self) -> dict[str, str]:
        """The unique label of each run, by the run's name.

        The label is the features (`mel+mfcc`). If trained runs have several models, or
        runs have the same features, the model and the options that differ follow:
        `mel+mfcc (texturenet, tag second)`.
        """
        models = {run.model for run in self.runs if run.trained}
        labels = {}
        for run in self.runs:
            alike = [other for other in self.runs if other.features == run.features]
            labels[run.name] = run.features
            if len(alike) > 1 or (run.trained and len(models) > 1):
                labels[run.name] += f" ({setting(run, alike)})"
        return labels


def rankings(runs: Sequence[Run]) -> list[Ranking]:
    """Every set of comparable runs, ordered by accuracy, or tags by mAP; the main one
    first.
    """
    sets: list[list[Run]] = []
    for run in runs:
        for together in sets:
            if not any(reason_apart(run, other) for other in together):
                together.append(run)
                break
        else:
            sets.append([run])
    sets.sort(
        key=lambda together: (
            len(together) == 1,
            bool(together[0].missing_folds),
            -len(together[0].clip_ids),
            -len(together),
            together[0].imported,
        )
    )
    main = sets[0] if sets else []
    made = []
    for together in sets:
        reasons = [reason_apart(run, other) for run in together for other in main]
        # of equal scores the smaller set comes first
        together.sort(key=lambda run: run.features.count("+"))
        reason = next(filter(None, reasons), "")
        crossed = len(np.unique(together[0].folds)) > 1
        made.append(
            Ranking(runs=ranking.in_order(together), crossed=crossed, reason=reason)
        )
    return made


def reason_apart(run: Run, other: Run) -> str:
    """The first thing that two runs do not share; '' if they can be compared."""
    # a table of predictions does not say how its model was selected, or what it read
    imported = run.imported or other.imported
    # the validation and the epoch that counts; if unknown the whole `protocol`
    protocols = [
        f"{own.config.val}, {own.checkpoint}" if own.config.val else own.protocol
        for own in (run, other)
    ]
    same_ids = np.array_equal(run.clip_ids, other.clip_ids)
    a, b = run.trained, other.trained
    same_values = True
    # a digest covers the whole table of clips, so only equal tables can be compared
    if a and b and a.clips == b.clips:
        shared = a.cache.keys() & b.cache.keys()
        same_values = all(a.cache[name] == b.cache[name] for name in shared)
    of_audio = attrgetter("sample_rate", "duration", "audio_channel")
    same_audio = of_audio(run.config) == of_audio(other.config)
    differing = {
        "dataset": run.dataset != other.dataset,
        "task": run.task.name != other.task.name,
        "classes": run.classes != other.classes,
        "folds": run.missing_folds != other.missing_folds
        or (same_ids and not np.array_equal(run.folds, other.folds)),
        "answer": bool(run.members and other.members) and run is not other,
        "groups": same_ids and not np.array_equal(run.groups, other.groups),
        "clips": not same_clips(run, other),
        "audio or features": not (imported or (same_values and same_audio)),
        "protocol": protocols[0] != protocols[1] and not imported,
    }
    return next((reason for reason, found in differing.items() if found), "")
