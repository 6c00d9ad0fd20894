"""The grammar of feature names, the name and the folder of a DATASET."""

from pathlib import Path

import pytest

from featurestack.features_cache.names import (
    Channel,
    cache_folder,
    dataset_name,
    has_events,
    parse_channel,
    parse_list,
    parse_set,
)
from tests.refusal import refused

MALFORMED = "mel,mfcc|mel@n|mel@n=1,n=2|mfcc:5|../mel|mel+|mel mfcc"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            (text, r"joined by \+ without blanks, as in mel\+mfcc, and sets are sep")
            for text in MALFORMED.split("|")
        ),
        ("mfcc:5-1", "comes after"),
        ("-mel", "no word leaves a feature out"),
    ],
)
def test_a_malformed_name_is_refused_with_what_joins_features_and_separates_sets(
    text, message
):
    with refused(message):
        parse_set(text)


def test_a_list_holds_each_set_once_and_knows_all_and_small():
    mel = Channel("mel")
    mfcc = Channel("mfcc", rows=(1, 19))
    assert parse_list("mel mel+mfcc:1-19+mel mel") == [(mel,), (mel, mfcc, mel)]
    singles = ["mel", "stft", "waveform", "tempogram", "tempogram_ratio"]
    assert parse_list("all", singles) == [parse_set(name) for name in singles]
    small = [parse_set("mel"), parse_set("tempogram_ratio")]
    assert parse_list("small", singles) == small
    with refused("no features given"):
        parse_list("  ")
    with refused("'mel mfcc' is not the name of a feature"):
        parse_list("'mel mfcc' rms")


def test_a_channel_is_written_out_with_its_parameters_sorted():
    channel = parse_channel("cqt@window=hann,sparse=True,scale=0.5,n_bins=84:2-19")
    parameters = ("n_bins", 84), ("scale", 0.5), ("sparse", True), ("window", "hann")
    assert channel == Channel("cqt", parameters, (2, 19))
    assert str(channel) == "cqt@n_bins=84,scale=0.5,sparse=true,window=hann:2-19"


@pytest.mark.parametrize(
    ("dataset", "name", "called"),
    [
        ("esc50", None, "esc50"),
        ("../shared/esc10/", None, "esc10"),
        ("lists/birds.csv", None, "birds"),
        ("esc50", "other", "other"),
    ],
)
def test_a_dataset_is_called_by_its_name_or_stem(dataset, name, called):
    assert dataset_name(dataset, name) == called
    folder = cache_folder(dataset, Path("data"), name)
    assert folder == Path("data") / called / "features"


def test_a_cache_is_used_where_it_is(cache, tmp_path, monkeypatch):
    assert cache_folder(str(cache.folder), Path("data")) == cache.folder
    assert dataset_name(str(cache.folder)) == "brought"
    cache.folder.rename(tmp_path / "features")
    assert dataset_name(str(tmp_path / "features")) == tmp_path.name
    (tmp_path / "sounds.v2").mkdir()
    assert dataset_name(str(tmp_path / "sounds.v2")) == "sounds.v2"
    monkeypatch.chdir(tmp_path)
    assert dataset_name(".") == tmp_path.name


def test_a_folder_of_clips_beside_a_table_of_events_has_no_events(tmp_path):
    (tmp_path / "events.csv").write_text("file,start,end,label\n")
    assert has_events(str(tmp_path / "farm.csv"))
    assert not has_events(str(tmp_path / "sounds"))
