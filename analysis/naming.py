"""What a run is called beside the others of its ranking: its features, and what else makes that unique."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from analysis.ablations import differing_options, option_text
from analysis.ranking import Ranking
from analysis.results import Run


def display_name(run: Run, ranking: Ranking) -> str:
    """Its feature set where that is unique in the ranking, else with the model, else with what differs too.

    `mel+mfcc`, `mel+mfcc (texture)`, `mel+mfcc (texture, tag second)`; the run's name where nothing does.
    """
    return display_names(ranking)[ranking.runs.index(run)]


@lru_cache(maxsize=4)
def display_names(ranking: Ranking) -> tuple[str, ...]:
    """The display name of each ranked run, best first."""
    sets, models = (Counter(map(called, ranking.runs)) for called in (_set, _set_and_model))
    return tuple(
        _set(run)
        if sets[_set(run)] == 1
        else _set_and_model(run)
        if models[_set_and_model(run)] == 1
        else _with_own_settings(run, ranking)
        for run in ranking.runs
    )


def _with_own_settings(run: Run, ranking: Ranking) -> str:
    """Features, model and what tells it from others of both; its name where nothing does."""
    alike = [other for other in ranking.runs if _set_and_model(other) == _set_and_model(run)]
    words = [_own_settings(one, alike) for one in alike]
    own = words[alike.index(run)]
    return f"{_set_and_model(run).removesuffix(')')}, {own})" if words.count(own) == 1 else run.name


def _set(run: Run) -> str:
    """Its features; of an ensemble of many runs, whose list would fill lines, how many they are."""
    members = len(run.config.get("members", ()))
    return f"an ensemble of {members} runs" if members > 2 else run.features


def _set_and_model(run: Run) -> str:
    return f"{_set(run)} ({run.model})"


def _own_settings(run: Run, alike: Sequence[Run]) -> str:
    """What tells a run from others of its features and model: `augment none, tag second`."""
    keys = set().union(*(differing_options(run, other) for other in alike)) - {"features", "model"}
    words = [f"{key} {option_text(run, key)}" for key in sorted(keys)]
    if len({other.config.get("tag", "") for other in alike}) > 1:
        words.append(f"tag {run.config['tag']}" if run.config.get("tag") else "no tag")
    return ", ".join(words)
