"""Published weights of networks: where they are, on the network and on this machine.

Nothing here imports torch: a run is planned, and a feature's fingerprint is made,
without it.
"""

import os
from pathlib import Path

FOLDER = Path("models")  # below the current folder
PUBLISHED = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "densenet121": "https://download.pytorch.org/models/densenet121-a639ec97.pth",
}
MEGABYTES = {"resnet18": 47, "resnet34": 87, "resnet50": 103, "densenet121": 32}


def published_name(model: str) -> str:
    """The file's name, which holds its hash."""
    return PUBLISHED[model].rpartition("/")[2]


def local_weights(model: str) -> Path | None:
    """A model's weights in models/, else in torch's cache; None without any."""
    if model not in PUBLISHED:
        return None
    published = published_name(model)
    own = sorted(FOLDER.glob(f"{model}-*.pth"))
    files = [FOLDER / published, *own, torch_cache() / published]
    return next((file for file in files if file.is_file()), None)


def torch_cache() -> Path:
    """The folder in which torch keeps the weights that it fetches."""
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{caches}/torch")
    return Path(home).expanduser() / "hub" / "checkpoints"
