"""The sentence of each error of the cache, made from its facts."""

import pickle
from pathlib import Path

import pytest

from featurestack.commandline.errors import (
    DamagedFile,
    LacksFeatures,
    NoCache,
    NoSpace,
    Origin,
    OutdatedFeature,
    UnknownDataset,
    UnreadableClips,
)

FOLDER = Path("data/birds/features")
BIRDS = Origin("my sounds", "birds", Path("elsewhere"))
NO_AUDIO = Origin("", "", Path("data"))
SENTENCES = {
    "there are no features in data/birds/features yet: run make features"
    " DATASET='my sounds' NAME=birds DATA=elsewhere; there are features of"
    " DATASET=bees, DATASET=owls": NoCache(FOLDER, {"owls", "bees"}, BIRDS),
    "there are no features in data/birds/features yet: run make features": NoCache(
        FOLDER, (), None
    ),
    "bees is a cache in data, and its audio is needed: give DATASET= as when it was"
    " made, or where its sounds are now, with NAME=bees": UnknownDataset(
        "bees", Path("data"), {"bees"}, ["esc50"], []
    ),
    "unknown dataset 'a/brids'. Known: bees, esc50; there is 'a/birds'": UnknownDataset(
        "a/brids", Path("data"), {"bees"}, ["esc50"], ["birds", "bats"]
    ),
    "the cache data/birds/features lacks cqt mel, it has zcr: run make features"
    " DATASET='my sounds' FEATURES='cqt mel' NAME=birds DATA=elsewhere": LacksFeatures(
        FOLDER, ["cqt", "mel"], ["zcr"], BIRDS
    ),
    "the cache data/birds/features lacks mels (did you mean mel?), it has mel: it has"
    " no audio; features_cache.external.write_feature adds a feature": LacksFeatures(
        FOLDER, ["mels"], ["mel"], NO_AUDIO
    ),
    "there are no features in data/birds/features yet: run make features"
    " DATASET='my sounds' FEATURES='mel mfcc+zcr:0-0' NAME=birds DATA=elsewhere": (
        NoCache(FOLDER, (), BIRDS, "mel mfcc+zcr:0-0")
    ),
    "the cache data/birds/features lacks mel, it has no feature: it has no audio;"
    " features_cache.external.write_feature adds a feature": LacksFeatures(
        FOLDER, ["mel"], [], NO_AUDIO
    ),
    "mel was made from 8 Hz, the clips of this cache now have 9 Hz: run make features"
    " DATASET='my sounds' FEATURES=mel NAME=birds DATA=elsewhere": OutdatedFeature(
        "mel", "8 Hz", "9 Hz", BIRDS
    ),
    "4 clips of mel cannot be read (a: damaged; b: not done; c: damaged); make features"
    " computes them again": UnreadableClips(
        "mel", {"a": "damaged", "b": "not done", "c": "damaged", "d": "damaged"}
    ),
    "mel.h5 is cut; make features makes it again": DamagedFile("mel.h5 is cut"),
    "the features need 3.0 GB in data/birds/features, where 5.0 MB are free; fewer"
    " FEATURES need less, DATA= names another disk": NoSpace(FOLDER, 3e9, 5e6),
}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ("mel mffc", "unknown feature 'mffc'; did you mean 'mfcc'?"),
        ("mines+mel", "unknown feature 'mines'; did you mean 'mine'?"),
        ("mel@n_mel=3", "unknown parameter 'n_mel'; did you mean 'n_mels'?"),
    ],
)
def test_a_misspelt_feature_is_named_and_not_the_command_that_would_refuse_it(
    names, sentence
):
    lacking = names.replace("+", " ").split()
    assert str(LacksFeatures(FOLDER, lacking, ["mine"], BIRDS)).startswith(sentence)
    if "mine" not in names:
        assert str(NoCache(FOLDER, (), BIRDS, names)).startswith(sentence)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_facts_become_a_sentence_with_what_to_type_also_in_another_process(
    sentence,
):
    assert str(pickle.loads(pickle.dumps(SENTENCES[sentence]))) == sentence
