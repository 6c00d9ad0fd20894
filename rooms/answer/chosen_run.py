"""The run folder of a choice: runs/<dataset>/answer.

run.json                 a `ChoiceConfig`
fold1/predictions.csv    the test clips of a fold, by the run of the set that was
                         chosen without this fold
features.csv             FEATURE_COLUMNS, a row for each candidate
scores-<digest>.csv      the scores that chose, see `choice.Scores`
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from featurestack.analysis.significance import FAMILY_LEVEL, mean_tests
from featurestack.commandline.quantities import counted
from featurestack.commandline.registry import first_sentence
from featurestack.commandline.tables import as_csv
from featurestack.features_cache.names import parse_channel
from featurestack.pipeline.features import FEATURES
from featurestack.results.config import OF_DATASET, RUN_FORMAT, ChoiceConfig, digest
from featurestack.results.run_folder import RunFolder, write_config, write_predictions
from featurestack.rooms.answer.choice import Clips, Scores
from featurestack.rooms.answer.options import FOLDER
from featurestack.rooms.answer.section import CANDIDATES, FEATURE_COLUMNS
from featurestack.scores.metrics import Floats
from featurestack.scores.tasks.base import clip_metric
from featurestack.storage.files import replace_file

# feature -> the score that is lost without it, and both ends of its interval
Lost: TypeAlias = Mapping[str, tuple[float, float, float]]


def write_choice(
    folder: Path,
    runs: Mapping[int, RunFolder],
    recommended: RunFolder,
    scores: Scores,
    lost: Lost,
    command: Sequence[str],
) -> RunFolder:
    """Write the run folder of a choice.

    runs     tested fold -> the run that has trained its set on the other folds
    lost     as `lost_without`
    command  the words of the command
    """
    sets = {fold: run.training.features for fold, run in runs.items()}
    # first: a kill in between leaves no run, and not one with folds of another choice
    (folder / "run.json").unlink(missing_ok=True)
    for fold, run in runs.items():
        table = run.predictions(fold).query("split == 'test'")
        probabilities = table[run.classes].to_numpy(np.float32)
        place = folder / f"fold{fold}"
        write_predictions(place, table, probabilities, run.classes)
    features = feature_table(scores, sets, lost)
    replace_file(folder / CANDIDATES, as_csv(features))
    # run.json last: it makes the folder a run
    write_config(folder, configuration(runs, recommended, scores, command))
    return RunFolder(folder)


def configuration(
    runs: Mapping[int, RunFolder],
    recommended: RunFolder,
    scores: Scores,
    command: Sequence[str],
) -> ChoiceConfig:
    config = recommended.training
    names = scores.clips.plan.channel_names
    trained = {run.name: run.training for run in (*runs.values(), recommended)}
    models = sorted({other.model for other in trained.values()})
    sets = tuple(run.training.features for run in runs.values())
    hashes = [other.hash for other in trained.values()]
    hash_ = digest([hashes, sets, list(names)])
    count = counted(len(names), "feature")
    return ChoiceConfig(
        format_version=RUN_FORMAT,
        **{key: getattr(config, key) for key in OF_DATASET},
        features=f"the choice from {count}",
        model=" or ".join(models),
        seed=config.seed,
        family=hash_,
        hash=hash_,
        name=FOLDER,
        protocol=f"{config.protocol}; features chosen without the tested fold",
        members=tuple(trained),
        parameters=0,
        seconds=sum(other.seconds for other in trained.values()),
        note="",
        val="none",
        candidates=tuple(names),
        sets=sets,
        exact=all(other.exact for other in trained.values()),
        recommended=config.features,
        recommended_run=recommended.name,
        recommended_score=scores.mean(config.features, None),
        words=tuple(command),
    )


def feature_table(scores: Scores, sets: Mapping[int, str], lost: Lost) -> pd.DataFrame:
    """FEATURE_COLUMNS: features chosen most often first; ties by their score alone."""
    names = scores.clips.plan.channel_names
    chosen = [name for features in sets.values() for name in features.split("+")]
    unknown = (np.nan, np.nan, np.nan)
    rows = []
    for name in names:
        numbers = scores.mean(name, None), chosen.count(name), *lost.get(name, unknown)
        rows.append((name, *numbers, about(name)))
    table = pd.DataFrame(rows, columns=list(FEATURE_COLUMNS))
    return table.sort_values(["folds", "alone"], ascending=False, kind="stable")


def about(name: str) -> str:
    """A feature in a sentence; empty for one that others have computed."""
    plain = parse_channel(name).name
    return first_sentence(FEATURES[plain].function) if FEATURES.knows(plain) else ""


def lost_without(clips: Clips, sets: Mapping[int, str]) -> Lost:
    """Feature -> the score that `linear` loses without it on the folds whose sets have
    it, and the interval, corrected for all features.

    The sets of several features alone count: without its only feature a set is empty.
    """
    parts = [
        gains_of_fold(clips, fold, features)
        for fold, features in sets.items()
        if "+" in features
    ]
    if not parts:
        return {}
    gains = pd.concat(parts)
    features = [name for name in gains if name not in ("group", "fold")]
    lost = {}
    for name in features:
        part = gains[gains[name].notna()]
        values, groups = part[[name]].to_numpy(float), part["group"].to_numpy()
        tests = mean_tests(values, groups, FAMILY_LEVEL / len(features), 1.0)
        mean, low, high, _ = tests.numbers()[0]
        lost[name] = (float(mean), float(low), float(high))
    return lost


def gains_of_fold(clips: Clips, fold: int, features: str) -> pd.DataFrame:
    """The fold's test clips, and what each feature of the set adds to their scores."""
    plan = clips.plan
    train, tested = clips.trained(fold), clips.tested(fold)
    table = plan.cache.clips.iloc[tested][["group", "fold"]]
    labels = plan.indicator(tested)

    def clip_scores(names: Sequence[str]) -> Floats:
        x = clips.x("+".join(names))
        logits = clips.fitted("+".join(names), train)(x[tested])
        return clip_metric(plan.task).clip_scores(labels, logits, table)[1]

    members = features.split("+")
    whole = clip_scores(members)
    gains = {
        name: whole - clip_scores([other for other in members if other != name])
        for name in members
    }
    return table.assign(**gains)
