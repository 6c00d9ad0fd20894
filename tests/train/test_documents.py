"""The Python examples of the documents run."""

import re

import pytest
import torch

import featurestack as fs
from featurestack.base.options import Options
from featurestack.base.registry import Registry
from featurestack.pipeline.features import FEATURES
from featurestack.predict.bundle import make_bundle
from featurestack.predict.options import BundleOptions
from featurestack.train import augment
from featurestack.train.augment import AUGMENTS, parse_augment
from featurestack.train.models import MODELS
from featurestack.train.models.sizes import list_models
from tests.golden.commands import ROOT
from tests.predict.test_clips import probabilities, write
from tests.train.sounds import CLASSES, train_run

DOCS = ROOT / "docs"


def blocks(name):
    return re.findall(
        r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.S
    )


@pytest.mark.slow
def test_the_python_interface_does_what_its_page_shows(sounds_run, monkeypatch, capsys):
    """The page's dataset is replaced by the sounds of other tests."""
    folder = sounds_run.path.parents[2]
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks("reference/python.md"):
        exec(block.replace('"synth"', '"sounds/little.csv"'), names)
    assert names["mel"].values.shape[0] == 64
    assert set(names["table"].label) == set(CLASSES)
    assert names["run"].finished == [1, 2]
    assert names["accuracy"].mean() > 0.9
    compared = names["compared"].table.set_index("model")
    assert compared.loc["mine", "score"] > 0.6
    assert compared["verdict"].notna().all()
    for drawn in (fs.confusion(names["run"]), fs.curves(names["run"])):
        assert drawn._repr_png_().startswith(b"\x89PNG")
    del FEATURES["crossings"]


def test_the_example_of_a_new_augmentation_works(monkeypatch):
    monkeypatch.setattr(augment, "AUGMENTS", Registry("augmentation", AUGMENTS))
    (augmentation,) = blocks("reference/models.md")
    exec(augmentation, {"__name__": "examples"})
    x = torch.arange(12.0).view(2, 1, 2, 3)
    after, _ = parse_augment("reverse=1")(x, torch.eye(2), ("none",), torch.Generator())
    assert torch.equal(after, x.flip(3))


@pytest.fixture
def tiny():
    *_, example = blocks("howto/adding.md")
    exec(compile(example, "adding.md", "exec"), {"__name__": "examples"})
    yield
    del MODELS["tiny"]


@pytest.mark.usefixtures("tiny")
def test_the_example_of_a_model_is_listed_trained_bundled_and_exported(
    sounds_run, tmp_path, capsys
):
    list_models(Options())
    row = re.compile(r"^tiny +image .* tiny@width=16 ", re.MULTILINE)
    listed = capsys.readouterr().out
    assert row.search(listed)
    folder = sounds_run.path.parents[2]
    run = train_run(folder, model="tiny", epochs=12, runs=tmp_path / "runs")
    assert run.finished == [1, 2] and run.scores()["accuracy"].mean() > 0.6
    audio = write(tmp_path / "x.wav", "tone", seconds=0.6)
    by_run = probabilities(run, tmp_path / "answers.json", audio=audio)
    bundle = tmp_path / "tiny.pt"
    make_bundle(BundleOptions(run=str(run.path), out=bundle))
    asked = {"run": str(bundle), "audio": audio}
    assert probabilities(run, tmp_path / "again.json", **asked) == by_run
    capsys.readouterr()
    export = pytest.importorskip("featurestack.extras.onnx.onnx")
    exported = tmp_path / "tiny.onnx"
    export.export_run(export.ExportOptions(run=str(run.path), out=exported))
    assert "differ from the networks' by" in capsys.readouterr().out
    session = export.open_session(exported.read_bytes())
    names = [entry.name for entry in session.get_inputs()]
    assert names == run.config.features.split("+")
