"""The gains of feature sets over a base on several datasets, and sentences on them.

The gain of a feature set is its score less that of the base (BASE=, `mel`), both by one
model (MODEL=). On the datasets at hand one joint sign-flip test over all their source
recordings weights datasets equally and is corrected for all feature sets
(`analysis.significance`). For a dataset not seen there is a random-effects model
(`across.random_effects`). The two never share a sentence. Standard errors come from
source recordings. Scores of datasets are never averaged, and gains of mAP never with
gains of accuracy.

Conventions: k datasets; G source recordings of a dataset; M feature sets other than
the base. Gains are from -1 to 1.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from featurestack.analysis.clips import readable_cache
from featurestack.analysis.ranking import Ranking, rankings
from featurestack.analysis.report_inputs import ReportJob
from featurestack.analysis.runs import (
    Problem,
    Run,
    differing_options,
    load_runs,
    runs_of_other_clips,
)
from featurestack.analysis.significance import (
    LEVEL,
    ROUNDING,
    sign_flip_tests,
    standard_error,
)
from featurestack.analysis.tables import format_p
from featurestack.commandline.errors import RequestError, nearest
from featurestack.commandline.quantities import counted, points
from featurestack.commandline.terminal import progress
from featurestack.features_cache import Cache
from featurestack.features_cache.table import originals
from featurestack.results.config import RunConfig
from featurestack.results.run_folder import RunFolder
from featurestack.rooms.across.options import FEWEST_DATASETS, AcrossOptions
from featurestack.rooms.across.random_effects import FEWEST_TO_PREDICT, random_effects
from featurestack.scores.bootstrap import effective_recordings
from featurestack.scores.metrics import Floats

# ids that datasets share only if they share clips: `1-100032-A-0`, `XC123456`
UNIQUE_ID = r"\d{5,}|[0-9a-f]{8,}"
SOME_AUDIO = 0.1  # share of the clips from which an overlap is named
SAME_AUDIO = 0.5  # share of the audio files from which a dataset is inside another
SEED = 0  # the same prediction intervals in every report
# verdict on a dataset -> column of the number of datasets with it
VERDICTS = {"gain": "gained", "tie": "tied", "loss": "lost", "not tested": "untested"}
DEFAULT_BASE = AcrossOptions.base  # a dataset without it is named on the page


@dataclass(frozen=True, eq=False)
class DatasetGains:
    """The gains of M feature sets over the base on one dataset."""

    dataset: str
    score: str  # accuracy | mAP
    protocol: str
    synthetic: bool
    # (G, M) parts of the gains, a column for each feature set; their sum is the gain
    differences: pd.DataFrame
    shares: Floats  # (G,) each recording's weight in the score
    table: pd.DataFrame  # columns of gains.csv, a row for each feature set


@dataclass(frozen=True, eq=False)
class Comparison:
    """The gains of feature sets over the base on several datasets."""

    model: str
    base: str
    score: str  # the pooled datasets' score: accuracy | mAP
    listed: tuple[str, ...]  # datasets of another score, which are not pooled
    # feature_set, dataset, score, gain, se, low, high, verdict
    gains: pd.DataFrame
    # feature_set, datasets, mean, low, high, p, tau, new_low, new_high
    pooled: pd.DataFrame
    # on these datasets, the largest gain first: feature_set, datasets, gain, p, clear,
    # gained, tied, lost, untested, better
    joint: pd.DataFrame

    @property
    def best(self) -> dict[str, Any]:
        """The largest gain of the sets on most datasets: `joint` and `pooled`."""
        widest = self.joint[self.joint["datasets"] == self.joint["datasets"].max()]
        name = widest["feature_set"].iloc[0]
        pooled = self.pooled.set_index("feature_set").loc[name]
        return {**pooled.to_dict(), **widest.iloc[0].to_dict()}


def trained_runs(job: ReportJob) -> list[RunFolder]:
    """Its readable runs with a finished fold."""
    runs = []
    for folder in job.runs:
        with suppress(RequestError, OSError):
            if isinstance(folder.config, RunConfig) and folder.finished:
                runs.append(folder)
    return runs


def trained_sets(job: ReportJob) -> list[tuple[str, str]]:
    """Model and feature set of each configuration with a finished fold."""
    configs = [run.training for run in trained_runs(job)]
    return [*dict.fromkeys((config.model, config.features) for config in configs)]


def refuse_unknown(given: Sequence[ReportJob], model: str, base: str) -> None:
    """RequestError for a model or base that no run of these datasets has."""
    sets = [trained for job in given for trained in trained_sets(job)]
    if not sets:
        return  # the reports say why no run can be read
    models = {trained for trained, _ in sets}
    if model and model not in models:
        raise RequestError(f"MODEL: {nearest('trained model', model, models)}")
    known = {features for trained, features in sets if model in ("", trained)}
    if base != DEFAULT_BASE and base not in known:
        what = f"feature set{f' of {model}' if model else ''}"
        raise RequestError(f"BASE: {nearest(what, base, known)}")


def chosen_model(given: Sequence[ReportJob], base: str) -> str:
    """The model with which most datasets have the base and another set."""
    counts: Counter[str] = Counter()
    for sets in map(trained_sets, given):
        for model, features in Counter(model for model, _ in sets).items():
            if (model, base) in sets and features > 1:
                # more feature sets decide between models of equally many datasets
                counts[model] += 1_000_000 + features
    return counts.most_common(1)[0][0] if counts else ""


def current_runs(
    job: ReportJob, cache: Cache | None, model: str
) -> tuple[list[Run], list[Problem]]:
    """The runs of this model whose clips have not changed, and what is left out."""
    every = trained_runs(job)
    results = load_runs([run for run in every if run.training.model == model])
    problems = [problem for problem in results.problems if problem.kind == "damaged"]
    outdated = runs_of_other_clips(results.runs, cache) if cache else []
    changed = {problem.run for problem in outdated}
    runs = [run for run in results.runs if run.name not in changed]
    if outdated:
        text = f"{counted(len(outdated), 'run')} of {model}: {outdated[0].text}"
        problems.append(Problem(job.dataset, text))
        if not runs:
            raise RequestError(f"not compared: {text}")
    return runs, problems


def dataset_gains(
    job: ReportJob, cache: Cache | None, model: str, base: str
) -> tuple[DatasetGains, list[Problem]]:
    """The gains on a dataset, what they leave out; RequestError without any."""
    runs, problems = current_runs(job, cache, model)
    setting = same_setting(rankings(runs), base)
    if setting is None:
        reason = f"{model} has no whole runs of {base} and another feature set"
        raise RequestError(f"not compared: {reason}")
    ranking, columns = setting
    place = columns.pop(base)
    features = list(columns)
    # the report's own test, at its level
    differences, tests = ranking.compare([(place, of) for of in columns.values()])
    differences = differences / ranking.unit
    best = ranking.best
    table = pd.DataFrame(
        {
            "feature_set": features,
            "dataset": job.dataset,
            "score": best.task.metric.title,
            **gains_with_intervals(differences, ranking.shares, len(best.clip_ids)),
        }
    )
    clear = tests.p < ranking.level
    table["verdict"] = np.select(
        [not ranking.testable, clear & (table["gain"] > 0), clear],
        ["not tested", "gain", "loss"],
        "tie",
    )
    gains = DatasetGains(
        dataset=job.dataset,
        score=best.task.metric.title,
        protocol=best.selection_protocol,
        synthetic=best.config.synthetic,
        differences=pd.DataFrame(differences, columns=features),
        shares=ranking.shares,
        table=table,
    )
    return gains, problems


def gains_with_intervals(
    differences: Floats, shares: Floats, clips: int
) -> dict[str, Floats]:
    """gain, se, low and high (M,) of M feature sets; RequestError if all clips come
    from one recording.

    differences  (G, M) the part of each recording in the gain
    shares       (G,) the weight of each recording in the score
    clips        in the score: a score is not known better than to one of them, even if
                 the gains of all recordings are equal
    """
    error = standard_error(differences, shares)
    if np.isnan(error).any():
        raise RequestError("not compared: its clips come from one source recording")
    error = np.maximum(error, 1 / clips)
    gain = differences.sum(axis=0)
    effective = effective_recordings(shares[:, None])[0]
    reach = stdtrit(effective - 1, 1 - LEVEL / 2) * error
    return {
        "gain": gain,
        "se": error,
        "low": np.maximum(gain - reach, -1),
        "high": np.minimum(gain + reach, 1),
    }


def same_setting(
    ranked: Sequence[Ranking], base: str
) -> tuple[Ranking, dict[str, int]] | None:
    """The ranking, and in it feature set -> place, of the most runs that differ from a
    run of `base` in features alone; None if `base` is alone or missing.
    """
    largest = None
    for ranking in ranked:
        for reference in ranking.runs:
            if reference.features == base:
                columns = alike(ranking.runs, reference)
                if len(columns) > (len(largest[1]) if largest else 1):
                    largest = ranking, columns
    return largest


def alike(runs: Sequence[Run], reference: Run) -> dict[str, int]:
    """Feature set -> place of its first run with the options of `reference`."""
    columns: dict[str, int] = {}
    for place, run in enumerate(runs):
        if differing_options(run, reference) <= {"features"}:
            columns.setdefault(run.features, place)
    return columns


def clips_of(cache: Cache) -> dict[str, set[str]]:
    """`audio files`, by their content, and `clip ids` that cannot agree by chance."""
    clips = originals(cache.sources)
    names = clips["clip_id"].astype(str)
    ids = {*names[names.str.contains(UNIQUE_ID)]}
    return {"audio files": {*clips["source_hash"]} - {""}, "clip ids": ids}


def overlaps(
    caches: Mapping[str, Cache | None],
) -> list[tuple[str, str, str, int, int]]:
    """Name of a dataset, of a larger one, what they share, how many, of how many of the
    first: a row for each pair of datasets that share something.
    """
    known = {name: clips_of(cache) for name, cache in caches.items() if cache}
    sizes = {name: max(map(len, each.values())) for name, each in known.items()}
    names = sorted(known, key=lambda name: -sizes[name])
    rows = []
    for larger, name in itertools.combinations(names, 2):
        shared = []
        for what, own in known[name].items():
            both = len(own & known[larger][what])
            if both:
                shared.append((both / len(own), what, both, len(own)))
        if shared:
            _, what, both, of = max(shared)
            rows.append((name, larger, what, both, of))
    return rows


def inside_others(caches: Mapping[str, Cache | None]) -> dict[str, str]:
    """Dataset -> a sentence, for those whose clips a larger one holds too."""
    inside: dict[str, str] = {}
    for name, larger, what, both, of in overlaps(caches):
        if larger not in inside and both >= SAME_AUDIO * of:
            inside[name] = (
                f"not compared: {both:,} of its {of:,} {what} are in {larger} too,"
                " which is compared"
            )
    return inside


def partly_inside(caches: Mapping[str, Cache | None]) -> list[Problem]:
    """A problem for each dataset that shares SOME_AUDIO with a larger one."""
    problems = []
    for name, larger, what, both, of in overlaps(caches):
        if both > SOME_AUDIO * of:
            text = (
                f"{both:,} of its {of:,} {what} are in {larger} too: the gains of the"
                " two are not independent, and the average counts these clips twice"
            )
            problems.append(Problem(name, text))
    return problems


def compare_datasets(
    given: Sequence[ReportJob], model: str, base: str
) -> tuple[Comparison | None, list[Problem]]:
    """The comparison of these datasets, None if fewer than three can be; and a problem
    for each thing that is left out.

    model  '' for that of most datasets
    """
    model = model or chosen_model(given, base)
    if not model:
        return None, []
    caches = {job.dataset: readable_cache(job.cache)[0] for job in given}
    problems = []
    measured = []
    for job in progress(list(given), label="comparing", unit="dataset"):
        try:
            gains, left_out = dataset_gains(job, caches[job.dataset], model, base)
        except RequestError as error:
            problems.append(Problem(job.dataset, str(error)))
        else:
            measured.append(gains)
            problems += left_out
    inside = inside_others({gains.dataset: caches[gains.dataset] for gains in measured})
    problems += [Problem(name, text) for name, text in inside.items()]
    measured = [gains for gains in measured if gains.dataset not in inside]
    measured, others = of_usual_protocol(measured)
    problems += others
    problems += partly_inside(
        {gains.dataset: caches[gains.dataset] for gains in measured}
    )
    for gains in measured:
        if gains.synthetic:
            text = "synthetic data: its gains say nothing about recorded sounds"
            problems.append(Problem(gains.dataset, text))
    return compared(measured, model, base), problems


def of_usual_protocol(
    measured: Sequence[DatasetGains],
) -> tuple[list[DatasetGains], list[Problem]]:
    """The datasets with the commonest protocol, and a problem for each other."""
    protocols = Counter(gains.protocol for gains in measured)
    usual = max(protocols, key=protocols.__getitem__, default="")
    problems = []
    for gains in measured:
        if gains.protocol != usual:
            text = (
                f"not compared: its runs have another protocol ({gains.protocol}) than"
                f" the others ({usual})"
            )
            problems.append(Problem(gains.dataset, text))
    return [gains for gains in measured if gains.protocol == usual], problems


def compared(
    measured: Sequence[DatasetGains], model: str, base: str
) -> Comparison | None:
    """The comparison of sets that three datasets of one score have, if any."""
    scores = Counter(gains.score for gains in measured)
    if not scores:
        return None
    score = scores.most_common(1)[0][0]
    pooled = [gains for gains in measured if gains.score == score]
    trained = Counter(name for gains in pooled for name in gains.differences)
    counts = {
        name: count for name, count in trained.items() if count >= FEWEST_DATASETS
    }
    if not counts:
        return None
    table = pd.concat([gains.table for gains in measured], ignore_index=True)
    table = table[table["feature_set"].isin(counts.keys())]
    joint = joint_test(pooled, counts, table)
    table["feature_set"] = pd.Categorical(table["feature_set"], joint["feature_set"])
    table = table.sort_values(["feature_set", "dataset"], ignore_index=True)
    table["feature_set"] = table["feature_set"].astype(str)
    rows = []
    for name in joint["feature_set"]:
        of_set = table[(table["feature_set"] == name) & (table["score"] == score)]
        effects = random_effects(
            of_set["gain"].to_numpy(),
            of_set["se"].to_numpy(),
            np.random.default_rng(SEED),
        )
        rows.append({"feature_set": name, **asdict(effects)})
    return Comparison(
        model=model,
        base=base,
        score=score,
        listed=tuple(gains.dataset for gains in measured if gains.score != score),
        gains=table,
        pooled=pd.DataFrame(rows),
        joint=joint,
    )


def joint_test(
    measured: Sequence[DatasetGains], counts: Mapping[str, int], gains: pd.DataFrame
) -> pd.DataFrame:
    """Each set's mean gain where it was trained, by one test of all recordings.

    counts  feature set -> number of the datasets that have it
    """
    features, datasets = [*counts], np.array([*counts.values()])
    parts = []
    shares = []
    for each in measured:
        part = each.differences.reindex(columns=features, fill_value=0.0)
        parts.append(part / datasets)
        shares.append(each.shares / len(measured))
    tests = sign_flip_tests(np.concatenate(parts), np.concatenate(shares), LEVEL)
    here = gains[gains["dataset"].isin([each.dataset for each in measured])]
    verdicts = pd.crosstab(here["feature_set"], here["verdict"]).reindex(
        index=features, columns=[*VERDICTS], fill_value=0
    )
    better = (here["gain"] > ROUNDING).groupby(here["feature_set"]).sum()
    table = pd.DataFrame(
        {
            "feature_set": features,
            "datasets": datasets,
            "gain": tests.total,
            "p": tests.p,
            "clear": tests.p < LEVEL,
            **verdicts.rename(columns=VERDICTS).to_dict("list"),
            "better": better.reindex(features).to_numpy(),
        }
    )
    return table.sort_values("gain", ascending=False, kind="stable", ignore_index=True)


# ---- sentences


def headline(comparison: Comparison) -> str:
    """The first line of the page across datasets."""
    best = comparison.best
    if best["gain"] <= 0:
        return (
            f"No feature set is better than {comparison.base} on average over these"
            f" {best['datasets']} datasets"
        )
    return (
        f"{best['feature_set']} has the largest gain over {comparison.base} on these"
        f" {best['datasets']} datasets{'' if best['clear'] else ', not clearly'}"
    )


def on_these(comparison: Comparison) -> str:
    """The best feature set on the datasets at hand."""
    best = comparison.best
    p = format_p(best["p"])
    equals = "= " if best["p"] >= 0.001 else ""
    untested = ""
    if best["untested"]:
        have = "has" if best["untested"] == 1 else "have"
        untested = f"; {best['untested']} {have} too few recordings for a test"
    return (
        f"{best['feature_set']} gains {points(best['gain'])} points over"
        f" {comparison.base} on average, each dataset weighted equally: the most of"
        f" {counted(len(comparison.joint), 'feature set')},"
        f" {'and clearly' if best['clear'] else 'but not clearly'} (p {equals}{p},"
        " corrected for all of them). Tests within each dataset find a gain on"
        f" {counted(best['gained'], 'dataset')}, a tie on {best['tied']} and a loss on"
        f" {best['lost']}{untested}."
    )


def on_unseen(c: Comparison) -> str:
    """The gain to expect from the best feature set on a new dataset."""
    best = c.best
    if isnan(best["new_low"]):
        return (
            f"nothing can be said yet: an estimate needs {FEWEST_TO_PREDICT} datasets."
            f" {best['feature_set']} is better on {best['better']} of"
            f" {best['datasets']}."
        )
    selected = ""
    if len(c.joint) > 1:
        selected = f", the largest of {len(c.joint)}, so too high"
    text = (
        f"{best['feature_set']} would gain {points(best['mean'])} points on average"
        f" ({points(best['low'])} to {points(best['high'])}{selected}); the gain of a"
        f" new dataset would lie between {points(best['new_low'])} and"
        f" {points(best['new_high'])} points"
    )
    if best["new_low"] <= 0 <= best["new_high"]:
        text += ", so it may go either way"
    return f"{text}."
