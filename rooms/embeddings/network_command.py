"""`make network`: lists the pretrained networks, and brings one to models/ before a
feature or a training asks for it.
"""

import shutil
from pathlib import Path

from featurestack.commandline.errors import RequestError, nearest
from featurestack.rooms.embeddings.embedding import open_network
from featurestack.rooms.embeddings.imagenet import open_stages, weights
from featurestack.rooms.embeddings.networks import (
    KNOWN,
    RESNET,
    find_network,
    network_remarks,
    own_file,
)
from featurestack.rooms.embeddings.options import NetworkOptions
from featurestack.storage import system
from featurestack.train.weights import FOLDER, local_weights


def network(options: NetworkOptions) -> None:
    """List the pretrained networks, or bring one to models/: fetched, or a file."""
    name, file = options.network, options.file
    if not name and not file:
        print("\n".join(network_remarks()))
    elif name not in {*KNOWN, RESNET}:
        raise RequestError(nearest("network", name, [*KNOWN, RESNET]))
    elif file:
        print(copied(name, file))
    else:
        print(weights() if name == RESNET else find_network(name, fetch=True).network)


def copied(name: str, file: Path) -> Path:
    """The copy of a network's file in models/; RequestError for a file that cannot be
    used, or if there is one already.
    """
    if not file.is_file():
        raise RequestError(f"FILE={file}: there is no such file")
    there = local_weights(RESNET) if name == RESNET else own_file(name)
    if there:
        raise RequestError(f"{there} is there already: remove it first")
    to = FOLDER / f"{name}{file.suffix}"
    if name == RESNET:
        to = FOLDER / (
            file.name if file.match("resnet18-*.pth") else "resnet18-own.pth"
        )
    FOLDER.mkdir(exist_ok=True)
    draft = FOLDER / f".{to.name}.copied"
    shutil.copyfile(file, draft)
    system.sync(draft)
    draft.replace(to)
    try:
        if name == RESNET:
            open_stages()
        else:
            open_network(name)
    except RequestError:
        to.unlink()
        raise
    return to
