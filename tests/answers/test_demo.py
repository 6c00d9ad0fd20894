"""The demo prints what it makes, in two lines a step."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from featurestack.answers import demo as demos
from featurestack.answers.demo import STEPS, DemoOptions, demo
from featurestack.commandline.options import fields
from featurestack.commandline.words import named, options_of


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.command)
def test_the_command_of_a_step_takes_its_words(step):
    options = options_of(named(step.command))
    assert {"dataset", *step.given, *step.shared} <= fields(options).keys()


def test_a_step_is_its_command_and_what_it_made(monkeypatch, capsys):
    taken = []

    def take(**given):
        taken.append(given)
        return "nothing"

    facts = {"remarks": (), "headline": "mel", "page": Path("p"), "whole": True}
    built = SimpleNamespace(**facts)
    monkeypatch.setattr(demos, "STEPS", [step._replace(take=take) for step in STEPS])
    monkeypatch.setattr(demos.functions, "report", lambda **given: built)
    assert demo(DemoOptions.build({"data": "d", "jobs": "3"})) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("From nothing to a report")
    steps = lines[: 2 * len(STEPS)]
    words = f"FEATURES='{demos.FEATURES}'"
    assert steps[2].endswith(f"features DATASET=synth {words} DATA=d JOBS=3")
    assert steps[3] == "  nothing   (0.0 s)"
    assert steps[-2].endswith("analysis DATASET=synth DATA=d")
    assert taken[1]["jobs"] == 3
    assert (taken[2]["model"], taken[2]["epochs"]) == ("resnet18", "6")
    assert taken[3]["features"] == "mel mel+chroma+tempogram"
    assert lines[-3] == "synth: mel"
    assert lines[-1].startswith("next:   make answer DATASET='my sounds'")
