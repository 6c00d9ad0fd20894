"""`fs.Features` in scikit-learn: pipelines, names, the cache, its own checks."""

import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

import featurestack as fs
from tests.cases import data
from tests.golden.sounds import RATE, easy_clips
from tests.noise import write_clips
from tests.processes import forked
from tests.refusal import refused
from tests.versions import newer_feature

COLUMNS = "a clip is a path or its samples, of any length: there are no columns"
SAMPLES = "samples are finite floats of full scale 1, or those of audio files"
NO_CLIPS = (
    ([0.1, np.nan], "1 sample of 2 is NaN or infinite"),
    ([0, 1, 2], "samples are int64"),
)
# checks of scikit-learn that are about tables of numbers
OF_COLUMNS, OF_SAMPLES = data(__file__).values()
NOT_OF_CLIPS = dict.fromkeys(OF_COLUMNS, COLUMNS) | dict.fromkeys(OF_SAMPLES, SAMPLES)


def test_scikit_learns_checks_hold_but_those_of_columns():
    given = {"expected_failed_checks": NOT_OF_CLIPS, "on_skip": None}
    check_estimator(fs.Features("rms"), **given)


def test_a_pipeline_is_cross_validated_by_group(tmp_path):
    easy_clips(tmp_path / "easy")
    clips = fs.clips(str(tmp_path / "easy"), data=tmp_path / "data")
    model = make_pipeline(
        fs.Features("mel zcr", sample_rate=RATE), StandardScaler(), SVC()
    )
    asked = {"groups": clips["group"], "cv": GroupKFold(3)}
    scores = cross_val_score(model, clips["path"], clips["label"], **asked)
    assert scores.mean() > 0.7


def test_the_cache_gives_what_is_computed(tmp_path):
    easy_clips(tmp_path / "easy")
    given = {"dataset": str(tmp_path / "easy"), "data": tmp_path / "data"}
    cache = fs.extract(features="mel rms", **given, quiet=True, jobs=1)
    files = cache.clips["path"][:3].tolist()
    stored = fs.Features("mel rms zcr", cache=cache.folder)
    rate = cache.sample_rate
    arrays = [fs.read(file, rate, cache.duration).y for file in files]
    computed = fs.Features("mel rms zcr", sample_rate=rate).fit_transform(arrays)
    assert stored.fit_transform(files) == pytest.approx(computed, rel=2e-3, abs=2e-2)
    short, padded = arrays[0][:999], np.pad(arrays[0][:999], (0, len(arrays[0]) - 999))
    assert (stored.transform([short]) == stored.transform([padded])).all()
    names = stored.get_feature_names_out()
    assert len(names) == computed.shape[1] and names[0] == "mel 0 mean"
    assert [*stored.set_output(transform="pandas").transform(files)] == [*names]
    assert fs.Features("rms", cache=cache, sample_rate=rate).fit(files)
    with refused(f"sample rates of {rate} and 44100 Hz: give one"):
        fs.Features("rms", cache=cache, sample_rate=44_100).fit(files)


def test_the_cache_is_found_through_a_link(tmp_path, capsys):
    easy_clips(tmp_path / "easy")
    (tmp_path / "link").symlink_to(tmp_path / "easy")
    given = {"dataset": str(tmp_path / "link"), "data": tmp_path / "data"}
    cache = fs.extract(features="rms", **given, frame=64, quiet=True, jobs=1)
    files = [Path(file).resolve() for file in cache.clips["path"][:3]]
    of_cache = fs.Features("rms", cache=cache)
    linked = [tmp_path / "link" / ".." / file.relative_to(tmp_path) for file in files]
    assert (of_cache.fit_transform(files) == of_cache.fit_transform(linked)).all()
    for said in (1, 0):
        fs.Features("rms zcr", cache=cache).fit_transform(files)
        assert capsys.readouterr().err.count("lacks zcr: it is computed each ") == said
    with refused("unknown feature 'melspectrogram'"):
        fs.Features("melspectrogram", cache=cache).fit(files)
    assert "lacks melspectrogram" not in capsys.readouterr().err  # nothing computes it
    # what is computed has the cache's frames, also where there is no cache
    elsewhere, numbers = pickle.dumps(of_cache), of_cache.transform(files)
    shutil.rmtree(tmp_path / "data")
    there = pickle.loads(elsewhere)
    with refused("unknown dataset"):
        there.transform(files)
    computed = there.set_params(cache=None).transform(files)
    assert computed == pytest.approx(numbers, rel=2e-3)
    assert (of_cache.set_params(cache=None).transform(files) == computed).all()
    assert fs.Features("rms").fit_transform(files) != pytest.approx(numbers, rel=2e-3)


def test_features_of_a_file_that_changed_are_computed_anew(tmp_path):
    easy_clips(tmp_path / "easy")
    given = {"data": tmp_path / "data", "quiet": True, "jobs": 1}
    cache = fs.extract(tmp_path / "easy", "rms", **given)
    file = cache.clips["path"][0]
    fs.write(fs.tone(440, seconds=2, sample_rate=RATE, amplitude=0), file)
    assert (fs.Features("rms", cache=cache).fit_transform([file]) == 0).all()


EDITED = """
import importlib, pathlib, sys
import featurestack as fs

sys.dont_write_bytecode = True
sys.path.insert(0, "")

def define(value):
    lines = [
        "import featurestack as fs",
        "import numpy as np",
        "@fs.feature('', frames=None)",
        f"def zc(clip): return np.full((1, 1), {value})",
    ]
    pathlib.Path("mine.py").write_text(chr(10).join(lines))
    sys.modules.pop("mine", None)
    importlib.import_module("mine")

places = dict(data="data", quiet=True)
define(1)
cache = fs.extract("easy", "zc rms", jobs=1, **places)
paths = cache.clips.path[:2].tolist()
asked = dict(dataset="easy", features="zc+rms", model="ridge", runs="runs")
run = fs.fit(**asked, **places)
define(2)
for use in (
    lambda: fs.Features("zc", cache=cache).fit(paths),
    lambda: cache["zc"],
    lambda: fs.fit(**asked, **places),
    lambda: fs.Model(run),
):
    try:
        use()
    except fs.RequestError as error:
        print(error)
fs.extract("easy", "zc", jobs=1, **places)
again = fs.Features("zc", cache=cache).fit_transform(paths)
print(fs.fit(**asked, **places).name, again)
"""


def test_values_of_an_own_feature_that_was_edited_since_are_not_used(tmp_path):
    easy_clips(tmp_path / "easy")
    (tmp_path / "script.py").write_text(EDITED)
    done = forked("script.py", cwd=tmp_path)
    *of_cache, of_run, again = done.stdout.splitlines()[:5]
    command = r"run featurestack features DATASET=easy FEATURES=zc"
    for refusal in of_cache:
        assert re.search(f"easy/features has zc by version 1, .*: {command}", refusal)
    assert "was trained on zc by version 1, " in of_run
    assert again.startswith("zc+rms-ridge-")
    assert done.stdout.rstrip().endswith("[[2.]\n [2.]]")


def test_files_have_their_own_rate_and_agree_on_it(tmp_path):
    low, high = tmp_path / "low.wav", tmp_path / "high.wav"
    fs.write(fs.tone(440, sample_rate=RATE), low)
    fs.write(fs.tone(440, sample_rate=44_100), high)
    own = fs.Features("centroid").fit([low])
    assert own.transform([low])[0, 0] == pytest.approx(440, rel=0.05)
    same = fs.Features("centroid", sample_rate=RATE).fit_transform([low, high])
    assert (own.transform([low, fs.read(low, None)]) == same[0]).all()
    for given in ([high, low], [high, fs.read(low, None)]):
        with refused(f"sample rates of {RATE} and 44100 Hz: give one as sample_rate="):
            fs.Features("centroid").fit(given)
    with refused(f"sample rates of {RATE} and 44100 Hz"):
        own.transform([high])


def test_all_is_what_the_cache_has(tmp_path):
    easy_clips(tmp_path / "easy")
    given = {"data": tmp_path / "data", "quiet": True, "jobs": 1}
    cache = fs.extract(tmp_path / "easy", "rms zcr", **given)
    every = fs.Features("all", cache=cache).fit(cache.clips["path"])
    assert {name.split()[0] for name in every.get_feature_names_out()} == {"rms", "zcr"}
    with refused("cqt cannot exist here"):
        fs.Features("cqt", sample_rate=8000).fit([fs.tone(440, sample_rate=8000).y])


def test_a_part_of_a_file_is_not_taken_for_the_file(tmp_path):
    fs.write(fs.tone(440, seconds=3, sample_rate=RATE), tmp_path / "long.wav")
    rows = [
        f"long.wav,{label},{start},{start + 1}" for start, label in enumerate("abc")
    ]
    text = "\n".join(["filename,label,start,end", *rows]) + "\n"
    (tmp_path / "parts.csv").write_text(text)
    given = {"data": tmp_path / "data", "quiet": True, "jobs": 1}
    cache = fs.extract(tmp_path / "parts.csv", "rms", **given)
    with refused("is only a part of it: give the samples of the clip"):
        fs.Features("rms", cache=cache).fit(cache.clips["path"])


def test_clips_of_any_length_give_the_same_numbers_of_each_feature():
    clips = [fs.tone(440, seconds=seconds).y for seconds in (1, 0.005, 0.3)]
    features = fs.Features("rms mfcc modulation")
    table = features.fit_transform(clips)
    with refused("expected a list of clips, .* got one generator"):
        features.fit_transform(clip for clip in clips)
    assert table.shape == (3, len(features.get_feature_names_out()))
    for clip, row in zip(clips, table, strict=True):
        alone = fs.Features("rms mfcc modulation").fit([clip])
        assert [*alone.get_feature_names_out()] == [*features.get_feature_names_out()]
        assert alone.transform([clip])[0] == pytest.approx(row)


def test_parameters_count_from_the_next_fit_on():
    clips = [fs.tone(hertz).y for hertz in (200, 2000)]
    features = fs.Features("rms").fit(clips)
    names, numbers = features.get_feature_names_out(), features.transform(clips)
    features.set_params(features="rms zcr")
    assert [*features.get_feature_names_out()] == [*names]
    assert (features.transform(clips) == numbers).all()
    assert features.fit(clips).transform(clips).shape == (2, 4)


def test_stored_clips_cost_one_read_a_feature(tmp_path, monkeypatch):
    easy_clips(tmp_path / "easy")
    given = {"data": tmp_path / "data", "quiet": True, "jobs": 1}
    cache = fs.extract(tmp_path / "easy", "rms zcr", **given)
    reads = []
    read = type(cache).read
    monkeypatch.setattr(
        type(cache), "read", lambda *own: reads.append(own[1]) or read(*own)
    )
    links = []
    monkeypatch.setattr(
        "os.path.realpath", lambda path, **_: links.append(path) or path
    )
    features = fs.Features("rms zcr", cache=cache).fit(cache.clips["path"])
    reads.clear(), links.clear()
    for _ in range(2):
        clone(features).fit_transform(cache.clips["path"])
    assert [*map(str, reads)] == 2 * ["rms", "zcr", "rms", "zcr"]  # a fit reads one
    assert not links


def test_the_mean_of_a_row_is_the_features_own():
    clip = fs.tone(1000)
    (row,) = fs.Features("centroid").fit_transform([clip.y])
    values = fs.compute(clip, "centroid").values
    assert row == pytest.approx([values.mean(), values.std()], rel=1e-4)


def test_what_is_no_clip_is_named(tmp_path):
    text = tmp_path / "a.wav"
    text.write_text("no audio")
    for clip, message in (
        (text, "a.wav"),
        (np.ones((2, 2)), r"shape \(2, 2\)"),
        *NO_CLIPS,
    ):
        with refused(message):
            fs.Features("rms").fit([clip])
    with refused("there are no features in"):
        fs.Features("rms", cache=tmp_path).fit([np.ones(9)])


def test_no_clips_need_the_names_of_a_fit():
    with refused("expected at least one clip"):
        fs.Features("rms").fit([])
    with pytest.raises(NotFittedError):
        fs.Features("rms").transform([])
    fitted = fs.Features("rms").fit([fs.tone(440).y])
    assert fitted.transform([]).shape == (0, 2)


def test_lists_name_features_and_one_path_is_no_list_of_clips():
    clips = [fs.tone(hertz).y for hertz in (200, 2000)]
    both = fs.Features(["rms", "zcr"]).fit_transform(clips)
    assert (both == fs.Features("rms zcr").fit_transform(clips)).all()
    for one in (pd.DataFrame({"path": ["dog.wav"]}), clips[0], "dog.wav"):
        with refused(f"as table.path or .y., got one {type(one).__name__}$"):
            fs.Features("rms").fit_transform(one)


def test_features_of_another_version_or_an_unknown_name_are_refused(tmp_path):
    easy_clips(tmp_path / "easy")
    audio = tmp_path / "easy/bell/bell0-A.wav"
    given = {"data": tmp_path / "data", "quiet": True}
    cache = fs.extract(str(tmp_path / "easy"), "rms", jobs=1, **given)
    cached = fs.Features("rms", cache=cache.folder)
    saved = pickle.dumps(fs.Features("rms").fit([audio]))
    with newer_feature("rms"):
        with refused("easy/features has rms by version 1, here 2: "):
            cached.fit([audio])
        with refused("fitted on rms by version 1, here 2: fit it again"):
            pickle.loads(saved).transform([audio])
    assert pickle.loads(saved).transform([audio]).shape == (1, 2)
    with refused("'rmss'; did you mean 'rms'"):
        fs.Features("rmss").fit([fs.tone(9).y])


def test_another_place_of_a_caches_name_is_refused(tmp_path, monkeypatch):
    for site in ("siteA", "siteB"):
        write_clips(tmp_path / site / "audio", "ant", "bee")
    monkeypatch.chdir(tmp_path)
    fs.extract("siteA/audio", "mel", jobs=1, quiet=True)
    with refused('siteA/audio, and .*siteB/audio has .* name="audio2"'):
        fs.Features("mel", cache="siteB/audio").fit([fs.tone(440)])
