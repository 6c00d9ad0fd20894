"""`python -m train run | sweep | predict | explain | listen | bundle | list`."""

import sys
from collections.abc import Sequence

from commandline import Command, RequestError, main, parse
from train.options import (
    BundleOptions,
    ExplainOptions,
    ListenOptions,
    ListOptions,
    PredictOptions,
    RunOptions,
    SweepOptions,
)


def run(options: RunOptions) -> int:
    """Train all folds of one feature set, from the cache alone."""
    import train.run

    return train.run.run(options)


def sweep(options: SweepOptions) -> int:
    """Train several feature sets, models, augmentations, recipes, seeds; skip what is finished."""
    import train.sweep

    if options.search:
        return train.sweep.greedy_search(options)
    return train.sweep.run_sweep(options, sys.argv[2:])


def predict(options: PredictOptions) -> int:
    """The classes of new audio, through the same features."""
    import train.predict

    return train.predict.predict_audio(options)


def explain(options: ExplainOptions) -> int:
    """What each channel is worth to a trained run."""
    import train.explain

    return train.explain.explain_runs(options)


def listen(options: ListenOptions) -> int:
    """The classes of live audio."""
    import train.listen

    return train.listen.listen_live(options)


def bundle(options: BundleOptions) -> int:
    """One file with all that predicting needs."""
    import train.bundle

    return train.bundle.make_bundle(options)


def list_(options: ListOptions) -> None:
    """Models, augmentations and recipes; one model's stages."""
    import train.listing

    print(train.listing.overview(options))


COMMANDS: list[Command] = [run, sweep, predict, explain, listen, bundle, list_]


def with_recipe(argv: Sequence[str]) -> list[str]:
    """The words with those of their RECIPE put in front, so that what the user gave, coming later, wins."""
    import train.recipes

    if not any("recipe=" in word.lower() or word == "--recipe" for word in argv) or argv[0] not in (
        "run",
        "sweep",
    ):
        return list(argv)
    try:
        options = parse(RunOptions if argv[0] == "run" else SweepOptions, argv[1:])
        return [argv[0], *train.recipes.recipe_words(options.recipe), *argv[1:]]
    except RequestError:
        return list(argv)  # the command itself says what is wrong


if __name__ == "__main__":
    main(COMMANDS, with_recipe(sys.argv[1:]))
