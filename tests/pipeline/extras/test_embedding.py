"""A network in a file as a feature: small networks with known answers, in the cache and
in predictions.
"""

import json

import numpy as np
import pytest
import soundfile

from featurestack.features_cache import Cache
from featurestack.pipeline.extract import run as extract
from featurestack.pipeline.features import Impossible
from featurestack.pipeline.options import FeaturesCommand
from tests.pipeline.datasets.folders import csv
from tests.pipeline.test_features import compute, variant
from tests.refusal import refused

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
embedding = pytest.importorskip("featurestack.pipeline.extras.embedding")

RATE = 1000


def write_network(name, *, shape="windows, samples", factor=1.0, **card):
    """models/<name>.onnx: the mean and the maximum of each window, times `factor`."""
    *outer, _ = shape.split(", ")
    text = f"""<ir_version: 9, opset_import: ["" : 18]>
        network (float[{shape}] x) => (float[{", ".join([*outer, "2"])}] both) {{
            factor = Constant <value_float = {factor}> ()
            axis = Constant <value_ints = [{len(outer)}]> ()
            scaled = Mul (x, factor)
            mean = ReduceMean (scaled, axis)
            largest = ReduceMax (scaled, axis)
            both = Concat <axis = {len(outer)}> (mean, largest)
        }}"""
    embedding.FOLDER.mkdir(exist_ok=True)
    onnx.save(onnx.parser.parse_model(text), str(embedding.FOLDER / f"{name}.onnx"))
    (embedding.FOLDER / f"{name}.json").write_text(
        json.dumps({"sample_rate": RATE} | card)
    )


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


RAMP = np.arange(1000) / 1000


def embedded(y=RAMP, name="net", rate=RATE):
    (values,) = compute(f"embedding@model={name}", y, rate).T
    return values


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ({}, [0.4995, 0.999]),
        ({"scale": 100}, [49.95, 99.9]),
        ({"window": 0.5, "pooling": "max"}, [0.7495, 0.999]),
        ({"window": 0.5, "pooling": "mean_std"}, [0.4995, 0.749, 0.25, 0.25]),
        ({"window": 0.5, "hop": 0.25}, [0.4995, (0.499 + 0.749 + 0.999) / 3]),
        ({"window": 2.0}, [0.24975, 0.999]),  # half of it padding
        *(
            ({"shape": shape, "window": 0.5}, [0.4995, 0.749])
            for shape in ("samples", "w, samples", "w, 1, samples", "1, samples")
        ),
        ({"shape": "w, 500"}, [0.4995, 0.749]),
    ],
)
def test_a_clip_is_cut_into_windows_and_pooled_as_the_card_says(card, expected):
    write_network("net", **card)
    assert embedded() == pytest.approx(expected, abs=1e-4)


def test_without_pooling_windows_stay_in_order_of_time():
    write_network("net", window=0.25, pooling="none")
    name = "embedding@model=net"
    mean, largest = compute(name, RAMP, RATE)  # rises evenly from 0 to 1
    assert mean == pytest.approx([0.1245, 0.3745, 0.6245, 0.8745])
    assert largest == pytest.approx([0.249, 0.499, 0.749, 0.999])
    assert variant(name).frame_axis(RATE, RATE).tolist() == [0.125, 0.375, 0.625, 0.875]


def test_audio_is_brought_to_the_networks_rate():
    write_network("net", window=0.5)
    slow = np.sin(2 * np.pi * np.arange(8000) / 8000)  # a period of a second
    mean, largest = embedded(slow, rate=8000)
    assert (mean, largest) == pytest.approx((0, (1 + 0) / 2), abs=0.02)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"sample_rte": 1}, "is no card: .*'sample_rte'"),
        ({"pooling": "median"}, "a pooling of mean, max, mean_std, none"),
        ({"sample_rate": "fast"}, "is no card"),
        ({"window": -1}, "seconds"),
    ],
)
def test_a_wrong_card_is_refused(card, message):
    write_network("net", **card)
    with refused(message):
        embedded()


def test_windows_of_another_length_than_the_network_takes_cannot_exist():
    write_network("net", shape="w, 500", window=0.25)
    with pytest.raises(
        Impossible, match=r"the network refuses \(1, 250\): .*Expected: 500"
    ):
        embedded()


def test_what_is_not_there_says_what_to_do():
    write_network("net")
    with refused(r"needs .* models/panns\.onnx and models/panns\.json; docs/howto"):
        embedded(name="panns")
    (embedding.FOLDER / "net.onnx").write_bytes(b"no network")
    with refused("no network that onnxruntime opens"):
        embedded()
    with refused("embedding@model=NAME"):
        compute("embedding", RAMP)


@pytest.fixture
def where(here):
    """Options of eight clips of two loudnesses."""
    rows = ["filename,label,fold"]
    for number in range(8):
        y = np.full(RATE, 0.1 * (1 + number % 2)) + 0.001 * RAMP
        soundfile.write(here / f"{number}.wav", y, RATE, subtype="FLOAT")
        rows.append(f"{number}.wav,{'ab'[number % 2]},{1 + number // 4}")
    return {"dataset": csv(here / "mine.csv", "\n".join(rows)), "data": here}


def test_extraction_and_prediction_use_it_until_the_file_is_another(
    here, where, capsys
):
    from featurestack.train import run
    from featurestack.train.options import PredictOptions, RunOptions
    from featurestack.train.predict import predict_audio

    write_network("net", window=0.25)
    name = "embedding@model=net"
    command = FeaturesCommand(**where, features=name, jobs=1)
    assert extract(command) == 0
    before = Cache(here / "mine" / "features")[name]
    values = before.read(np.arange(8))
    assert values[:, 0, 0] == pytest.approx(np.tile([0.1005, 0.2005], 4), abs=1e-3)
    assert before.parameters["model"] == "net" and len(before.parameters["file"]) == 32
    assert extract(command) == 0
    assert "\nmine: 8 clips, 1 feature; 0 of 8 feature maps" in capsys.readouterr().out
    folder = run.execute(
        RunOptions(
            **where, features=name, epochs=30, batch=2, precision="fp32", threads="1"
        )
    )
    assert folder.config.model == "mlp"
    ask = PredictOptions(run=str(folder.path), audio=here / "1.wav", top=1, threads="1")
    capsys.readouterr()
    assert predict_audio(ask) == 0
    assert capsys.readouterr().out.startswith("b ")
    write_network("net", window=0.25, factor=2.0)
    with refused("of another file than the one that is there now"):
        predict_audio(ask)
    assert extract(command) == 0
    again = Cache(here / "mine" / "features")[name]
    assert again.parameters["file"] != before.parameters["file"]
    assert again.read(np.arange(8)) == pytest.approx(2 * values, abs=2e-3)
