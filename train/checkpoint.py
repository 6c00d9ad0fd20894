"""last.pt and best.pt: plain tensors, numbers and text, which `weights_only=True`
reads; `train.read_checkpoint` reads them back.

network      state dict; with EMA the moving average
statistics   standardisation of each channel (train/network_input.py)
fold         the tested fold
epoch, rows  number of epochs done, and their lines of history.csv
progress     in last.pt of an unfinished fold: optimiser, scaler, early stopping,
             updates of the average;
             with EMA the plain weights
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from featurestack.results.run_writer import append_history
from featurestack.storage.files import replace_file

State = dict[str, Any]


def save(file: Path, state: State) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    replace_file(file, buffer.getvalue())


def not_finite(weights: Mapping[str, torch.Tensor]) -> str:
    """The name of the first tensor with NaN or infinity; empty if there is none."""
    for name, tensor in weights.items():
        # a finite sum has finite terms, and summing takes a tenth of the time
        if (
            tensor.is_floating_point()
            and not tensor.sum().isfinite()
            and not tensor.isfinite().all()
        ):
            return name
    return ""


def write_epoch(folder: Path, states: Mapping[str, State], row: str) -> None:
    """Write an epoch's files into the fold's folder, then append its row to
    history.csv.
    """
    for name, state in states.items():
        save(folder / name, state)
    append_history(folder, row)


def snapshot(state: Any) -> Any:
    """The same nested dictionaries and lists with every tensor copied to the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: snapshot(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [snapshot(value) for value in state]
    return state
