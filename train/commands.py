"""The commands of training; `train.trained_commands` has those of finished runs."""

from featurestack.commandline.options import Command
from featurestack.commandline.registry import Registry
from featurestack.train.options import RunOptions, SweepOptions

COMMANDS: Registry[Command] = Registry(
    "command", others=["featurestack.train.trained_commands"]
)


@COMMANDS.register()
def run(options: RunOptions) -> int:
    """Train the folds of one feature set from the cache."""
    from featurestack.train.run import run as train_folds

    return train_folds(options)


@COMMANDS.register()
def sweep(options: SweepOptions) -> int:
    """Train every combination of several feature sets, models and other options; skip
    finished runs.
    """
    from featurestack.train.sweep import run_sweep

    return run_sweep(options)
