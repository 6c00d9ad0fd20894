"""The command that a report proposes for the runs that it ranks."""

import pytest

from featurestack.analysis.findings import findings
from featurestack.analysis.report import NEXT, with_ranking
from featurestack.analysis.sections import train_again
from featurestack.commandline.next_step import State, next_step
from tests.analysis.made_runs import MadeRun, of_sets
from tests.run_configs import rewrite

GIVEN = ("DATASET=made", "RUNS=elsewhere")
TRAIN = "make train DATASET=made RUNS=elsewhere"
GREATEST = of_sets(
    2, mel_mfcc=0.9, mel=0.7, mel_mel_mel=0.6, chroma=0.5, mel_mfcc_chroma=0.6
)
CHANCE = of_sets(model="linear", mel=0.11, mfcc=0.1)
TRIED = {"mel": 9, "mfcc": 9, "embedding": 1}


def proposed(results, **situation):
    found = findings(results)
    return next_step(with_ranking(State(GIVEN, **situation), found))


def case(meaning, runs, kind, command, clips=200, **situation):
    return pytest.param(runs, clips, situation, kind, command, id=meaning)


@pytest.mark.parametrize(
    ("runs", "clips", "situation", "kind", "command"),
    [
        case(
            "then it is used",
            GREATEST,
            "predict",
            "make predict AUDIO=FILE RUN=made/mel+mfcc-resnet18 RUNS=elsewhere",
        ),
        case(
            "folds that all lack are trained",
            [MadeRun(folds=(1,)), MadeRun(features="mfcc", skill=0.8, folds=(1,))],
            "folds",
            f"{TRAIN} FEATURES='mfcc mel' MODEL=resnet18",
        ),
        case(
            "a feature is combined with another that is cached",
            of_sets(mel=0.5),
            "combine",
            f"{TRAIN} FEATURES='rms mel+rms' MODEL=resnet18",
            frames={"mel": 9, "rms": 9, "waveform": 400},
        ),
        case(
            "after chance other features are tried",
            CHANCE,
            "different",
            f"{TRAIN} FEATURES=rms MODEL=linear",
            frames=TRIED | {"rms": 9},
        ),
    ],
)
def test_what_is_proposed_for_these_runs(made, runs, clips, situation, kind, command):
    assert proposed(made(*runs, clips=clips), **situation) == (command, kind)
    assert not kind or NEXT[kind]


def test_a_run_is_trained_again_with_its_own_words_and_all_its_seeds(made):
    (both,) = made(*of_sets(2, mel=0.9))
    assert train_again(both, []) == ""  # made by a loop of one's own
    for folder in both.folders:
        rewrite(folder, command=("FEATURES=mel", "MODEL=texturenet", "EPOCHS=3"))
    again = train_again(both, ["DATASET=a b"])
    assert (
        again
        == "make train DATASET='a b' FEATURES=mel MODEL=texturenet EPOCHS=3 SEED='0 1'"
    )
    command, _ = proposed([both], frames={"mel": 9, "rms": 9})
    assert "MODEL=texturenet EPOCHS=3" in command
