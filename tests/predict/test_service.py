"""A model in a service: input that is not audio gets a sentence, every form of the same
audio the same answer, threads the answers of one.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import featurestack as fs
from featurestack.base.errors import RequestError
from featurestack.predict.bundle import make_bundle
from featurestack.predict.options import BundleOptions
from tests.refusal import refused
from tests.train.sounds import CLASSES, RATE, sound

TONE = sound("tone", 7)
FORMS = {
    "float64": TONE.astype(np.float64),
    "a list": TONE.tolist(),
    "int16": np.round(TONE * 2**15).astype(np.int16),
    "uint8": np.round(TONE * 128 + 128).astype(np.uint8),
    "a column": TONE[:, None],
    "a row": TONE[None],
    "two channels": np.stack([1.5 * TONE, 0.5 * TONE]),
    "frames of two channels": np.stack([1.5 * TONE, 0.5 * TONE], axis=1),
}
REFUSED = {
    "the clip is empty": ([], RATE),
    "1 sample of 16,000 is NaN": (np.r_[TONE[1:], np.nan], RATE),
    "full scale is 1: divide 16-bit samples by 32768": (TONE * 2**15, RATE),
    "samples are int64": ([0, 1, 2], RATE),
    "2.00 s of audio: the model takes clips of at most 1 s": (np.r_[TONE, TONE], RATE),
    r"samples of shape \(100, 160\)": (TONE.reshape(100, 160), RATE),
    "sample_rate=0: expected a whole number of Hz": (TONE, 0),
    "sample_rate='16000': expected a whole number of Hz": (TONE, "16000"),
    r"shape \(9, 1600\): .*a list, which predict_many takes": (
        TONE[:14400].reshape(9, -1),
        RATE,
    ),
    "the samples are no array .*: expected numbers": ([[0.1, 0.2], [0.3]], RATE),
    "the samples are no array .*grad": (torch.zeros(8000, requires_grad=True), RATE),
}


@pytest.fixture(scope="module")
def model(sounds_run):
    return fs.Model(sounds_run)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_clip_has_the_answer_of_its_samples(model, form):
    expected = model.predict(TONE, RATE)
    if form == "uint8":  # eight bits add noise
        expected = model.predict((FORMS[form] - 128.0) / 128, RATE)
    answer = model.predict(FORMS[form], RATE)
    assert answer.predicted == "tone"
    assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-3)


CALLS = {
    "compute": lambda model, *given, **rate: fs.compute(*given, "rms", **rate).values,
    "show": lambda model, *given, **rate: len(fs.show(*given, "rms", **rate).axes),
    "play": lambda model, *given, **rate: fs.play(*given, **rate).data,
    "write": lambda model, *given, **rate: written(*given, **rate),
    "read": lambda model, *given, **rate: fs.read(*given, **RATES | rate).y,
    "alter": lambda model, *given, **rate: fs.alter(*given, "gain(db=-6)", **rate).y,
    "predict": lambda model, *given, **rate: values_of(model.predict(*given, **rate)),
    "predict_many": lambda model, given, **rate: values_of(
        *model.predict_many([given], **rate)
    ),
    "predict_audio": lambda model, *given, **rate: fs.predict_audio(
        model, *given, **rate, quiet=True
    )[[*CLASSES]],
    "Features": lambda model, given, **rate: fs.Features(
        "rms", sample_rate=RATE
    ).fit_transform([given]),
}
RATES = {"sample_rate": RATE}


def written(given, **rate):
    fs.write(given, "written.wav", **rate)
    return fs.read("written.wav", RATE).y


def values_of(prediction):
    return [*prediction.probabilities.values()]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_whatever_takes_audio_takes_a_path_a_clip_and_samples(
    model, call, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    clip = fs.Clip(TONE, RATE)
    fs.write(clip, "tone.wav")
    expected = np.asarray(call(model, clip))
    # a path is resampled as `fs.read` does unless the rate is given
    for given, rate in (("tone.wav", RATES), (Path("tone.wav"), RATES), (TONE, RATES)):
        assert np.asarray(call(model, given, **rate)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "name", [name for name in CALLS if name not in ("Features", "read")]
)
def test_samples_without_their_rate_are_refused_with_the_three_forms(model, name):
    three = r"the path of an audio file, a Clip, or samples with sample_rate=, not ndar"
    with refused(three):
        CALLS[name](model, TONE)


def test_a_file_has_the_answer_of_its_clip_at_its_own_rate(model, tmp_path):
    clip = fs.Clip(sound("clicks", 3, rate=44_100, seconds=0.7), 44_100)
    file = tmp_path / "clip.wav"
    fs.write(clip, file)
    assert model.predict(file) == model.predict(clip)
    long = fs.Clip(np.tile(TONE, 3), RATE)
    mixed = fs.predict_audio(model, [file, long, clip], quiet=True)
    assert [*mixed["file"].unique()] == [str(file), "1", "2"]
    assert mixed["file"].value_counts()["1"] > 3  # windows
    for row in mixed.iloc[[0, -1]][[*CLASSES]].to_dict("records"):
        assert row == pytest.approx(model.predict(clip).probabilities, abs=1e-6)


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_no_clip_gets_a_sentence(model, sentence):
    y, rate = REFUSED[sentence]
    with refused(sentence):
        model.predict(y, rate)
    number = 0 if "sample_rate" in sentence else 1  # both clips have this rate
    with refused(rf"^clips\[{number}\]: .*{sentence}"):
        model.predict_many([TONE, y], rate)
    if "the model" not in sentence:
        with refused(sentence):
            fs.Clip(y, rate)


def test_a_clip_of_integers_has_full_scale_and_a_loud_file_is_read(tmp_path):
    whole = fs.Clip(FORMS["int16"], RATE)
    assert whole.y.dtype == np.float32 and abs(whole.y - TONE).max() < 1e-4
    fs.write(fs.Clip.decoded(30 * TONE, RATE), tmp_path / "loud.wav")
    assert fs.read(tmp_path / "loud.wav", RATE).y.max() > 4


def test_the_device_may_be_chosen(sounds_run):
    assert fs.Model(sounds_run, device="auto").predict(TONE, RATE).predicted == "tone"


def test_a_lower_rate_is_said(model):
    low = sound("tone", 7, rate=8_000)
    for predict, given in ((model.predict, low), (model.predict_many, [low, low])):
        with pytest.warns(
            UserWarning, match="8,000 Hz has nothing above 4,000 Hz"
        ) as said:
            answer = predict(given, 8_000)
        assert {warning.filename for warning in said} == {__file__}
    assert [own.predicted for own in answer] == ["tone", "tone"]


def test_a_service_withholds_what_predict_withholds(model, sounds_run):
    silence = np.zeros(RATE)
    sure = model.predict(TONE, RATE)
    for limits, clip, predicted in (
        ({"gate": -50}, silence, ""),
        ({"gate": -50}, TONE, "tone"),
        ({"reject": 0.0}, silence, model.predict(silence, RATE).predicted),
        ({"reject": 1.0}, TONE, "" if max(sure.probabilities.values()) < 1 else "tone"),
    ):
        service = fs.Model(sounds_run, **limits)
        answer = service.predict(clip, RATE)
        (many,) = service.predict_many([clip], RATE)
        assert answer.predicted == many.predicted == predicted
        assert len(answer.probabilities) == 3
    for limits, message in (
        ({"reject": 7}, "reject=7: expected at most 1"),
        ({"gate": 3}, "gate=3: expected at most 0"),
        ({"gate": "-50"}, "gate=-50: expected a number, not '-50'"),
        ({"reject": "0.7"}, "reject=0.7: expected a number, not '0.7'"),
        ({"reject": None}, "reject=None: expected a number, not None"),
    ):
        with pytest.raises(RequestError, match=message):
            fs.Model(sounds_run, **limits)


def test_threads_get_the_answers_of_one(model):
    clips = [sound(CLASSES[n % 3], 20 + n) for n in range(24)]
    alone = [model.predict(y, RATE) for y in clips]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda y: model.predict(y, RATE), clips))
    assert together == alone
    for many, one in zip(model.predict_many(clips, RATE), alone, strict=True):
        assert many.predicted == one.predicted
        assert many.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    assert [answer.predicted for answer in alone] == [CLASSES[n % 3] for n in range(24)]


def test_a_bundle_a_folder_and_a_name_are_the_same_model(sounds_run, model, tmp_path):
    file = tmp_path / "model.pt"
    make_bundle(BundleOptions(run=str(sounds_run.path), out=file))
    expected = model.predict(TONE, RATE)
    for trained in (file, sounds_run.path, str(sounds_run.path)):
        assert fs.Model(trained).predict(TONE, RATE) == expected
    named = fs.Model(sounds_run.name, sounds_run.path.parents[1])
    named.warm()
    assert named.predict(TONE, RATE) == expected
    assert named.classes == [*CLASSES]
    assert named.config.features == sounds_run.config.features
    assert (named.sample_rate, named.seconds) == (RATE, 1.0)
