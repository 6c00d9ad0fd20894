"""The loops that people write, fair and without our parts: what bench.training compares with."""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from train.compute import keep_freed_memory

Arrays = list[NDArray[np.float32]]
GRID = (128, 431)
WORKERS = 2


class Saved(Dataset[tuple[torch.Tensor, int]]):
    """One .npy file a clip, (3, 128, 431) float32, as a script saves them."""

    def __init__(self, files: Sequence[Path], targets: Sequence[int]) -> None:
        self.files, self.targets = list(files), list(targets)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(np.load(self.files[index])), self.targets[index]


class FromAudio(Dataset[tuple[torch.Tensor, int]]):
    """librosa's mel, mfcc and chroma of one file each time it is asked for, stacked: a notebook's Dataset."""

    def __init__(self, files: Sequence[Path], targets: Sequence[int]) -> None:
        self.files, self.targets = list(files), list(targets)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        import librosa

        y, sr = librosa.load(self.files[index], sr=None)
        maps = [
            librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr, n_mels=128)),
            librosa.feature.mfcc(y=y, sr=sr, n_mfcc=40),
            librosa.feature.chroma_stft(y=y, sr=sr),
        ]
        stacked = [
            nn.functional.interpolate(torch.from_numpy(one)[None, None].float(), GRID, mode="bilinear")[0, 0]
            for one in maps
        ]
        return torch.stack(stacked), self.targets[index]


class Apart:
    """A loop in a process of its own, where nothing of ours has been set; called, it runs one epoch."""

    def __init__(
        self,
        data: Dataset[tuple[torch.Tensor, int]],
        network: nn.Module,
        batch: int,
        threads: int,
        fast: bool = False,
    ) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        given = (theirs, data, network, batch, threads, fast)
        self.process = multiprocessing.get_context("spawn").Process(target=_serve, args=given)

    def __enter__(self) -> "Apart":
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.send(False)
        self.process.join()

    def __call__(self) -> None:
        self.pipe.send(True)
        self.pipe.recv()


def _serve(
    pipe: Connection,
    data: Dataset[tuple[torch.Tensor, int]],
    network: nn.Module,
    batch: int,
    threads: int,
    fast: bool,
) -> None:
    """An epoch for each True that comes through the pipe, answered by None."""
    torch.set_num_threads(threads)
    epoch = epoch_of(data, network, batch, fast)
    while pipe.recv():
        epoch()
        pipe.send(None)


def epoch_of(
    data: Dataset[tuple[torch.Tensor, int]], network: nn.Module, batch: int, fast: bool = False
) -> Callable[[], None]:
    """One epoch in fp32, contiguous; with `fast`, at the speed that our loop has on a CPU with bf16."""
    if fast:
        keep_freed_memory()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    layout = torch.channels_last if fast else torch.contiguous_format
    network.to(memory_format=layout)  # type: ignore[call-overload]
    loader = DataLoader(data, batch, shuffle=True, num_workers=WORKERS, persistent_workers=True)

    def epoch() -> None:
        network.train()
        for x, y in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                loss = nn.functional.cross_entropy(network(x.contiguous(memory_format=layout)), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return epoch
