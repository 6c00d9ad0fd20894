"""`predict TEST_CLIPS=1 HOP=…` for a run on windows: the rules that join windows to
detections, chosen on the tested recordings.

Each fold's model predicts its test recordings, at a finer hop than in training. The
scores are those of rules from the other folds; the rules for new audio, from all folds,
are written to run.json. Timelines are kept, so that a kill loses no finished recording.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from featurestack.commandline.errors import RequestError
from featurestack.commandline.tables import as_csv
from featurestack.commandline.terminal import tell
from featurestack.features_cache import Cache, cache_folder
from featurestack.pipeline import audio
from featurestack.results.config import Joining
from featurestack.results.detections import detection_scores
from featurestack.results.joining import TOLERANCE
from featurestack.results.run_folder import RunFolder, write_config
from featurestack.results.tested_windows import FoldWindows, annotated_recordings
from featurestack.results.windows import Annotated, block_groups, label_windows
from featurestack.storage.files import replace_file
from featurestack.train.audio_model import AudioModel
from featurestack.train.detect import (
    Windowing,
    predict_windows,
    recording_durations,
    source_of,
    write_scores,
)
from featurestack.train.options import PredictOptions
from featurestack.train.timeline import TimelineFolder


def choose_joining(options: PredictOptions, model: AudioModel, run: RunFolder) -> int:
    """Choose the rules, print their scores and write them to run.json; returns 0."""
    cache = Cache(cache_folder(run.dataset, options.data, run.dataset))
    annotated = annotated_recordings(cache)
    if annotated is None or len(run.finished) < 2:
        raise RequestError(
            f"{run.name}: HOP with TEST_CLIPS=1 chooses rules for detections on the"
            " tested recordings; expected a run on a dataset of `make windows` with two"
            " finished folds or more: leave HOP out"
        )
    windowing = Windowing.of(model, options.window, options.hop)
    folder = options.out or options.reports / run.dataset / "tested" / run.name
    clips = tested_clips(run, cache, options.selection)
    tested = predict_tested(model, clips, annotated, windowing, folder)
    write_scores(cross_fitted_scores(tested, folder), folder)
    length = windowing.samples / windowing.sample_rate
    joining = Joining(length=length, hop=windowing.hop, rules=tested.rules())
    config = run.training
    selection = model.config.selection
    fitted = replace(config.calibration[selection], joining=joining)
    calibration = {**config.calibration, selection: fitted}
    write_config(run.path, replace(config, calibration=calibration))
    tell(
        "scores of the tested folds, by rules of the others; the rules of all folds,"
        f" for new audio, are in {run.path / 'run.json'}"
    )
    return 0


def tested_clips(run: RunFolder, cache: Cache, selection: str) -> pd.DataFrame:
    """The rows of the tested clips in the cache, with `fold` and recording (`file`)."""
    rows = run.scored(selection=selection)
    clips = cache.clips.iloc[cache.positions(rows["clip_id"])]
    recordings = clips["clip_id"].str.rpartition("@")[0]
    return clips.assign(fold=rows["fold"].to_numpy(), file=recordings)


def predict_tested(
    model: AudioModel,
    clips: pd.DataFrame,
    annotated: Annotated,
    windowing: Windowing,
    folder: Path,
) -> FoldWindows:
    """The windows of each fold's test recordings, by the model of that fold.

    clips  of `tested_clips`
    """
    store = TimelineFolder(folder / "timelines")
    made_by = f"{model.fingerprint} {windowing.samples} {windowing.step}"
    places = clips.groupby("file")["path"].first()
    files = {name: Path(path) for name, path in places.items()}
    durations = recording_durations(files)
    tables = []
    probabilities = []
    for (fold, name), part in clips.groupby(["fold", "file"]):
        key = f"fold{fold}/{name}"
        seconds = durations.get(name, 0.0)
        try:
            source = source_of(key, files[name], seconds, made_by, "")
            timeline = store.read(source, model.classes)
            if timeline is None:
                timeline = predict_windows(
                    model, key, files[name], seconds, windowing, fold
                )
                store.keep(source, timeline)
        except (audio.AudioError, OSError) as error:
            raise RequestError(f"{files[name]}: {error}: put it back") from None
        table = timeline.windows.assign(file=name, fold=fold)
        inside = in_groups(table, {*part["group"]}, annotated.block)
        tables.append(table[inside])
        probabilities.append(timeline.probabilities[inside])
    values = pd.concat(probabilities, ignore_index=True)
    calibrated = model.task.scaled(values.to_numpy(), model.temperature)
    values = pd.DataFrame(calibrated, columns=values.columns)
    windows = pd.concat(tables, ignore_index=True)
    names = {str(path.absolute()): name for name, path in files.items()}
    events = annotated.events.assign(file=annotated.events["file"].map(names))
    events = events[events["file"].notna()]
    windows["label"] = label_windows(windows, events)
    annotated = annotated._replace(events=events)
    return FoldWindows.of(windows, values, annotated, windowing.hop)


def in_groups(
    windows: pd.DataFrame, groups: set[str], block: float | None
) -> pd.Series:
    """Whether a window lies in one of these groups: recordings, or blocks of one."""
    first = block_groups(windows, block)
    last = block_groups(windows.assign(start=windows["end"] - TOLERANCE), block)
    return first.isin(groups) & (first == last)


def cross_fitted_scores(tested: FoldWindows, folder: Path) -> pd.DataFrame:
    """The table of `detection_scores`, each fold by rules of the other folds; also
    write the detections.
    """
    decided = tested.cross_fitted()
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "detections.csv", as_csv(decided.detections))
    return detection_scores(
        tested.windows,
        decided.chosen,
        tested.probabilities,
        tested.hop,
        tested.events,
        decided.detections,
    )
