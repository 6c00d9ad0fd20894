"""last.pt and best.pt: plain tensors, numbers and text, so that `weights_only=True` reads them.

network      state dict, the moving average where one is kept
statistics   what the fold standardises with (train/data.py)
epoch, rows  epochs done, and their lines of history.csv
finished     whether the last epoch is done, or early stopping ended the fold (not in files of before)
progress     only while the fold is not finished: optimiser, plain weights beside the average, scaler, watch
             (early stopping)
"""

import io
import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import nn

from commandline import RequestError
from train.runs import append_history, replace_file

State = dict[str, Any]

# What an ensemble's members were called in checkpoints when the second was a texture network always.
MEMBERS = {"network": "first.", "texture": "second."}
FORMER_MEMBER = re.compile(r"^(network|texture)\.")


def save(file: Path, state: State) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(file, buffer.getvalue())


def load(file: Path) -> State:
    """RequestError where the file is damaged or holds more than data (code is never run)."""
    try:
        return read_safely(file)
    except ValueError as reason:
        raise RequestError(
            f"{file} cannot be read as weights ({reason}): remove it and train again"
        ) from None


def read_safely(file: Path) -> Any:
    """What torch.save wrote, if it is data alone; ValueError with the reason for anything else."""
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes at random are read as commands: IndexError, KeyError, anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(reason) from error


def load_weights(network: nn.Module, weights: State, origin: Path) -> None:
    """Load `weights` whole; RequestError names the first tensor that does not fit and both shapes."""
    wanted = network.state_dict()
    weights = {FORMER_MEMBER.sub(lambda found: MEMBERS[found[1]], name): one for name, one in weights.items()}
    if missing := sorted(wanted.keys() - weights.keys()):
        raise RequestError(
            f"{origin} lacks '{missing[0]}' and {len(missing) - 1} more: it is of another model"
        )
    if surplus := sorted(weights.keys() - wanted.keys()):
        raise RequestError(f"{origin} has '{surplus[0]}', which this model has not: it is of another model")
    for name, tensor in wanted.items():
        if tensor.shape != weights[name].shape:
            raise RequestError(
                f"{origin} has '{name}' of shape {tuple(weights[name].shape)}, this run needs "
                f"{tuple(tensor.shape)}: it is of another model, feature set or number of classes; "
                "remove it, or give TAG=…"
            )
    network.load_state_dict(weights)


class CheckpointWriter:
    """Writes each epoch's files while the next epoch trains, one epoch at a time, in order.

    Leaving the block waits for the last write. An error of writing is raised by the next call.
    """

    def __init__(self, active: bool) -> None:
        self.active = active  # of several processes only the first writes
        self.writer = ThreadPoolExecutor(1)
        self.pending: Future[None] | None = None

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.shutdown()
        self._settle()

    def write(self, files: list[tuple[Path, State]], fold_folder: Path, row: str) -> None:
        """Save these states as they are now, then the epoch's row."""
        if not self.active:
            return
        copies = [(file, snapshot(state)) for file, state in files]
        self._settle()
        self.pending = self.writer.submit(_write, copies, fold_folder, row)

    def _settle(self) -> None:
        pending, self.pending = self.pending, None
        if pending:
            pending.result()


def _write(files: list[tuple[Path, State]], fold_folder: Path, row: str) -> None:
    for file, state in files:
        save(file, state)
    append_history(fold_folder, row)


def snapshot(state: Any) -> Any:
    """The same nest of dictionaries and lists with every tensor copied to the CPU."""
    if isinstance(state, torch.Tensor):
        copy = torch.empty_like(state, device="cpu")
        return copy.copy_(state.detach())
    if isinstance(state, dict):
        return {key: snapshot(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [snapshot(value) for value in state]
    return state
