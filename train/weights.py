"""ImageNet's weights: a file in models/, else the published one, which is downloaded
once. Without a connection a run of WEIGHTS=auto begins from scratch. No torch.
"""

import functools
import hashlib
import re
from pathlib import Path

from featurestack.commandline.errors import RequestError
from featurestack.commandline.terminal import tell, tell_once
from featurestack.storage.files import Lock

FOLDER = Path("models")  # below the current folder
PUBLISHED = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "densenet121": "https://download.pytorch.org/models/densenet121-a639ec97.pth",
}
MEGABYTES = {"resnet18": 47, "resnet34": 87, "resnet50": 103, "densenet121": 32}
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
# runs that differ in more than the weights: docs/explanation/accuracy.md
GAIN = (
    "on mel of ESC-50 at 16 kHz ResNet-18 reaches 84.7 % with them (GRID=128x156,"
    " frames of 64 ms), and 64.5 % from scratch (GRID=64x108, frames of 23 ms)"
)


def choose_weights(asked: str, model: str) -> str:
    """WEIGHTS=auto or imagenet as a plan keeps it: `none`, `imagenet` for the published
    file, which is here then, or another file; `auto` if none are published.
    """
    if model not in PUBLISHED:
        if asked == "auto":
            return asked
        known = ", ".join(PUBLISHED)
        raise RequestError(
            f"no ImageNet weights are published for {model}, only for {known}"
        )
    if local := local_weights(model):
        return "imagenet" if local.name == published_name(model) else str(local)
    if asked == "imagenet":
        fetch(model)
        return "imagenet"
    return "imagenet" if fetched(model) else "none"


def published_name(model: str) -> str:
    """The file's name, which holds its hash."""
    return PUBLISHED[model].rpartition("/")[2]


def local_weights(model: str) -> Path | None:
    """A model's weights in models/, the published file first; None without any."""
    published = FOLDER / published_name(model)
    files = [published, *sorted(FOLDER.glob(f"{model}-*.pth"))]
    return next((file for file in files if file.is_file()), None)


@functools.cache  # several runs try once
def fetched(model: str) -> bool:
    """Whether the published file could be downloaded; tells what is lost if not."""
    file = FOLDER / published_name(model)
    tell(
        f"ImageNet's weights are downloaded once: {MEGABYTES[model]} MB to {file}"
        " (WEIGHTS=none trains from scratch)"
    )
    try:
        fetch(model, patient=False)
    except RequestError as error:
        tell_once(f"training begins from scratch: {error}")
        tell_once(f"{GAIN}: put {file.name} into {FOLDER}/ and type the command again")
        return False
    return True


def fetch(model: str, *, patient: bool = True) -> Path:
    """A model's published file, which is downloaded once. A broken connection is tried
    again if `patient`.
    """
    name = published_name(model)
    file = FOLDER / name
    if file.is_file():
        return file
    from featurestack.storage.download import download

    waiting = f"{file} is being downloaded by another process"
    with Lock(file.with_name(f".{name}.lock"), waiting=waiting):
        if not file.is_file():
            download(
                PUBLISHED[model],
                file,
                other_ways=f"Fetch it elsewhere and put it into {FOLDER}/",
                check=lambda part: check_hash(name, part.read_bytes()),
                patient=patient,
            )
    return file


def check_hash(name: str, content: bytes) -> None:
    """RequestError if a file's SHA-256 does not begin as its name says."""
    promised = HASH_IN_NAME.search(name)
    digest = hashlib.sha256(content).hexdigest()
    if promised and not digest.startswith(promised[1]):
        raise RequestError(
            f"{name}: its SHA-256 begins {digest[:8]} and not {promised[1]}: it is"
            " damaged or another file"
        )
