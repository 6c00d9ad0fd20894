"""The example of a model in docs/howto/adding.md is listed, trained, bundled and
exported.
"""

import re

import pytest

from featurestack.predict.bundle import make_bundle
from featurestack.predict.options import BundleOptions
from featurestack.train.models import MODELS
from featurestack.train.models.sizes import list_models
from featurestack.train.options import ModelsOptions
from tests.golden.commands import ROOT
from tests.predict.test_clips import probabilities, write
from tests.train.sounds import train_run

DOCUMENT = ROOT / "docs" / "howto" / "adding.md"


@pytest.fixture(autouse=True)
def tiny():
    _, models = DOCUMENT.read_text(encoding="utf-8").split("\n## A model\n")
    (example,) = re.findall(r"```python\n(.*?)```", models, re.DOTALL)
    exec(compile(example, str(DOCUMENT), "exec"), {"__name__": "examples"})
    yield
    del MODELS["tiny"]


def test_it_is_trained_bundled_and_exported(sounding, tmp_path, capsys):
    folder = sounding.path.parents[2]
    run = train_run(folder, model="tiny", epochs=12, runs=tmp_path / "runs")
    assert run.finished == [1, 2] and run.scores()["accuracy"].mean() > 0.6
    audio = write(tmp_path / "x.wav", "tone", seconds=0.6)
    by_run = probabilities(run, tmp_path / "answers.json", audio=audio)
    bundle = tmp_path / "tiny.pt"
    make_bundle(BundleOptions(run=str(run.path), out=bundle))
    asked = {"run": str(bundle), "audio": audio}
    assert probabilities(run, tmp_path / "again.json", **asked) == by_run
    capsys.readouterr()
    export = pytest.importorskip("featurestack.onnx")
    exported = tmp_path / "tiny.onnx"
    export.export_run(export.ExportOptions(run=str(run.path), out=exported))
    assert "differ from the networks' by" in capsys.readouterr().out
    session = export.open_session(exported.read_bytes())
    names = [entry.name for entry in session.get_inputs()]
    assert names == run.config.features.split("+")


def test_it_is_listed_and_counted(capsys):
    list_models(ModelsOptions())
    row = re.compile(r"^tiny +image .* tiny@width=16 ", re.MULTILINE)
    assert row.search(capsys.readouterr().out)
    list_models(ModelsOptions(model="tiny@width=8"))
    assert "parameters" in capsys.readouterr().out
