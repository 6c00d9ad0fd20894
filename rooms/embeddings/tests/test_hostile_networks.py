"""Networks and cards from elsewhere that ask for too much: each is one sentence, and
takes nothing else with it.
"""

import json
import os

import numpy as np
import psutil
import pytest

from featurestack.rooms.embeddings import networks, process
from featurestack.rooms.embeddings.process import NetworkProcess
from tests.pipeline.test_features import compute
from tests.refusal import refused

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
RATE = 1000
SAMPLES = "float[w, samples] x"
VECTORS = "float[w, d] y"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    networks.FOLDER.mkdir()
    return tmp_path


def write(body, *, given=SAMPLES, made=VECTORS, **card):
    text = f"""<ir_version: 9, opset_import: ["" : 18]>
        network ({given}) => ({made}) {{ {body} }}"""
    onnx.save(onnx.parser.parse_model(text), networks.FOLDER / "net.onnx")
    write_card({"sample_rate": RATE} | card)


def write_card(card):
    text = card if isinstance(card, str) else json.dumps(card)
    (networks.FOLDER / "net.json").write_text(text)


def embed(samples=1000):
    y = np.arange(samples, dtype=np.float32) / samples
    return compute("embedding@model=net", y, RATE)


def filled(count):
    """A network whose output has so many values."""
    return f"""shape = Constant <value_ints = [1, {count}]> ()
        zeros = ConstantOfShape (shape)
        one = ReduceMean <keepdims = 1> (x)
        y = Add (zeros, one)"""


@pytest.mark.parametrize("gigabytes", [1, 16, 400])
def test_more_values_than_are_taken_are_refused(gigabytes):
    write(filled(gigabytes * 250_000_000))
    with refused(r"models/net\.onnx"):
        embed()
    assert psutil.Process().memory_info().rss < 2e9


def test_a_network_beyond_the_bound_of_memory_is_refused(monkeypatch):
    monkeypatch.setattr(process, "MOST_MEMORY", 10**9)
    write(
        """shape = Constant <value_ints = [1, 1000000000]> ()
        many = ConstantOfShape (shape)
        one = ReduceMean <keepdims = 1> (x)
        more = Add (many, one)
        y = ReduceMean <keepdims = 1> (more)"""
    )
    with refused(
        r"models/net\.onnx needs more memory than the \S+ \S+ that a network may"
        r" take: give a smaller network, .* \(onnxruntime: .{,100}\)$"
    ):
        embed()


LOOP = """most = Constant <value_int = 9223372036854775807> ()
    go = Constant <value = bool {{1}}> ()
    y = Loop (most, go, {start}) <body = body
        (int64 i, bool before, float[w, d] z) => (bool after, float[w, d] next)
        {{ after = Identity (before) next = Abs (z) }}>"""


@pytest.mark.parametrize("seconds", [0.5, 1])
def test_a_network_that_does_not_end_is_ended(monkeypatch, seconds):
    monkeypatch.setattr(process, "SECONDS", seconds)
    write(LOOP.format(start="x"))
    with refused(rf"a call did not end within {seconds} s"):
        embed()


def test_a_killed_process_is_a_sentence():
    write("y = Abs (x)")
    network = NetworkProcess(networks.FOLDER / "net.onnx")
    os.kill(network.process.pid, 9)
    network.process.wait()
    x = np.ones((1, 3), np.float32)
    with refused("its process was killed"):
        network.run(x)
    np.testing.assert_array_equal(network.run(x), x)


@pytest.mark.parametrize(
    ("body", "types"),
    [
        ("y = ReduceMean <keepdims = 0> (x)", {"made": "float y"}),
        ("shape = Constant <value_ints = [0, 3]> () y = ConstantOfShape (shape)", {}),
        ('y = Constant <value_strings = ["a", "b"]> ()', {"made": "string[d] y"}),
        ("y = Abs (x)", {"given": "double[w, samples] x", "made": "double[w, d] y"}),
        ("y = Abs (x)", {"given": "float x", "made": "float y"}),
        ("y = Add (x, z)", {"given": "float[w, samples] x, float[w, samples] z"}),
    ],
    ids=["no axis", "empty", "text", "double", "no input axis", "two inputs"],
)
def test_an_input_or_output_of_another_kind_is_a_sentence(body, types):
    write(body, **types)
    with refused(r"models/net\.onnx"):
        embed()


WRONG = {  # values of a card's key, each refused
    "sample_rate": (0, -1, 1e9, 10**400, "16000", None, 16000.5, True),
    "window": (1e-9, 1e15, {}, float("nan")),
    "hop": (-1, 10**400, "1", []),
    "scale": (0, -1, 1e300, float("inf"), "1"),
    "front_end": (
        *(0, "f", [1], {}),
        *({"network": name, "window": 1} for name in ("../x.onnx", "/x.onnx", "..", 1)),
        *({"network": "f.onnx", "window": value} for value in (0, 1.5, "1")),
        {"network": "f.onnx", "window": 1, "hop": -1},
        {"network": "f.onnx", "window": 1, "offset": float("inf")},
        {"network": "f.onnx", "window": 1, "other": 1},
    ),
    "output": (1,),
    "pooling": ([],),
}


@pytest.mark.parametrize(
    "card",
    [
        *("[" * 100_000, "{" * 3, "[]", "1", '"text"', "null"),
        *(
            {"sample_rate": RATE} | {key: value}
            for key, values in WRONG.items()
            for value in values
        ),
    ],
    ids=lambda card: str(card)[:60],
)
def test_a_hostile_card_is_a_sentence(card):
    write("y = Abs (x)")
    write_card(card)
    with refused("is no card"):
        embed()


def test_after_an_end_the_process_is_started_again(monkeypatch):
    monkeypatch.setattr(process, "SECONDS", 2)
    write(
        """total = ReduceSum <keepdims = 0> (x)
        limit = Constant <value_float = 0.5> ()
        loud = Greater (total, limit)
        many = Constant <value_int = 9223372036854775807> ()
        one = Constant <value_int = 1> ()
        times = Where (loud, many, one)
        go = Constant <value = bool {1}> ()
        y = Loop (times, go, x) <body = body
            (int64 i, bool before, float[w, d] z) => (bool after, float[w, d] next)
            { after = Identity (before) next = Abs (z) }>"""
    )
    network = NetworkProcess(networks.FOLDER / "net.onnx")
    quiet, loud = np.zeros((1, 4), np.float32), np.ones((1, 4), np.float32)
    with refused("did not end"):
        network.run(loud)
    np.testing.assert_array_equal(network.run(quiet), quiet)
