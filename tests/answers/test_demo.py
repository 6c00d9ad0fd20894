"""The demo prints its commands, and ends with what was found, where, and what next."""

import shlex
from pathlib import Path
from types import SimpleNamespace

from featurestack.answers import demo as demos
from featurestack.cli.parser import parse
from featurestack.cli.words import options_of


def test_a_step_is_its_command(monkeypatch, capsys):
    taken = []
    report = {
        "remarks": (),
        "headline": "mel",
        "page": Path("p"),
        "whole": True,
        "lines": ["report: p"],
    }
    replaced = {
        "pipeline.datasets.load.make_dataset": taken.append,
        "pipeline.extract.extract_features": taken.append,
        "train.training.train": taken.append,
        "analysis.report_jobs.jobs": lambda options: [options],
        "analysis.report.build_report": lambda options: SimpleNamespace(**report),
    }
    for place, function in replaced.items():
        monkeypatch.setattr(f"featurestack.{place}", function)
    assert demos.demo(demos.DemoOptions(data=Path("d"), jobs=3)) == 0
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("From nothing to a report")
    commands = [line for line in lines if line.startswith("$ ")]
    assert commands[1].endswith(
        f"features DATASET=synth FEATURES='{demos.FEATURES}' DATA=d JOBS=3"
    )
    assert commands[-1].endswith("analysis DATASET=synth DATA=d")
    _, extracted, *trained = taken
    assert extracted.jobs == 3
    (network,), (linear,) = (options.runs() for options in trained)
    assert (network.model, network.epochs) == ("resnet18", demos.EPOCHS)
    assert linear.features == "mel mel+chroma+tempogram"
    assert lines[-3] == "synth: mel These are synthetic data."
    assert lines[-2].startswith("report: ")
    assert lines[-1].startswith("next:   make answer DATASET='my sounds'")
    made = [trained[0], trained[1]]
    for command in commands:  # each takes its words
        _, _, words = command.partition("$ ")
        word, *given = shlex.split(words.partition(" ")[2].removeprefix("-m "))
        if word == "featurestack":
            word, *given = given
        options = parse(options_of(word), given)
        if word == "train":
            assert options.runs() == made.pop(0).runs()
