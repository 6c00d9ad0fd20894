"""Files of a command in a user's folder, which is the user's too."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from featurestack.storage.files import content_hash, hash_of, replace_file


class OwnFiles:
    """The files of one command in a folder, known by a record: name -> hashes of the
    content that it wrote. Files of the user and files that the user has changed stay as
    they are.

        OwnFiles(folder, ".predict.json").write({"counts.csv": "recording,day\\n"})
    """

    def __init__(self, folder: Path, record: str) -> None:
        self.folder, self.record = folder, folder / record
        try:
            content = json.loads(self.record.read_text(encoding="utf-8"))
            self.written = {
                name: [*hashes]
                for name, hashes in content.items()
                if ".." not in Path(name).parts and not Path(name).is_absolute()
            }
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            self.written = {}

    def is_own(self, name: str) -> bool:
        """Whether the file is as the command wrote it, or not there."""
        file = self.folder / name
        if not file.exists():
            return True
        return file.is_file() and content_hash(file) in self.written.get(name, [])

    def free_name(self, name: str) -> str:
        """The name, with a number if the user has such a file."""
        path, number = PurePosixPath(name), 2
        while not self.is_own(name):
            name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
            number += 1
        return name

    def write(self, files: Mapping[str, str | bytes]) -> list[str]:
        """Write these files in the place of all that were written before; returns the
        names of changed files, which are kept.

        The record has the old hashes and the new ones until all is written, so that
        the next call knows the files of a call that a kill or a full disk has ended.
        """
        encoded = {
            name: text.encode() if isinstance(text, str) else text
            for name, text in files.items()
        }
        old = self.written
        kept = [name for name in {**old, **encoded} if not self.is_own(name)]
        new = {
            name: [hash_of(content)]
            for name, content in encoded.items()
            if name not in kept
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self.remember(
            {name: old.get(name, []) + new.get(name, []) for name in old | new}
        )
        for name in new:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / name, encoded[name])
        for name in old.keys() - new.keys() - {*kept}:
            (self.folder / name).unlink(missing_ok=True)
        self.remember({**{name: old[name] for name in kept if name in old}, **new})
        return kept

    def remember(self, written: Mapping[str, list[str]]) -> None:
        """Write the record."""
        self.written = dict(written)
        replace_file(self.record, json.dumps(self.written, indent=1) + "\n")
