"""What a report proposes: fitted to what was found, of the ranked runs alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.ablations import all_ablations
from analysis.answer import answer, clips_needed
from analysis.ensemble import write_ensemble
from analysis.next_command import NextCommand, next_command
from analysis.ranking import rankings
from analysis.results import Results, Run, load_runs
from results.run_folder import RunFolder, find
from tests.analysis.made_runs import MadeRun

GIVEN = ("DATASET=made", "RUNS=elsewhere", "RUN=mel")


def proposed(results: Results) -> NextCommand:
    main = rankings(results.runs, np.random.default_rng(0), replicates=1000)[0]
    added = all_ablations(main, np.random.default_rng(0), 1000).features
    return next_command(GIVEN, main, answer(main, added).kind)


def of_sets(seeds: int = 1, model: str = "resnet18", **skills: float) -> list[MadeRun]:
    """Runs of feature sets; `_` stands for +."""
    return [
        MadeRun(features=name.replace("_", "+"), skill=skill, seed=seed, model=model)
        for name, skill in skills.items()
        for seed in range(seeds)
    ]


def test_all_that_tie_get_a_third_seed_in_one_sweep(made: Callable[..., Results]) -> None:
    found = proposed(made(*of_sets(2, mel_mfcc=0.8, mel=0.795, mfcc=0.79, zcr=0.3)))
    assert found.command == (
        "make sweep DATASET=made RUNS=elsewhere 'FEATURES=mel+mfcc mel mfcc' MODEL=resnet18 'SEED=0 1 2'"
    )
    assert found.reason.startswith("3 seeds of all 3 that are tied")


def test_where_clips_are_lacking_no_seeds_are_proposed(made: Callable[..., Results]) -> None:
    results = made(*of_sets(mel_mfcc=0.8, mel=0.79, chroma=0.5), clips=100)
    main = rankings(results.runs, np.random.default_rng(0), replicates=1000)[0]
    added = all_ablations(main, np.random.default_rng(0), 1000).features
    found = answer(main, added)
    proposal = next_command(GIVEN, main, found.kind, found.lacking)
    assert "FEATURES=mel+mfcc+chroma" in proposal.command and "SEED" not in proposal.command
    asked, relevant = (clips_needed(main, difference) for difference in (0.01, 0.05))
    assert asked > relevant > 100
    assert proposal.reason.endswith(
        f"more seeds would not decide: the difference found, 1.0 points, takes about {asked:,} test clips, "
        f"one of 5.0 points about {relevant:,}, with 3 configurations compared"
    )


def test_what_was_explained_is_not_explained_again(made: Callable[..., Results]) -> None:
    results = made(*of_sets(3, mel_mfcc=0.9, mel=0.7), clips=200)
    main = rankings(results.runs, np.random.default_rng(0), replicates=1000)[0]
    assert next_command(GIVEN, main, "clear winner").command.startswith("python -m train explain mel+mfcc-")
    found = next_command(GIVEN, main, "clear winner", explained={main.best.name})
    assert found.command == "make predict AUDIO=FILE RUN=mel+mfcc-resnet18 RUNS=elsewhere"


def test_what_has_three_seeds_is_not_proposed_again(made: Callable[..., Results]) -> None:
    found = proposed(made(*of_sets(3, mel_mfcc=0.8, mfcc=0.79), *of_sets(1, mel=0.795), *of_sets(zcr=0.3)))
    assert "FEATURES=mel MODEL=resnet18 'SEED=0 1 2'" in found.command
    assert "mfcc" not in found.command


def test_tied_sets_of_other_models_are_trained_with_their_own(made: Callable[..., Results]) -> None:
    found = proposed(made(*of_sets(mel=0.8, mfcc=0.79), *of_sets(model="cnn4", mel=0.795, zcr=0.2)))
    first, second = found.command.split(" && ")
    assert "'FEATURES=mel mfcc' MODEL=resnet18" in first
    assert "FEATURES=mel MODEL=cnn4" in second


def test_a_clear_winner_is_confirmed_with_the_next(made: Callable[..., Results]) -> None:
    found = proposed(made(*of_sets(mel_mfcc=0.9, mel=0.7, zcr=0.3)))
    assert "'FEATURES=mel+mfcc mel' MODEL=resnet18 'SEED=0 1 2'" in found.command
    assert "the best and the next" in found.reason


def test_after_three_seeds_the_best_set_grows_by_the_best_feature_that_it_lacks(
    made: Callable[..., Results],
) -> None:
    sets = {"mel_mfcc": 0.9, "mel": 0.7, "chroma": 0.5, "zcr": 0.3}
    found = proposed(made(*of_sets(3, **sets), clips=200))
    assert "FEATURES=mel+mfcc+chroma MODEL=resnet18" in found.command and "SEED" not in found.command
    with_it = proposed(made(*of_sets(3, **sets, mel_mfcc_chroma=0.6, mel_mfcc_zcr=0.6), clips=200))
    assert with_it.command == "python -m train explain mel+mfcc-resnet18 RUNS=elsewhere"


def test_partial_runs_of_the_past_never_decide(made: Callable[..., Results]) -> None:
    tries = [MadeRun(features="rms", skill=0.99, folds=(1,))]
    found = proposed(made(*of_sets(mel_mfcc=0.9, mel=0.7), *tries))
    assert "rms" not in found.command


def test_where_every_run_lacks_folds_those_that_tie_are_finished(made: Callable[..., Results]) -> None:
    runs = [MadeRun(features=name, skill=0.8, folds=(1,)) for name in ("mel", "mfcc")]
    found = proposed(made(*runs))
    assert found.command.endswith("'FEATURES=mfcc mel' MODEL=resnet18")
    assert found.reason == "trains their missing folds"


def test_one_run_is_compared_with_what_shows_the_gain_of_combining(made: Callable[..., Results]) -> None:
    assert "'FEATURES=mel mfcc'" in proposed(made(*of_sets(mel_mfcc=0.8))).command
    assert "'FEATURES=mfcc zcr+mfcc'" in proposed(made(*of_sets(zcr=0.5))).command
    assert "'FEATURES=mel mfcc+mel'" in proposed(made(*of_sets(mfcc=0.5))).command


def test_a_second_set_is_of_what_is_cached_or_is_extracted_first(made: Callable[..., Results]) -> None:
    main = rankings(made(*of_sets(mel=0.5)).runs, np.random.default_rng(0), replicates=100)[0]

    def command(**stored: int) -> str:
        return next_command(GIVEN, main, "one run", stored=stored).command

    assert "'FEATURES=mfcc mel+mfcc'" in command(mel=9, mfcc=9, rms=9)
    assert "'FEATURES=rms mel+rms'" in command(mel=9, rms=9, waveform=400)
    lacking = command(mel=9)
    assert lacking.startswith(
        "make features DATASET=made FEATURES=mfcc && make sweep DATASET=made RUNS=elsewhere "
    )


def test_what_is_outdated_is_trained_again_under_a_tag_that_is_free(made: Callable[..., Results]) -> None:
    runs = made(*of_sets(2, mel_mfcc=0.9, mel=0.5)).runs
    main = rankings(runs, np.random.default_rng(0), replicates=1000)[0]
    found = next_command(GIVEN, main, "clear winner", outdated=main.runs)
    assert found.command == (
        "make sweep DATASET=made RUNS=elsewhere TAG=new 'FEATURES=mel+mfcc mel' MODEL=resnet18 'SEED=0 1'"
    )
    assert found.reason == "trains them on the clips and folds of today"
    for run in runs:
        run.config["tag"] = "new"
    assert "TAG=new2 " in next_command(GIVEN, main, "clear winner", outdated=main.runs).command
    current = next_command(GIVEN, main, "clear winner", outdated=made(*of_sets(zcr=0.4)).runs)
    assert "TAG=" not in current.command and "SEED=0 1 2" in current.command


def test_an_exact_solution_needs_no_other_seed(made: Callable[..., Results]) -> None:
    found = proposed(made(*of_sets(model="linear", mel=0.8, mfcc=0.79)))
    assert found == NextCommand(
        "make train DATASET=made RUNS=elsewhere FEATURES=mel", "a network on the same features"
    )


@pytest.mark.parametrize(
    ("stored", "command"),
    [
        ({"mel": 431, "rms": 431, "mfcc": 431}, "train DATASET=made RUNS=elsewhere FEATURES=mel+mfcc"),
        ({"rms": 431}, "train DATASET=made RUNS=elsewhere FEATURES=rms"),
        ({"embedding": 1}, "train DATASET=made RUNS=elsewhere FEATURES=embedding"),
        ({"waveform": 220_500}, "features DATASET=made"),
        ({}, "features DATASET=made"),
    ],
)
def test_without_a_run_a_first_one_of_what_is_cached(stored: dict[str, int], command: str) -> None:
    assert next_command(GIVEN, None, "no run", stored=stored).command == f"make {command}"
    found = next_command(GIVEN, None, "no run", stored=stored, untrainable="no training yet: one class only")
    assert found == NextCommand("make data DATASET=made", "no training yet: one class only")


def test_an_ensemble_of_runs_is_never_trained(written: Callable[..., Results], tmp_path: Path) -> None:
    results = written(*of_sets(mel=0.8, mfcc=0.5))
    write_ensemble([run.folders[0] for run in results.runs], tmp_path)
    found = proposed(load_runs(find(tmp_path)))
    assert "FEATURES=mel MODEL=resnet18" in found.command or "'FEATURES=mel mfcc'" in found.command
    assert "ensemble" not in found.command


def test_the_words_of_the_run_itself_are_repeated(hand_run: Callable[..., Run]) -> None:
    rows = [(f"c{n}", f"g{n}", 1 + n % 2, "dog", [0.8, 0.2]) for n in range(12)]
    own = {"command": ["FEATURES=mel", "MODEL=cnn4", "EPOCHS=3", "SEED=4"], "seed": 4}
    runs = [hand_run("mel", ["dog", "rain"], rows, **own), hand_run("mfcc", ["dog", "rain"], rows)]
    found = proposed(Results(runs, []))
    assert "FEATURES=mel MODEL=cnn4 EPOCHS=3 'SEED=0 1 4'" in found.command


def test_a_folder_with_blanks_is_quoted() -> None:
    command = next_command(("DATASET=a b",), None, "no run", stored={"mel": 9}).command
    assert command == "make train 'DATASET=a b' FEATURES=mel"


def test_a_run_alone_without_its_folds_is_no_comparison(by_hand: Callable[..., RunFolder]) -> None:
    rows = [(f"c{n}", f"g{n}", 1, "dog", [0.8, 0.2]) for n in range(12)]
    results = load_runs([by_hand("mel", ["dog", "rain"], rows, folds=[1, 2])])
    assert proposed(results).reason == "shows what combining gains"
