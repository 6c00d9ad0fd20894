"""The example of a model in docs/howto/adding.md works, and one with an input kind of
its own.
"""

import re

import pytest
import torch
from torch import nn

from featurestack.predict.bundle import make_bundle
from featurestack.predict.options import BundleOptions
from featurestack.train.models import MODELS, model
from featurestack.train.models.sizes import list_models
from featurestack.train.network_input import KINDS, input_kind
from featurestack.train.options import ModelsOptions
from tests.golden.commands import ROOT
from tests.predict.test_clips import probabilities, write
from tests.train.sounds import train_run

DOCUMENT = ROOT / "docs" / "howto" / "adding.md"


@pytest.fixture(autouse=True)
def examples():
    """Load the examples, like a file of train/models."""
    before = [(registry, set(registry)) for registry in (MODELS, KINDS)]

    @input_kind(
        "steps",
        "padding",
        width=lambda channel: 2 * channel.rows,
        grid="1x1",
        reads_padding=True,
    )
    def extremes(values, channel, grid):
        """The largest and the smallest value of each row."""
        return torch.cat([values.amax(2), values.amin(2)], dim=1)[..., None, None]

    @model(kind="extremes")
    def perceptron(channels, classes, shape):
        """One linear layer."""
        return nn.Sequential(nn.Flatten(), nn.Linear(channels, classes))

    _, models = DOCUMENT.read_text().split("\n## A model\n")
    for block in re.findall(r"```python\n(.*?)```", models, re.DOTALL):
        exec(compile(block, str(DOCUMENT), "exec"), {"__name__": "examples"})
    yield
    for registry, names in before:
        for name in registry.keys() - names:
            del registry[name]


def test_a_model_with_an_input_kind_of_its_own_is_trained_bundled_and_exported(
    sounding, tmp_path, capsys
):
    folder = sounding.path.parents[2]
    run = train_run(
        folder, model="perceptron", augment="auto", epochs=20, runs=tmp_path / "runs"
    )
    assert run.finished == [1, 2] and run.scores()["accuracy"].mean() > 0.9
    assert "perceptron ignores GRID" in capsys.readouterr().err
    audio = write(tmp_path / "x.wav", "tone", seconds=0.6)
    by_run = probabilities(run, tmp_path / "answers.json", audio=audio)
    bundle = tmp_path / "perceptron.pt"
    make_bundle(BundleOptions(run=str(run.path), out=bundle))
    capsys.readouterr()
    asked = {"run": str(bundle), "audio": audio}
    assert probabilities(run, tmp_path / "again.json", **asked) == by_run
    capsys.readouterr()

    onnx_export = pytest.importorskip("featurestack.onnx")
    exported = tmp_path / "perceptron.onnx"
    options = onnx_export.ExportOptions(run=str(run.path), out=exported)
    onnx_export.export_run(options)
    assert "differ from the networks' by" in capsys.readouterr().out
    session = onnx_export.open_session(exported.read_bytes())
    assert [entry.name for entry in session.get_inputs()] == run.config.features.split(
        "+"
    )


def test_the_examples_are_listed_and_counted(capsys):
    list_models(ModelsOptions())
    text = capsys.readouterr().out
    assert "extremes: 256" in text and re.search(
        r"^perceptron +extremes ", text, re.MULTILINE
    )
    list_models(ModelsOptions(model="tiny@width=8"))
    assert "parameters" in capsys.readouterr().out
