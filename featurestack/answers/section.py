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
    NEXT,
    NUMBERS,
    SET_COLUMNS,
    SINGLE,
    TOGETHER,
)
from featurestack.answers.chosen import Choice, read_choice
from featurestack.base.quantities import counted, listed, percent, plural, points
from featurestack.base.shell import install_command, make_command
from featurestack.compare.scores import Estimate
from featurestack.compare.significance import DIFFERENCE_INTERVAL, few_groups
from featurestack.embeddings.networks import (
    KNOWN,
    RESNET,
    RESNET_ABOUT,
    YAMNET_GAIN,
    absent_networks,
    network_of,
)
from featurestack.features_cache.cache import Cache
from featurestack.features_cache.clip_table import originals
from featurestack.features_cache.feature_names import parse_channel
from featurestack.features_cache.index_file import read_check

CHARTED = 10  # single features in the chart
NAMED = 6  # features that a sentence names
FEWEST_FRAMES = 4  # in a clip; if there are fewer, shorter frames are worth a try
NAMING = "field", "group"  # findings of `check` that have a GROUP=


# ---- the section


def answer(page: Page) -> Section | None:
    """The sets that the folds chose, and each set's own score."""
    answers = (run for run in page.found.runs if run.members)
    run = next(answers, None)  # the latest: a former one is in no main ranking
    if run is None:
        return None
    config = read_choice(run.folders[0].path)
    chance = page.found.chance
    table = pd.DataFrame([*config.rows], columns=SET_COLUMNS)
    table = table.astype(dict.fromkeys(NUMBERS, float))
    table.insert(1, "network", table["features"].map(networks_in).map(listed))
    alone = table[~table["features"].str.contains("+", regex=False)]
    leads = {
        CHOSEN: chosen(config, chance=chance),
        SINGLE: singles(alone, page.found.score, page.found.group),
    }
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
    tables = {"chosen_sets": table}
    if config.classes:
        by_class = pd.DataFrame([*config.classes])
        own = page.found.tables[f"{run.name}.classes"].set_index("class")["recall"]
        by_class.insert(1, "the choice", by_class["class"].map(own))
        tables["chosen_classes"] = by_class
    return Section(
        "answer",
        "Choice",
        tables=tables,
        values={"choice": config, "chosen_folds": folds},
        facts={} if chance else recommended(config),
        leads=leads,
        recommended="" if chance else config.recommended_run,
        chart=chart(page.found, table) if run is page.found.best.run else (),
    )


def chart(found: Findings, sets: pd.DataFrame) -> list[tuple[str, Estimate, str, str]]:
    """The first screen's chart: the answer, other runs and the first sets, each with
    its interval, the highest first.
    """
    bars = []
    for own in found.ranked:
        name = f"{own.run.features} ({own.run.model})"
        bars.append((name, own.score, str(own.verdict), own.name))
    trained = {name for name, *_ in bars}
    for row in sets.dropna(subset="low").head(CHARTED).itertuples():
        score, name = (
            Estimate(row.estimate, row.low, row.high),
            f"{row.features} (ridge)",
        )
        if name not in trained:
            bars.append((name, score, "of one set", ""))
    return sorted(bars, key=lambda bar: -bar[1].value)


def networks_in(features: str) -> list[str]:
    """The pretrained networks that a set needs, by name."""
    channels = map(parse_channel, features.split("+"))
    models = (network_of(channel) for channel in channels)
    return [*dict.fromkeys(filter(None, models))]


# ---- sentences


def recommended(config: Choice) -> dict[str, str]:
    """`mel with ridge, 81.2 %, chosen by 3 of 5 folds`, and the networks it needs."""
    folds = counted(len(config.sets), "fold")
    facts = {
        "Recommended": f"{config.recommended} with ridge,"
        f" {percent(max(config.estimates.values()))} %, chosen by {config.agreeing} of"
        f" {folds}"
    }
    about = {name: known.about for name, known in KNOWN.items()}
    about[RESNET] = RESNET_ABOUT
    if networks := networks_in(config.recommended):
        facts["Pretrained networks"] = "; ".join(
            f"{name}: {about.get(name, 'your own')}" for name in networks
        )
    return facts


def chosen(config: Choice, *, chance: bool) -> str:
    """The sets of the folds, and what the recommended set's score means."""
    counts = Counter(config.sets).most_common()
    folds = counted(len(config.sets), "fold")
    texts = [f"{name} in {count}" for name, count in counts[:NAMED]]
    text = f"Sets of the {folds}: {', '.join(texts)}."
    if chance:
        return f"{text} No set is recommended: none is clearly better than chance."
    return (
        f"{text} The recommended set has the highest of {len(config.rows):,} scores on"
        " these clips, which may be too high; the first score is of sets that were"
        " chosen without the tested clips."
    )


def singles(features: pd.DataFrame, metric: str, group: str) -> str:
    """The single features with the highest scores, the highest first, and whether they
    differ; `group` is the word for a recording or another group.
    """
    best, *others = features.itertuples()
    texts = [
        f"{row.features} {percent(row.estimate)} %" for row in [best, *others][:NAMED]
    ]
    sentence = f"Single features, {metric}: {', '.join(texts)}."
    # the table compares each set with the highest of all, which may be a joined one
    if not others or best.difference == best.difference:  # not NaN
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
        f"{sentence} {second.features} compared with {best.features}: {difference},"
        f" {second.verdict}."
    )


def alone_or_together(config: Choice, metric: str) -> str:
    """Whether the chosen sets beat single features that are chosen in the same way."""
    found: Any = config.together
    difference, low, high = (found.get(name) for name in DIFFERENCE)
    interval = ""
    if low is not None:
        interval = f" ({DIFFERENCE_INTERVAL} {points(low)} to {points(high)})"
    return (
        f"The chosen sets reach {percent(found['together'])} % {metric}, and single"
        f" features chosen in the same way {percent(found['alone'])} %:"
        f" {points(difference)} points{interval}, {found['verdict']}."
    )


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
    few = few_groups(number, unit)
    verdict = few and f"; {few}"
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
    if not perfect and "NETWORK=none" not in words:
        texts += networks_to_try(candidates, cache)
    return "\n".join(texts)


def networks_to_try(candidates: Sequence[str], cache: Cache) -> list[str]:
    """Lines on known networks that are not here, and how to get them."""
    used = networks_in("+".join(candidates))
    ways = {  # docs/tables/pretrained.csv; layers.csv, vector_models.csv
        "speech": (
            "speech (67.3 % of spoken commands, mel: 27.7)",
            install_command("embeddings"),
        ),
        "yamnet": (
            f"sounds other than speech ({YAMNET_GAIN})",
            make_command("network", "NETWORK=yamnet"),
        ),
    }
    absent = [name for name in absent_networks(cache.sample_rate) if name not in used]
    texts = []
    for subject, command in map(ways.__getitem__, absent):
        texts += [f"A pretrained network for {subject}:", f"  {command}"]
    return [*texts, "Then repeat this answer."] if texts else []
