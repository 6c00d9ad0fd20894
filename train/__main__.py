"""`python -m train run | sweep | predict | explain | listen | bundle | export | list`."""

import re
import sys
from collections.abc import Sequence

from commandline.options import Command, last_given, main
from commandline.registry import RequestError
from train.options import (
    BundleOptions,
    ExplainOptions,
    ExportOptions,
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
    from train import extras

    return extras.load("listen").listen_live(options)


def bundle(options: BundleOptions) -> int:
    """One file with all that predicting needs."""
    import train.bundle

    return train.bundle.make_bundle(options)


def export(options: ExportOptions) -> int:
    """The networks as one ONNX file, for programs without torch."""
    from train import extras

    return extras.load("export").export_run(options)


def list_(options: ListOptions) -> None:
    """Models, augmentations and recipes; one model's stages."""
    import train.listing

    print(train.listing.overview(options))


COMMANDS: list[Command] = [run, sweep, predict, explain, listen, bundle, export, list_]


def with_recipe(argv: Sequence[str]) -> list[str]:
    """The words of `run` with those of its RECIPE put in front: what the user gave, coming later, wins."""
    if argv[:1] != ["run"]:
        return list(argv)
    try:
        recipe = last_given(RunOptions, argv[1:], "recipe")
        if not recipe:
            return list(argv)
        import train.recipes

        return ["run", *train.recipes.recipe_words(recipe), *argv[1:]]
    except RequestError:
        return list(argv)  # the command itself says what is wrong


def without_texture(argv: Sequence[str]) -> list[str]:
    """TEXTURE=, an option of before: `off` beside a MODEL is what that MODEL means now."""
    if any("MODEL=" in word for word in argv):
        off = re.compile(r"(?:^|(?<= ))TEXTURE=off(?: |$)")  # also within make's variables, in one word
        argv = [off.sub("", word) for word in argv if word != "TEXTURE=off"]
    if any(re.search(r"(^| )TEXTURE=", word) for word in argv):
        print(
            "error: TEXTURE is no option any more: MODEL=resnet18+texture is the ensemble of ResNet-18 and "
            "the network on texture statistics, MODEL=resnet18 is ResNet-18 alone",
            file=sys.stderr,
        )
        sys.exit(2)
    return list(argv)


if __name__ == "__main__":
    sys.argv[1:] = without_texture(sys.argv[1:])
    main(COMMANDS, with_recipe(sys.argv[1:]))
