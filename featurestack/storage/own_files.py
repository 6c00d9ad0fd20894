"""The files that a command has written in a folder of the user's.

A record in the folder names them, each with the hash of its content. Only these files
are replaced or removed, and only while they are as the command wrote them: a file that
the user made or changed stays. Every command that writes files of its own choice of
names into a folder goes through this module. A folder with the record NO_DATA, in the
place of another name, is not read as sounds.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from featurestack.commandline.errors import RequestError
from featurestack.storage.files import (
    content_hash,
    hash_of,
    refuse_special,
    replace_file,
)

# a folder with this record was written by a command, and holds no data
NO_DATA = ".no-data.json"


class OwnFiles:
    """The files of one command in a folder, known by the record of this name.

        own = OwnFiles(folder, ".predict.json")
        own.write({"counts.csv": "recording,day\\n"})
        kept = own.remove_others()

    The record has the old hashes and the new ones until a file is written, so that the
    next call knows the files of a call that a kill or a full disk has ended.
    """

    def __init__(self, folder: Path, record: str) -> None:
        self.folder, self.record = folder, folder / record
        self.hashes: dict[str, list[str]] = {}  # name -> hashes of what was written
        self.current: set[str] = set()  # names that this call has written or kept
        self.changed: set[str] = set()  # names that this call found changed
        try:
            content = json.loads(self.record.read_text(encoding="utf-8"))
            self.hashes = {
                name: [*hashes]
                for name, hashes in content.items()
                if ".." not in Path(name).parts and not Path(name).is_absolute()
            }
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            pass  # no record, or a damaged one: all files are the user's

    def is_own(self, name: str) -> bool:
        """Whether the file is as the command wrote it, or not there."""
        file = self.folder / name
        if file.is_symlink():
            return False
        if not file.exists():
            return True
        return file.is_file() and content_hash(file) in self.hashes.get(name, [])

    def is_whole(self) -> bool:
        """Whether every file that was written is still there."""
        return all((self.folder / name).is_file() for name in self.hashes)

    def free_name(self, name: str) -> str:
        """The name, with a number if the user has such a file."""
        path, number = PurePosixPath(name), 2
        while not self.is_own(name):
            name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
            number += 1
        return name

    def require(self, name: str, option: str) -> None:
        """RequestError if the user made or changed the file: `option` names another
        place.
        """
        if not self.is_own(name):
            raise RequestError(
                f"{self.folder / name} was not written by this command, or was changed"
                f" since, and is not replaced: move it, or give another {option}"
            )

    def write(self, files: Mapping[str, str | bytes], *, durable: bool = True) -> None:
        """Write these files, but none that the user made or changed."""
        contents = {
            name: text.encode() if isinstance(text, str) else text
            for name, text in files.items()
            if self.is_own(name)
        }
        self.current |= files.keys()
        self.changed |= files.keys() - contents.keys()
        new = {name: hash_of(content) for name, content in contents.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, digest in new.items():
            self.hashes[name] = [*self.hashes.get(name, []), digest]
        self._remember(durable=durable)
        for name, content in contents.items():
            file = self.folder / name
            replace_file(file, content, durable=durable, parents=True)
            self.hashes[name] = [new[name]]

    def keep(self, names: Iterable[str]) -> None:
        """Let these files of an earlier call stay as they are."""
        self.current |= {*names} & self.hashes.keys()

    def remove_others(self) -> list[str]:
        """Remove the files of earlier calls that this one neither wrote nor kept;
        returns the names of the files that were not touched, since they are changed.
        """
        for name in sorted(self.hashes.keys() - self.current):
            if self.is_own(name):
                (self.folder / name).unlink(missing_ok=True)
            else:
                self.changed.add(name)
            del self.hashes[name]
        self._remember(durable=True)
        return sorted(self.changed)

    def _remember(self, *, durable: bool) -> None:
        text = json.dumps(self.hashes, indent=1) + "\n"
        replace_file(self.record, text, durable=durable)


def own_file(file: Path, record: str, option: str) -> OwnFiles:
    """The record of a command that writes one file; RequestError if the user made or
    changed the file, or if its folder is missing.
    """
    refuse_special(file)
    own = OwnFiles(file.parent, record)
    own.require(file.name, option)
    return own
