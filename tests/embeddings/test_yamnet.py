"""YAMNet as TensorFlow Lite: by the file's front end its values are the interpreter's,
by the exact spectrogram close to them. The network is ../shared/yamnet's; without it
these tests are skipped.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler

import numpy as np
import pytest

from featurestack.embeddings import networks
from featurestack.embeddings.embedding import open_network
from featurestack.embeddings.networks import KNOWN, find_network, log_mel
from tests.golden.commands import ROOT
from tests.pipeline.test_features import compute, feature_of
from tests.processes import serving
from tests.refusal import refused

pytest.importorskip("ai_edge_litert")
NETWORK = ROOT.parent / "shared" / "yamnet" / "yamnet.tflite"
pytestmark = pytest.mark.skipif(
    not NETWORK.is_file(), reason="../shared/yamnet is absent"
)
RATE = 16_000
WINDOW, HOP = 15_600, 7_680
LAYERS = "embedding@model=yamnet"
NAME = f"{LAYERS},layers=last"
OWN = "embedding@model=own"  # by the file's own front end
# tensor -> its channels, the outputs of the thirteen pointwise convolutions
CHANNELS = dict(
    zip(range(96, 121, 2), [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024])
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def installed(here):
    networks.MODELS_FOLDER.mkdir()
    shutil.copy(NETWORK, networks.MODELS_FOLDER)
    shutil.copy(NETWORK, networks.MODELS_FOLDER / "own.tflite")
    card = asdict(KNOWN["yamnet"].card) | {"spectrogram": ""}
    (networks.MODELS_FOLDER / "own.json").write_text(json.dumps(card))
    return here


def clip(seed, seconds=3.0):
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    return y * np.float32(1 + seed)


def by_hand(y, number=121):  # the values before the classifier, by its README
    """(n, channels) of a tensor over windows of 0.975 s every 0.48 s, by the
    interpreter alone.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(
        str(NETWORK), num_threads=1, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    vectors = []
    last = max(0, len(y) - WINDOW)
    for start in (*range(0, last, HOP), last):
        window = np.zeros((1, WINDOW), np.float32)
        part = y[start : start + WINDOW]
        window[0, : len(part)] = part
        interpreter.set_tensor(0, window)
        interpreter.invoke()
        values = interpreter.get_tensor(number)
        vectors.append(values.reshape(-1, values.shape[-1]))
    return np.concatenate(vectors)


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
@pytest.mark.parametrize("seconds", [0.3, 0.975, 1.0, 3.0, 5.0])
def test_its_values_are_the_interpreters(installed, seconds):
    y = clip(1, seconds)
    values = compute(f"{OWN},layers=last", y, RATE)
    assert values.shape == (1024, 1)
    np.testing.assert_allclose(values[:, 0], by_hand(y).mean(axis=0), rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_thirteen_layers_are_pooled_over_map_and_windows(installed):
    y = clip(1)
    values = compute(OWN, np.pad(y, (0, RATE)), RATE)[:, 0]  # zeros do not enter
    layer_of = feature_of(OWN).row_axis(RATE)
    for layer, (number, channels) in enumerate(CHANNELS.items(), 1):
        own = by_hand(y, number).astype(float)
        windows = own.reshape(6, -1, channels).mean(axis=1)
        moments = own.mean(0), own.max(0), own.std(0), windows.std(0)
        expected = np.concatenate(moments)
        np.testing.assert_allclose(values[layer_of == layer], expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_the_spectrogram_is_the_files_but_for_its_8_bits(installed):
    y = clip(1, 0.975)
    ours, theirs = log_mel(y[None])[0], by_hand(y, 89)
    assert ours.shape == theirs.shape == (96, 64)
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.02
    # one loud band: the file's 8 bits lose the others
    tone = np.sin(2 * np.pi * 1000 * np.arange(WINDOW) / RATE).astype(np.float32)
    quiet = log_mel(tone[None] + 1e-3 * y[None])[0]
    assert quiet.min() > np.log(0.0011) and by_hand(tone + 1e-3 * y, 89).min() < -6.9


def test_the_layers_of_the_exact_spectrogram_are_near_the_files(installed):
    y = clip(1)
    exact, own = (compute(name, y, RATE)[:, 0] for name in (LAYERS, OWN))
    assert np.abs(exact - own).max() > 0 and np.corrcoef(exact, own)[0, 1] > 0.999
    windows = [y[k : k + WINDOW] for k in (*range(0, len(y) - WINDOW, HOP), -WINDOW)]
    windows[-1] = y[-WINDOW:]
    last = [compute(NAME, window, RATE) for window in windows]
    together = compute(NAME, y, RATE)
    np.testing.assert_allclose(together, np.mean(last, axis=0), atol=1e-6)


def test_a_network_without_such_a_tensor_keeps_its_front_end(installed):
    file = networks.MODELS_FOLDER / "own.json"
    card = json.loads(file.read_text())
    for tensor, exact in (("93", True), ("89", False), ("none", False)):
        file.write_text(json.dumps(card | {"spectrogram": tensor}))
        assert bool(open_network("own").card.spectrogram) == exact


def test_a_clips_values_depend_on_no_clip_before(installed):
    clips = [clip(seed) for seed in range(4)]
    forward = [compute(NAME, y, RATE) for y in clips]
    backward = [compute(NAME, y, RATE) for y in reversed(clips)]
    np.testing.assert_array_equal(forward, backward[::-1])


def test_the_feature_fetches_its_file_and_uses_no_other(here, monkeypatch, capsys):
    served = here / "served"
    served.mkdir()
    shutil.copy(NETWORK, served)
    (served / "other").write_bytes(b"no network")
    digest = hashlib.sha256(NETWORK.read_bytes()).hexdigest()
    with refused("network NETWORK=yamnet fetches"):
        find_network("yamnet")
    with serving(partial(SimpleHTTPRequestHandler, directory=str(served))) as address:
        other = replace(KNOWN["yamnet"], url=f"{address}/other")
        monkeypatch.setitem(KNOWN, "yamnet", other)
        with refused(r"yamnet-.*: its SHA-256 begins \w+ and not 10c95ea3"):
            find_network("yamnet", fetch=True)
        assert not list(networks.MODELS_FOLDER.glob("[!.]*yamnet*"))
        assert not list(networks.MODELS_FOLDER.glob("*.part"))
        given = {"url": f"{address}/yamnet.tflite", "file": f"yamnet-{digest}.tflite"}
        monkeypatch.setitem(KNOWN, "yamnet", replace(other, **given))
        assert len(feature_of(NAME).recorded_facts["file"]) == 32
    file = networks.MODELS_FOLDER / "yamnet.tflite"
    assert file.read_bytes() == NETWORK.read_bytes()
    assert "Apache-2.0" in capsys.readouterr().err


@pytest.mark.parametrize("size", [100_000, 0])
def test_a_file_that_is_cut_off_is_a_sentence(installed, size):
    content = NETWORK.read_bytes()
    (networks.MODELS_FOLDER / "mine.tflite").write_bytes(content[:size])
    (networks.MODELS_FOLDER / "mine.json").write_text(json.dumps({"sample_rate": RATE}))
    with refused(r"models/mine\.tflite"):
        compute("embedding@model=mine", clip(1), RATE)


def test_opening_it_writes_nothing_on_standard_error(installed, capfd):
    compute(NAME, clip(1), RATE)
    assert not capfd.readouterr().err
