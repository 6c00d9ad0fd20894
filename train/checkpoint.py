"""last.pt and best.pt hold only tensors, numbers and text, and are read with
`weights_only=True`: a damaged file is refused, and no code in it is run.

network      state dict
statistics   standardisation of each channel (train/network_input.py)
fold         the tested fold
epoch, rows  number of epochs done, and their lines of history.csv
progress     in last.pt of an unfinished fold: optimiser, scaler, early stopping

torch.save writes a zip archive with a CRC-32 for each tensor and for their description.
torch.load does not check them; `read_safely` does, in 16 ms for 45 MB.
"""

import io
import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from featurestack.base.errors import RequestError
from featurestack.base.files import replace_file
from featurestack.results.run_folder import append_history

Checkpoint = dict[str, Any]
KEYS = {"network", "statistics", "fold", "epoch", "rows"}  # keys of every checkpoint
ZIP = b"PK\x03\x04"
LISTED = 160  # characters of torch's message that are printed


def as_bytes(state: Checkpoint) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def save(file: Path, state: Checkpoint) -> None:
    replace_file(file, as_bytes(state))


def not_finite(weights: Mapping[str, torch.Tensor]) -> str:
    """The name of the first tensor with NaN or infinity; empty if there is none."""
    floating = {name: t for name, t in weights.items() if t.is_floating_point()}
    # finite sums have finite terms; summing takes a tenth of the time and waits for a
    # card only once
    sums = [tensor.sum().float() for tensor in floating.values()]
    if not sums or torch.stack(sums).isfinite().all():
        return ""
    names = (name for name, tensor in floating.items() if not tensor.isfinite().all())
    return next(names, "")


def write_epochs(
    folder: Path, states: Mapping[str, Checkpoint], rows: Sequence[str]
) -> None:
    """Write the last epoch's files, then append all epochs' rows to history.csv."""
    for name, state in states.items():
        save(folder / name, state)
    append_history(folder, rows)


def snapshot(state: Any, *, copy: bool = True) -> Any:
    """The same nesting with tensors on the CPU, `copy` for those that change later."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=copy)
    if isinstance(state, dict):
        return {key: snapshot(value, copy=copy) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [snapshot(value, copy=copy) for value in state]
    return state


def load_checkpoint(file: Path) -> Checkpoint:
    """A fold's checkpoint; RequestError if damaged or not finite."""
    try:
        state = read_safely(file)
        if not isinstance(state, dict) or not state.keys() >= KEYS:
            raise ValueError("it is not a fold's checkpoint")
        if broken := not_finite(state["network"]):
            raise ValueError(f"'{broken}' holds numbers that are not finite")
    except (ValueError, AttributeError, TypeError) as reason:
        raise RequestError(
            f"{file} cannot be read as weights ({reason}): remove it and train again"
        ) from None
    return state


def read_safely(file: Path) -> Any:
    """What torch.save wrote; ValueError if it is damaged or holds more than data."""
    with file.open("rb") as handle:
        start = handle.read(len(ZIP))
    reason = ""
    try:
        # files of torch before 1.6 are not zips; torchvision still publishes one
        if start == ZIP:
            with zipfile.ZipFile(file) as archive:
                damaged = archive.testzip()
            reason = f"damaged: {damaged} does not have its checksum" if damaged else ""
        if not reason:
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception:
        # random bytes may raise any error; torch's own message tells how to run code in
        # the file
        reason = "it is damaged, of another kind, or holds more than data"
    raise ValueError(reason)


def load_weights(
    network: nn.Module,
    weights: Checkpoint,
    origin: Path,
    remedy: str = "remove it, or give TAG=…",
) -> None:
    """Load all of `weights`; RequestError names the first tensors that do not fit."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = textwrap.shorten(str(error).partition(":")[2], LISTED)
        raise RequestError(
            f"{origin} is of another model, feature set or number of classes"
            f" ({reason}): {remedy}"
        ) from None
