"""The demo prints what it makes, in two lines a step."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from featurestack.answers import demo as demos
from featurestack.cli.parser import parse
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

    cache = SimpleNamespace(folder=tmp_path, features=["mel"])
    table = pd.DataFrame({"label": ["a", "b"], "fold": [1, 2]})

    def take(options):
        taken.append(options)
        return run

    replaced = {
        "train.training.execute": take,
        "pipeline.extract.extract_features": take,
        "features_cache.cache.cache_of": lambda *_: cache,
        "pipeline.datasets.load.load": lambda options: SimpleNamespace(table=table),
        "analysis.report.jobs.jobs": lambda options: [options],
        "analysis.report.build.build_report": lambda options: SimpleNamespace(**built),
    }
    for place, function in replaced.items():
        monkeypatch.setattr(f"featurestack.{place}", function)
    tested = SimpleNamespace(score="90 %")
    place = "featurestack.results.run_folder.tested_run"
    monkeypatch.setattr(place, lambda runs: tested)
    assert demos.demo(demos.DemoOptions(data=Path("d"), jobs=3)) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("From nothing to a report")
    commands = [line for line in lines if line.startswith("$ ")]
    assert lines[2].endswith(
        f"features DATASET=synth FEATURES='{demos.DEMO_FEATURES}' DATA=d JOBS=3"
    )
    assert lines[1] == "  2 clips, 2 classes in five pairs, 2 folds   (0.0 s)"
    assert commands[-1].endswith("analysis DATASET=synth DATA=d")
    extracted, trained, *compared = taken
    assert extracted.jobs == 3
    assert (trained.model, trained.epochs) == ("resnet18", 15)
    assert [options.features for options in compared] == ["mel", "mel+chroma+tempogram"]
    assert lines[-3] == "synth: mel These are synthetic data."
    assert lines[-2].startswith("report: ")
    assert lines[-1].startswith("next:   make answer DATASET='my sounds'")
    for command in commands:  # each takes its words
        _, _, words = command.partition("$ ")
        word, *given = shlex.split(words.partition(" ")[2].removeprefix("-m "))
        if word == "featurestack":
            word, *given = given
        options = options_of(word)
        assert parse(options, given)
