"""The grammar of feature names."""

from featurestack.features_cache.feature_names import (
    FeatureName,
    parse_feature_name,
    parse_list,
    parse_set,
)
from tests.cases import cases
from tests.refusal import refused


@cases("text", "message")
def test_a_malformed_name_is_refused_with_what_joins_features_and_separates_sets(
    text, message
):
    with refused(message):
        parse_set(text)


def test_a_list_holds_each_set_once_and_knows_all_and_small():
    mel = FeatureName("mel")
    mfcc = FeatureName("mfcc", rows=(1, 19))
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
    channel = parse_feature_name("cqt@window=hann,sparse=True,scale=0.5,n_bins=84:2-19")
    parameters = ("n_bins", 84), ("scale", 0.5), ("sparse", True), ("window", "hann")
    assert channel == FeatureName("cqt", parameters, (2, 19))
    assert str(channel) == "cqt@n_bins=84,scale=0.5,sparse=true,window=hann:2-19"
