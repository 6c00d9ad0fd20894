"""The demo prints what it makes, in two lines a step."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from featurestack.answers import demo as demos
from featurestack.base.options import texts
from featurestack.cli.words import options_of


def test_a_step_is_its_command_and_what_it_made(monkeypatch, capsys, tmp_path):
    taken = []
    run = SimpleNamespace(name="mel")
    built = {
        "remarks": (),
        "headline": "mel",
        "page": Path("p"),
        "whole": True,
        "lines": ["report: p"],
    }

    def fit(**given):
        taken.append(given)
        return [run] * 2 if isinstance(given["features"], list) else run

    def extract(**given):
        taken.append(given)
        return SimpleNamespace(folder=tmp_path, features=["mel"])

    monkeypatch.setattr(demos.functions, "fit", fit)
    monkeypatch.setattr(demos.functions, "extract", extract)
    report = SimpleNamespace(**built)
    monkeypatch.setattr(demos.functions, "report", lambda **given: report)
    table = pd.DataFrame({"label": ["a", "b"], "fold": [1, 2]})
    monkeypatch.setattr(demos, "clips", lambda **given: table)
    scores = "featurestack.results.run_folder.configuration_score"
    monkeypatch.setattr(scores, lambda runs: "90 %")
    assert demos.demo(demos.DemoOptions.build({"data": "d", "jobs": "3"})) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("From nothing to a report")
    commands = [line for line in lines if line.startswith("$ ")]
    assert lines[2].endswith(
        f"features DATASET=synth FEATURES='{demos.FEATURES}' DATA=d JOBS=3"
    )
    assert lines[1] == "  2 clips, 2 classes in five pairs, 2 folds   (0.0 s)"
    assert commands[-1].endswith("analysis DATASET=synth DATA=d")
    extracted, trained, compared = taken
    assert extracted["jobs"] == 3
    assert (trained["model"], trained["epochs"]) == ("resnet18", 6)
    assert compared["features"] == ["mel", "mel+chroma+tempogram"]
    assert lines[-3] == "synth: mel"
    assert lines[-1].startswith("next:   make answer DATASET='my sounds'")
    for command in commands:  # each takes its words
        _, _, words = command.partition("$ ")
        word, *given = shlex.split(words.partition(" ")[2].removeprefix("-m "))
        if word == "featurestack":
            word, *given = given
        options = options_of(word)
        assert options.build(texts(options, given))
