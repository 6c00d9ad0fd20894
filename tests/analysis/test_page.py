"""The sentences of a report, compared with a golden file, and texts that must not
become markup.

`python -m tests.analysis.test_page` writes the golden file anew: read its difference
aloud before a commit.
"""

import re
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from featurestack.analysis import page
from featurestack.analysis.findings import findings
from featurestack.analysis.ranking import AgainstChance
from featurestack.analysis.report_warnings import (
    Artefacts,
    Duplicates,
    FailedClips,
    OldRuns,
    SplitByClip,
    UnequalRecordings,
)
from featurestack.analysis.runs import Problem, Results
from featurestack.analysis.sentences import LEADS
from tests.analysis.made_runs import MadeRun, made_clips, make_runs, of_sets

GOLDEN = Path(__file__).with_name("words.txt")
WARNED = (
    Duplicates(58),
    Artefacts(0.62, 0.1, ("level 60.0 %", "peak 41.0 %")),
    FailedClips(9, 81),
    OldRuns(1),
    UnequalRecordings(12),
)


def scenarios(folder):
    """The facts of reports in every state."""

    def facts(*runs, problems=(), clips=(400, 10), **about):
        results = make_runs(folder, made_clips(*clips), runs)
        return findings(Results(results.runs, [*results.problems, *problems]), **about)

    mel = MadeRun(skill=0.84)
    few = of_sets(mel_rms=0.9, rms=0.5)
    return {
        "no run": facts(),
        "no run can be read": facts(problems=(Problem("mel", "cut", "damaged"),)),
        "one run": facts(mel),
        "one run beside others": facts(
            mel, *[MadeRun(features=f, folds=(1,)) for f in ("rms", "zcr")]
        ),
        "a tie": facts(
            *of_sets(mel_mfcc=0.85, mel=0.84, mel_mel=0.845, mfcc=0.8, zcr=0.3)
        ),
        "a clear winner of several models": facts(
            *of_sets(mel_mfcc=0.9, mel=0.7), *of_sets(model="linear", mel=0.6)
        ),
        "chance": facts(*of_sets(mel=0.1, rms=0.11)),
        "clearly below chance": facts(*of_sets(mel=0.01, rms=0.02)),
        "few recordings": facts(*few, clips=(8, 2, 2)),
        "few speakers": facts(*few, clips=(8, 2, 2), groups="speaker"),
        "three seeds": facts(*of_sets(3, mel=0.8), *of_sets(rms=0.7)),
        "with warnings": replace(facts(*of_sets(mel=0.9, rms=0.7)), warnings=WARNED),
    }


def words(folder):
    """Everything that the first screen, the method and the terminal say."""
    parts = []
    for name, facts in scenarios(folder).items():
        said = {
            "headline": page.say("headline", facts),
            "score": page.say("score", facts),
        }
        said |= {
            f"warning {n}": warning.sentence(facts)
            for n, warning in enumerate(facts.warnings)
        }
        said |= {
            heading: page.say(macro, facts)
            for heading, macro in LEADS.items()
            if facts.best
        }
        of_best = ("method", "tested", "calibrated") if facts.best else ()
        said |= {macro: page.say(macro, facts) for macro in of_best}
        parts.append(
            f"== {name}\n"
            + "".join(f"{key}: {text}\n" for key, text in said.items() if text)
        )
    return "\n".join(parts)


def test_a_report_says_what_the_golden_file_says(tmp_path):
    assert words(tmp_path) == GOLDEN.read_text()


def test_what_check_measured_on_classes_is_not_taken_for_the_categories(made):
    warnings = Artefacts(0.6, 0.1), SplitByClip("by clip 83 %")
    for task, within, on in (
        ("categories", "class within the categories (60.0 %", "on the classes, not"),
        ("classes", "class (60.0 %", "measured: by clip 83 %"),
    ):
        facts = findings(made(MadeRun(task=task)))
        first, second = [warning.sentence(facts) for warning in warnings]
        assert within in first and on in second


@pytest.mark.parametrize(
    ("p", "low", "clear"), [(0.01, 0.12, True), (0.01, 0.08, False), (0.2, 0.12, False)]
)
def test_better_than_chance_is_never_clearer_than_the_interval(p, low, clear):
    assert AgainstChance("accuracy", 0.5, low, chance=0.1, p=p).clear == clear


def test_the_page_is_short_and_begins_with_the_answer(reported):
    html = reported.read_text()
    text = unescape(
        re.sub(r"<(script|style|svg)\b.*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)
    )
    assert len(text.split()) < 1800  # with every part opened
    assert html.count("<figure") <= 12
    assert html.index("</h1>") < html.index("Comparison</h2>")
    assert '<span class="tag">synthetic data</span>' in html


def test_class_names_are_text_and_the_page_asks_for_nothing(reported):
    html = reported.read_text()
    assert "<script>alert" not in html and "default-src 'none'" in html


if __name__ == "__main__":
    import tempfile

    GOLDEN.write_text(words(Path(tempfile.mkdtemp())))
    sys.stdout.write(GOLDEN.read_text())
