"""What a report proposes: fitted to what was found, of the ranked runs alone."""

import pytest

from analysis.ensemble import write_ensemble
from analysis.findings import Findings, findings
from analysis.next_command import Situation, next_command, train_again
from analysis.page import say
from analysis.runs import Results, load_runs
from results.run_folder import find
from tests.analysis.made_runs import MadeRun, of_sets
from tests.run_configs import rewrite

GIVEN = ("DATASET=made", "RUNS=elsewhere")


def proposed(results, *, threats=(), **situation):
    found = findings(results, threats=threats)
    command, kind = next_command(found, Situation(GIVEN, situation.pop("frames", {}), **situation))
    assert say("next", kind)
    return command, kind


def test_a_clear_winner_is_confirmed_with_the_next_by_three_seeds(made):
    seeds, kind = proposed(made(*of_sets(mel_mfcc=0.9, mel=0.7, zcr=0.3)))
    assert "'FEATURES=mel+mfcc mel' MODEL=resnet18 'SEED=0 1 2'" in seeds
    assert kind == "seeds"
    two, _ = proposed(made(*of_sets(3, mel_mfcc=0.9), *of_sets(1, mel=0.7)))
    assert "FEATURES=mel MODEL=resnet18 'SEED=0 1 2'" in two and "mfcc" not in two


def test_a_tie_that_recordings_would_decide_gets_no_seeds(made):
    larger, kind = proposed(made(*of_sets(mel_mfcc=0.8, mel=0.79, chroma=0.5), clips=100))
    assert "FEATURES=mel+mfcc+chroma" in larger and kind == "add"


def test_sets_of_other_models_are_trained_with_their_own(made):
    first, second = proposed(made(*of_sets(mel=0.9), *of_sets(model="cnn4", mfcc=0.7)))[0].split(" && ")
    assert "FEATURES=mel MODEL=resnet18" in first and "FEATURES=mfcc MODEL=cnn4" in second


def test_after_three_seeds_the_best_set_grows_then_is_explained_then_used(made):
    sets = {"mel_mfcc": 0.9, "mel": 0.7, "mel_mel_mel": 0.6, "chroma": 0.5}
    larger, _ = proposed(made(*of_sets(3, **sets), clips=200))
    assert "FEATURES=mel+mfcc+chroma MODEL=resnet18" in larger and "SEED" not in larger
    results = made(*of_sets(3, **sets, mel_mfcc_chroma=0.6), clips=200)
    assert proposed(results)[0] == "python -m train explain mel+mfcc-resnet18 RUNS=elsewhere"
    used, _ = proposed(results, explained={"mel+mfcc-resnet18"})
    assert used == "make predict AUDIO=FILE RUN=mel+mfcc-resnet18 RUNS=elsewhere"


def test_folds_that_all_lack_are_trained_and_partial_runs_never_decide(made):
    part, kind = proposed(made(*[MadeRun(features=name, skill=0.8, folds=(1,)) for name in ("mel", "mfcc")]))
    assert kind == "folds" and "SEED" not in part
    whole, _ = proposed(
        made(*of_sets(mel_mfcc=0.9, mel=0.7), MadeRun(features="rms", skill=0.99, folds=(1,)))
    )
    assert "rms" not in whole


def test_one_run_is_compared_with_what_shows_the_gain_of_combining(made):
    assert "'FEATURES=mel mfcc'" in proposed(made(*of_sets(mel_mfcc=0.8)))[0]
    assert "'FEATURES=mfcc zcr+mfcc'" in proposed(made(*of_sets(zcr=0.5)))[0]
    mel = made(*of_sets(mel=0.5))
    assert "'FEATURES=rms mel+rms'" in proposed(mel, frames={"mel": 9, "rms": 9, "waveform": 400})[0]
    lacking = proposed(mel, frames={"mel": 9})[0]
    assert lacking.startswith(
        "make features DATASET=made FEATURES=mfcc && make sweep DATASET=made RUNS=elsewhere "
    )


def test_after_chance_other_features_come_first_never_a_network_on_the_same(made):
    chance = made(*of_sets(model="linear", mel=0.11, mfcc=0.1))
    frames = {"mel": 9, "mfcc": 9, "chroma": 9, "embedding": 1}
    assert proposed(chance, frames=frames)[1] == "different"
    assert "FEATURES=chroma MODEL=linear" in proposed(chance, frames=frames)[0]
    del frames["chroma"]
    extracted, trained = proposed(chance, frames=frames)[0].split(" && ")
    assert extracted == "make features DATASET=made 'FEATURES=modulation contrast'"
    assert "'FEATURES=modulation contrast'" in trained
    assert proposed(chance, frames=frames, audio=False)[1] == "add"
    below = made(*of_sets(model="linear", mel=0.0, mfcc=0.0))
    assert proposed(below, frames=frames)[1] == "different"


def test_brought_features_get_no_command_that_needs_audio(made):
    one = {"frames": {"a": 1}, "audio": False}
    assert proposed(made(*of_sets(a=0.8)), **one)[1] == "seeds"
    assert proposed(made(*of_sets(model="linear", a=0.8)), **one)[1] == "network"
    sure = made(*of_sets(3, a=0.9, a_b=0.6), clips=200)
    assert proposed(sure, audio=False, explained={"a-resnet18"})[0].endswith("PAPER=1")


def test_what_is_outdated_is_trained_again_in_its_place(made):
    results = made(*of_sets(2, mel_mfcc=0.9, mel=0.5))
    outdated = {run.name for run in results.runs}
    words = "RETRAIN=1 'FEATURES=mel+mfcc mel' MODEL=resnet18 'SEED=0 1'"
    again = (f"make sweep DATASET=made RUNS=elsewhere {words}", "again")
    assert proposed(results, outdated=outdated) == again


def test_an_exact_solution_needs_no_other_seed(made):
    network = proposed(made(*of_sets(model="linear", mel=0.8, mfcc=0.79)))
    assert network == ("make train DATASET=made RUNS=elsewhere FEATURES=mel", "network")


@pytest.mark.parametrize(
    ("stored", "command"),
    [
        ({"mel": 431, "rms": 431, "mfcc": 431}, "train DATASET=made RUNS=elsewhere FEATURES=mel+mfcc"),
        ({"embedding": 1}, "train DATASET=made RUNS=elsewhere FEATURES=embedding"),
        ({"waveform": 220_500}, "features DATASET=made"),
        ({}, "features DATASET=made"),
    ],
)
def test_without_a_run_a_first_one_of_what_is_cached(stored, command):
    situation = Situation(GIVEN, stored)
    assert next_command(Findings("none"), situation)[0] == f"make {command}"


def test_an_ensemble_of_runs_is_never_trained(made, tmp_path):
    results = made(*of_sets(mel=0.8, mfcc=0.5))
    write_ensemble([run.folders[0] for run in results.runs], tmp_path)
    assert "ensemble" not in proposed(load_runs(find(tmp_path)))[0]


def test_a_run_is_trained_again_with_its_own_words_and_all_its_seeds(made):
    (both,) = made(*of_sets(2, mel=0.9)).runs
    assert train_again(both, []) == ""  # made by a loop of one's own
    for folder in both.folders:
        rewrite(folder, command=("FEATURES=mel", "MODEL=texture", "EPOCHS=3"))
    again = train_again(both, ["DATASET=a b"])
    assert again == "make sweep 'DATASET=a b' FEATURES=mel MODEL=texture EPOCHS=3 'SEED=0 1'"
    assert "MODEL=texture EPOCHS=3" in proposed(Results([both], []))[0]
