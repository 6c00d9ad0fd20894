"""The section of the report on a choice of features."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from featurestack.analysis.findings import Findings
from featurestack.analysis.page import Page, Section
from featurestack.answers import (
    CHOSEN,
    DIFFERENCE,
    FEATURE_COLUMNS,
    NEXT,
    NUMBERS,
    SINGLE,
    TOGETHER,
)
from featurestack.answers.chosen import Choice, read_choice
from featurestack.base.quantities import counted, listed, percent, plural, points
from featurestack.base.shell import install_command, make_command
from featurestack.compare.scores import Estimate
from featurestack.compare.significance import DIFFERENCE_INTERVAL, FEWEST_RECORDINGS
from featurestack.embeddings.networks import KNOWN, absent_networks, choose_networks
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.index_file import read_check

CHARTED = 10  # single features in the chart
NAMED = 6  # features that a sentence names
FEWEST_FRAMES = 4  # in a clip; if there are fewer, shorter frames are worth a try
NAMING = "field", "group"  # findings of `check` that have a GROUP=


# ---- the section


def answer(page: Page) -> Section | None:
    """Each feature's choices, and its own score."""
    answers = (run for run in page.found.runs if run.members)
    run = next(answers, None)  # the latest: a former one is in no main ranking
    if run is None:
        return None
    config = read_choice(run.folders[0].path)
    chance = page.found.chance
    later = recommended(config, chance=chance)
    for name, network in KNOWN.items():
        if f"embedding@model={name}" in config.recommended and not chance:
            later += f" embedding@model={name} is pretrained: {network.about}."
    leads = {CHOSEN: f"In the sets of the folds: {chosen(config)}. {later}"}
    features = pd.DataFrame([*config.features], columns=FEATURE_COLUMNS)
    features = features.astype(dict.fromkeys(NUMBERS, float))
    # of equal scores, first the one that the others were compared with
    order = ["alone", "difference"]
    ranked = features.sort_values(order, ascending=False, na_position="first")
    leads[SINGLE] = singles(ranked, page.found.score, page.found.group)
    if config.together:
        leads[TOGETHER] = alone_or_together(config, page.found.score)
    if page.cache:
        leads[NEXT] = surer(
            config.candidates,
            page.cache,
            config.words,
            perfect=page.found.best.score.value == 1,
            grouped=bool(page.found.new_values),
        )
    folds = run.config.folds
    tables = {"chosen_features": features}
    if config.classes:
        by_class = pd.DataFrame([*config.classes])
        own = page.found.tables[f"{run.name}.classes"].set_index("class")["recall"]
        by_class.insert(1, "the choice", by_class["class"].map(own))
        tables["chosen_classes"] = by_class
    return Section(
        "answer",
        "Choice",
        tables=tables,
        values={"choice": config, "chosen_folds": folds, "later": later},
        facts={} if chance else {"Recommended": advice(config)},
        leads=leads,
        recommended="" if chance else config.recommended_run,
        chart=chart(page.found, features) if run is page.found.best.run else (),
    )


def chart(
    found: Findings, features: pd.DataFrame
) -> list[tuple[str, Estimate, str, str]]:
    """The first screen's chart: the choice, other runs and the first single features,
    each with its interval, the highest first.
    """
    bars = []
    for own in found.ranked:
        name = f"{own.run.features} ({own.run.model})"
        bars.append((name, own.score, str(own.verdict), own.name))
    trained = {name for name, *_ in bars}
    for row in features.dropna(subset="low").nlargest(CHARTED, "alone").itertuples():
        score, name = Estimate(row.alone, row.low, row.high), f"{row.feature} (ridge)"
        if name not in trained:
            bars.append((name, score, "by itself", ""))
    return sorted(bars, key=lambda bar: -bar[1].value)


# ---- sentences


def advice(config: Choice) -> str:
    """`mel with ridge, the choice of 3 of 5 folds`."""
    folds = counted(len(config.sets), "fold")
    return (
        f"{config.recommended} with {config.recommended_model}, the choice of"
        f" {config.agreeing} of {folds}"
    )


def chosen(config: Choice) -> str:
    """Each feature's choices: `modulation in 5 of 5 folds, mfcc in 4`."""
    counts = Counter(name for features in config.sets for name in features.split("+"))
    ordered = counts.most_common()
    (first, most), *others = ordered[:NAMED]
    texts = [f"{first} in {most} of {counted(len(config.sets), 'fold')}"]
    texts += [f"{name} in {count}" for name, count in others]
    if len(ordered) > NAMED:
        texts.append(f"{len(ordered) - NAMED} others less often")
    return ", ".join(texts)


def singles(features: pd.DataFrame, metric: str, group: str) -> str:
    """The single features with the highest scores, the highest first, and whether they
    differ; `group` is the word for a recording or another group.
    """
    best, *others = features.itertuples()
    texts = [f"{row.feature} {percent(row.alone)} %" for row in [best, *others][:NAMED]]
    sentence = f"Single features, by ridge, {metric}: {', '.join(texts)}."
    if not others:
        return sentence
    second = others[0]
    if second.verdict == "not compared":
        few = f"There are too few {plural(group)} to test whether they differ."
        return f"{sentence} {few}"
    difference = f"{points(second.difference)} points"
    if second.difference_low == second.difference_low:  # not NaN
        low, high = points(second.difference_low), points(second.difference_high)
        difference += f" ({DIFFERENCE_INTERVAL} {low} to {high})"
    return (
        f"{sentence} {second.feature} compared with {best.feature}: {difference},"
        f" {second.verdict}."
    )


def alone_or_together(config: Choice, metric: str) -> str:
    """Whether the chosen sets beat single features that are chosen in the same way."""
    found: Any = config.together
    difference, low, high = (found.get(name) for name in DIFFERENCE)
    interval = ""
    if low is not None:
        interval = f" ({DIFFERENCE_INTERVAL} {points(low)} to {points(high)})"
    others = ""
    if named := sorted({*config.models} - {"ridge"}):
        others = f" The headline has the score of the sets with {listed(named)}."
    return (
        f"By ridge, the chosen sets reach {percent(found['together'])} % {metric}, and"
        f" single features chosen in the same way {percent(found['alone'])} %:"
        f" {points(difference)} points{interval}, {found['verdict']}.{others}"
    )


def recommended(config: Choice, *, chance: bool) -> str:
    """Whether the folds agree on a set, and the recommended set's own score."""
    if chance:
        return "No set is recommended: none is clearly better than chance."
    text = (
        f"By ridge the recommended set reaches {percent(config.recommended_score)} %,"
        " which may be too high, because the same clips chose it."
    )
    different = len({*config.sets})
    if different > 1:
        text = f"The folds chose {counted(different, 'different set')}. {text}"
    return text


def surer(
    candidates: Sequence[str],
    cache: Cache,
    words: Sequence[str],
    *,
    perfect: bool,
    grouped: bool = False,
) -> str:
    """Ways to make the answer surer, in lines: sentences, and indented commands;
    `words` are the command's. No network improves a `perfect` score. If `grouped`,
    another command already proposes GROUP=.
    """
    stored = [name for name in candidates if name in cache.features]
    clips = originals(cache.clips[cache.readable(stored)])
    number = clips["group"].nunique()
    unit = cache.groups or ("clip" if number == len(clips) else "recording")
    more = counted(4 * number, unit)
    if unit == "group":
        more += " (speakers, sites, recordings)"
    verdict = ""
    if number < FEWEST_RECORDINGS:
        verdict = f"; from {FEWEST_RECORDINGS} on there are verdicts"
    narrower = f"would make the interval at most half as wide{verdict}."
    texts = [f"{more} instead of {number:,} {narrower}"]
    if not (grouped or cache.groups) and number == len(clips):
        found = read_check(cache.folder, cache.clips) or []
        options = [own["names"][0] for own in found if own["kind"] in NAMING]
        shared = "If clips share a speaker, a site or a recording"
        texts.append(f"{shared}{':' if options else ', name it with GROUP='}")
        texts += [f"  {make_command('answer', *words, own)}" for own in options[:1]]
    lengths = [cache[name].parameters.get("n_fft") or 0 for name in stored]
    longest = max(map(int, lengths), default=0)
    framed = any(word.startswith("FRAME=") for word in words)
    if not framed and 0 < cache.samples < FEWEST_FRAMES * longest:
        texts.append(
            f"A frame lasts {longest / cache.sample_rate:.2g} of {cache.duration:g} s:"
            " add FRAME=23 (ms) to try shorter ones."
        )
    if not perfect:
        texts += networks_to_try(candidates, cache, words)
    return "\n".join(texts)


def networks_to_try(
    candidates: Sequence[str], cache: Cache, words: Sequence[str]
) -> list[str]:
    """Lines on pretrained networks that made no candidate, and how to get them."""
    given = any(word.startswith("FEATURES=") for word in words)
    here = choose_networks(cache.sample_rate) if given else []
    absent = absent_networks(cache.sample_rate)
    has_networks = any(name.startswith("embedding") for name in candidates)
    if has_networks or not (here or absent):
        return []
    ways = {  # docs/tables/pretrained.csv; layers.csv, vector_models.csv
        "speech": (
            "speech, and what others need (67.3 % of spoken commands, mel: 27.7)",
            install_command("embeddings"),
        ),
        "yamnet": (
            "sounds other than speech (92.8 % of ESC-50 with ridge, mel: 48.0)",
            make_command("network", "NETWORK=yamnet"),
        ),
    }
    texts = [f"Pretrained networks that are here: {listed(here)}."] if here else []
    for subject, command in map(ways.__getitem__, absent):
        texts += [f"A pretrained network for {subject}:", f"  {command}"]
    channels = " or ".join([*here, *(f"embedding@model={own}" for own in absent)])
    how = f"add {channels} to FEATURES= and " if given else ""
    return [*texts, f"Then {how}repeat this answer."]
