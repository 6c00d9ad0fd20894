"""`embedding@model=NAME`: a pretrained network's vector for a clip, or for each window
or frame.

The network is models/NAME.onnx below the current folder, run by onnxruntime (the extra
onnx) in the processes that compute the other features. Its card, models/NAME.json, has
the keys:

    sample_rate  Hz of the input
    window       seconds of the input; by default the length that the network fixes,
                 else the whole clip
    hop          seconds from one window to the next; by default the window
    pooling      how the vectors of all windows and frames become one: mean (the
                 default), max, mean_std;
                 none keeps them in order of time, as a feature map (D, vectors)
    scale        factor of the samples, which are -1 to 1 (32768 for a network that
                 expects 16-bit integers)
    output       name of the output, if it is not the first
    source       origin and licence of the file, for people

Input is (windows, samples), (windows, 1, samples) or (samples,); output (windows, D) or
(windows, frames, D), for an input of one axis (D,) or (frames, D).
docs/howto/embeddings.md has cards for published networks.

The fingerprint covers network and card: if a file changes, the feature is computed
anew, and a run that was trained on the former values refuses the new ones.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.pipeline import audio
from featurestack.pipeline.axes import Impossible
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features.registry import Feature

FOLDER = Path("models")
POOLINGS = ("mean", "max", "mean_std", "none")
MOST_WINDOWS = 64  # windows in one call: their activations are in memory together


@dataclass(frozen=True, kw_only=True)
class NetworkCard:
    """Facts from the card, which the network's file lacks."""

    sample_rate: int
    window: float = 0.0
    hop: float = 0.0
    pooling: str = "mean"
    scale: float = 1.0
    output: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        fits = self.sample_rate >= 100 and min(self.window, self.hop) >= 0 < self.scale
        if not fits or self.pooling not in POOLINGS:
            raise ValueError(
                f"{self}: expected a sample_rate of 100 or more, seconds of 0 or more,"
                f" a positive scale, a pooling of {', '.join(POOLINGS)}"
            )


def embed(
    session: onnxruntime.InferenceSession, card: NetworkCard, y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(rows, frames) of a clip at the card's rate, cut into windows and pooled as the
    card says.

    The last window ends at or after the clip's end, zero-padded. Impossible if the
    network refuses the input.
    """
    given = session.get_inputs()[0]
    axes = len(given.shape)
    output = card.output or session.get_outputs()[0].name
    length = round(card.window * card.sample_rate) or len(y)
    hop = round(card.hop * card.sample_rate) or length
    count = 1 + max(0, -(-(len(y) - length) // hop))
    covered = (count - 1) * hop + length
    padded = np.pad(y, (0, max(0, covered - len(y)))) * np.float32(card.scale)
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    step = 1 if axes == 1 or given.shape[0] == 1 else MOST_WINDOWS
    parts = []
    for start in range(0, count, step):
        x = windows[start : start + step]
        x = x[0] if axes == 1 else x[:, None] if axes == 3 else x
        try:
            (answer,) = session.run([output], {given.name: np.ascontiguousarray(x)})
        except Exception as error:  # onnxruntime's errors have no common base class
            raise Impossible(
                f"the network refuses {x.shape}: {' '.join(str(error).split())}"
            ) from None
        parts.append(np.asarray(answer, np.float32).reshape(-1, answer.shape[-1]))
    vectors = np.concatenate(parts)  # (n, D)
    mean = vectors.mean(axis=0)[:, None]
    return {
        "none": vectors.T,
        "max": vectors.max(axis=0)[:, None],
        "mean": mean,
        "mean_std": np.concatenate([mean, vectors.std(axis=0)[:, None]]),
    }[card.pooling]


def embedding(clip: Clip, *, model: str = "") -> np.ndarray:
    """The embedding of a pretrained network: what it has learned from other sounds, as
    one vector.

    Formula: the network in models/<model>.onnx, pooled over its windows as its card
    says Changes with: whatever the network was trained to distinguish Ignores: whatever
    it was trained to ignore, often loudness and the room Feature map: one column, or
    with pooling none one for each window or frame; its rows have no order
    """
    session, card = open_network(model)
    return embed(
        session, card, audio.resample(clip.y, clip.sample_rate, card.sample_rate)
    )


def file_fingerprint(*, model: str) -> dict[str, str]:
    """The fingerprint of network and card; RequestError if one is missing."""
    content = b"".join(path.read_bytes() for path in _files(model))
    return {"file": hashlib.blake2b(content, digest_size=16).hexdigest()}


def open_network(model: str) -> tuple[onnxruntime.InferenceSession, NetworkCard]:
    """The network of this name and its card, opened once for each process and version
    of the files.
    """
    return _opened(
        *((path.absolute(), path.stat().st_mtime_ns) for path in _files(model))
    )


@functools.lru_cache(maxsize=4)
def _opened(
    network: tuple[Path, int], card: tuple[Path, int]
) -> tuple[onnxruntime.InferenceSession, NetworkCard]:
    settings = onnxruntime.SessionOptions()
    # processes use all cores already
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            network[0], settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # no common base class
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{network[0]} is no network that onnxruntime opens: {reason}"
        ) from None
    try:
        described = NetworkCard(**json.loads(card[0].read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise RequestError(
            f'{card[0]} is no card: {error}; expected {{"sample_rate": 32000, …}}'
        ) from None
    fixed = session.get_inputs()[0].shape[-1]
    if not described.window and isinstance(fixed, int):
        described = replace(described, window=fixed / described.sample_rate)
    return session, described


def _files(model: str) -> tuple[Path, Path]:
    """The files of the network and its card; RequestError if one is missing."""
    name = model or "NAME"
    network = FOLDER / f"{name}.onnx"
    card = FOLDER / f"{name}.json"
    if not (network.is_file() and card.is_file()):
        raise RequestError(
            f"embedding@model={name} needs a network and its card, {network} and"
            f" {card}; docs/howto/embeddings.md says where published ones come from"
        )
    return network, card


def dimension_axis(_: int, *, model: str) -> NDArray[np.float64]:
    """(rows,) the number of each row, from 0."""
    session, card = open_network(model)
    silence = np.zeros(round((card.window or 1) * card.sample_rate), np.float32)
    return np.arange(len(embed(session, card, silence)), dtype=float)


def window_axis(sample_rate: int, samples: int, *, model: str) -> NDArray[np.floating]:
    """(vectors,) times (s) of the centres of vectors spread evenly over a clip; 0 for a
    single one.
    """
    count = embedding(
        Clip(np.zeros(samples, np.float32), sample_rate), model=model
    ).shape[1]
    return (np.arange(count) + 0.5 * (count > 1)) * (samples / sample_rate / count)


FEATURE = Feature(
    "embedding",
    embedding,
    units="embedding",
    rows=dimension_axis,
    row_unit="dimension",
    version=1,
    recorded=file_fingerprint,
    frames=window_axis,
)
