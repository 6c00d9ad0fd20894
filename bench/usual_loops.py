"""A usual training loop, without this project's parts, for the comparison in
bench.training.
"""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

GRID = (128, 431)
WORKERS = 2


class Saved(Dataset[tuple[torch.Tensor, int]]):
    """One .npy file for each clip, (3, 128, 431) float32, as a script saves them."""

    def __init__(self, files: Sequence[Path], targets: Sequence[int]) -> None:
        self.files, self.targets = list(files), list(targets)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(np.load(self.files[index])), self.targets[index]


class Apart:
    """A loop in its own process, without this project's settings; a call runs one
    epoch.
    """

    def __init__(
        self,
        data: Dataset[tuple[torch.Tensor, int]],
        network: nn.Module,
        batch: int,
        threads: int,
    ) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        given = (theirs, data, network, batch, threads)
        self.process = multiprocessing.get_context("spawn").Process(
            target=serve, args=given
        )

    def __enter__(self) -> "Apart":
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.send(False)
        self.process.join()

    def __call__(self) -> None:
        self.pipe.send(True)
        self.pipe.recv()


def serve(
    pipe: Connection,
    data: Dataset[tuple[torch.Tensor, int]],
    network: nn.Module,
    batch: int,
    threads: int,
) -> None:
    """Train an epoch in fp32 for each True from the pipe, and answer None."""
    torch.set_num_threads(threads)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    loader = DataLoader(
        data, batch, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )
    network.train()
    while pipe.recv():
        for x, y in loader:
            logits = network(x)  # (B, K), or (B, M, K) of several networks
            logits = logits.view(len(x), -1, logits.shape[-1]).mean(1)
            loss = nn.functional.cross_entropy(logits, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        pipe.send(None)
