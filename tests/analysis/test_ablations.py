"""The effect of one choice of features or augmentation; each effect is planted and
found.
"""

import pytest

from featurestack.analysis.ablations import ablations
from featurestack.analysis.ranking import rankings
from tests.analysis.made_runs import MadeRun, of_sets
from tests.run_configs import rewrite


def table_of(results):
    return ablations(rankings(results.runs)[0])


def test_a_planted_gain_is_found_and_a_loss_is_negative(made):
    runs = made(
        *of_sets(mel=0.6, mel_chroma=0.75),
        *of_sets(model="cnn4", mel=0.7, mel_chroma=0.6),
    )
    table = table_of(runs).set_index("name")
    gain, loss = (
        table.loc[f"chroma added to mel ({model})"] for model in ("resnet18", "cnn4")
    )
    assert (gain["without"], gain["with"]) == ("mel-resnet18", "mel+chroma-resnet18")
    assert (gain["difference"], loss["difference"]) == pytest.approx((0.15, -0.1))
    assert (
        0 < gain["low"] < 0.15 < gain["high"] and loss["low"] < -0.1 < loss["high"] < 0
    )
    assert (gain["verdict"], loss["verdict"]) == ("clear gain", "clear loss")


@pytest.mark.parametrize(
    ("runs", "steps"),
    [
        (  # steps lead through the sets in between
            of_sets(mel_mfcc_chroma=0.8, mel_mfcc=0.7, mel=0.6, chroma=0.3),
            [
                ("mel+mfcc", "chroma"),
                ("chroma", "mel+mfcc"),
                ("mel", "mfcc"),
            ],
        ),
        (  # runs of a pair share every other option
            [
                MadeRun(features="mel+mfcc"),
                MadeRun(model="cnn4"),
                MadeRun(features="mfcc", augment="none"),
            ],
            [],
        ),
        ([MadeRun(), MadeRun(features="mel+mel+mel")], [("mel", "mel+mel")]),
    ],
)  # fmt: skip
def test_steps_between_feature_sets(made, runs, steps):
    table = table_of(made(*runs))[["base", "changed"]]
    assert table.to_numpy().tolist() == list(map(list, steps))


def test_the_name_of_a_pair_says_every_other_option_that_differs(made):
    runs = [
        MadeRun(features=features, augment=augment)
        for features in ("mel", "mel+zcr")
        for augment in ("default", "none")
    ]
    results = made(*runs, MadeRun(model="cnn4"))
    runs = {run.name: run for run in results.runs}
    (less,) = [name for name in runs if name.startswith("mel+zcr") and "none" in name]
    rewrite(runs[less].folders[0], tag="new")
    assert sorted(table_of(results)["name"]) == [
        "augment none → default (mel+zcr, resnet18, tag new)",
        "augment none → default (mel, resnet18, tag none)",
        "zcr added to mel (resnet18, augment default, tag none)",
        "zcr added to mel (resnet18, augment none, tag none)",
    ]
