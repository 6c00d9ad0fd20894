"""A change of a dataset costs no more than it must, and is told in a line."""

from featurestack.pipeline.extraction_request import request
from featurestack.pipeline.features import FEATURES
from tests.pipeline.extraction import anew, cache, options, run, stored
from tests.refusal import refused

# what happens, options, computed maps, what is told
CHANGES = [
    ((), {"features": "rms zcr centroid"}, [0, 0, 8], ""),
    ((), {"features": "rms@hop_length=256 zcr"}, [8, 0], ""),
    (("add", 10), {}, [10, 10], "10 new clips"),
    (("remove", 3), {}, [0, 0], "3 removed clips"),
    (("edit",), {}, [1, 1], "1 changed clip"),
    (("touch",), {}, [0, 0], ""),
    (("shuffle",), {}, [0, 0], ""),
    (("relabel",), {}, [0, 0], "changed label"),
    ((), {"dtype": "float32"}, [15, 15], "made again: rms.h5 was made with other"),
]


def test_each_change_of_a_dataset_costs_only_what_it_must(sounds, capsys):
    run(sounds)
    before = {path: path.read_bytes() for path in cache(sounds).folder.glob("*.h5")}
    assert run(sounds) == {"rms": 0, "zcr": 0}
    assert before == {path: path.read_bytes() for path in before}
    for happens, given, computed, told in CHANGES:
        if happens:
            getattr(sounds, happens[0])(*happens[1:])
        lines = request(options(sounds, **given)).notes
        assert list(run(sounds, **given).values()) == computed, happens
        assert told in "\n".join(lines) + capsys.readouterr().out
        clips = cache(sounds).clips
        assert list(clips["clip_id"]) == sounds.ids
        known = [[row["label"], row["fold"]] for row in sounds.rows]
        assert clips[["label", "fold"]].to_numpy().tolist() == known
    assert stored(sounds, "zcr") == anew(sounds, "zcr", **given)


def test_a_new_version_of_a_features_code_makes_it_again(sounds, monkeypatch, capsys):
    run(sounds)
    monkeypatch.setitem(vars(FEATURES["zcr"]), "version", FEATURES["zcr"].version + 1)
    assert run(sounds) == {"rms": 0, "zcr": 8}
    assert "made again: zcr.h5 was made with other" in capsys.readouterr().out


def test_settings_of_the_whole_cache_put_no_feature_out_of_date_silently(sounds):
    run(sounds)
    before = {name: stored(sounds, name) for name in ("rms", "zcr")}
    for given in ({"sample_rate": 4000}, {"duration": 0.5}, {"channel": 1}):
        with refused("has rms, zcr, made from .* NAME=sounds2 .* YES=1"):
            run(sounds, **given)
    assert {name: stored(sounds, name) for name in before} == before
    assert run(sounds, name="sounds2", sample_rate=4000) == {"rms": 8, "zcr": 8}
    assert run(sounds, yes=True, features="rms", duration=0.5) == {"rms": 8}
    # the next command finds these settings in the cache
    assert run(sounds, duration=None, features="zcr") == {"zcr": 8}
