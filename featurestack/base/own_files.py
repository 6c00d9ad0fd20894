"""The files that this program has written in a folder: one record of what is ours.

A record in the folder names each file exactly. Only these files are replaced or
removed, and never a link. A file that was written once is known by the hash
of its content, and stays if the user changed it; a file that is written again and again
(a run's history, a cache's features) is registered by its name, which is refused if the
user has such a file already. A record that cannot be read is an error: without it the
program's own files would count as the user's.

A folder may belong to something, such as a cache to the sounds that it was made of. The
first call of `register` writes this identity into the record, and a later one by
another identity is refused under the same lock, as is one by a command that began at
the same time.

Commands that run at once share a record: it is read, merged and written under its lock.
A folder whose record is named NO_DATA is not read as sounds.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from featurestack.base.errors import RequestError
from featurestack.base.files import (
    Lock,
    content_hash,
    hash_of,
    refuse_special,
    replace_file,
)

# the record of a folder that this program made: of a run, a choice, a cache
RECORD = ".featurestack.json"
# a folder with this record was written by a command, and holds no data
NO_DATA = ".no-data.json"
ANY = "any"  # in place of a hash: the name was registered, whatever the file holds
# what a command that was ended leaves beside a record: its lock, drafts of files
TRACE = re.compile(r"\..+\.json\.lock|\..+\.\d+\.\d+")


@dataclass(eq=False)
class Taken(RequestError):
    """A folder that belongs to something else, `identity`."""

    identity: str


class OwnFiles:
    """The files of one command in a folder, known by the record of this name.

        own_files = OwnFiles(folder, ".predict.json")
        own_files.write({"counts.csv": "recording,day\\n"})
        kept = own_files.remove_others()

    The record has the old hashes and the new ones until a file is written, so that the
    next call knows the files of a call that a kill or a full disk has ended.
    """

    def __init__(self, folder: Path, record: str = RECORD) -> None:
        self.folder, self.record = folder, folder / record
        self.identity = ""  # what the folder belongs to, if to anything
        # name -> hashes of what was written, or ANY
        self.hashes: dict[str, list[str]] = self._read()
        self.before = dict(self.hashes)  # those of earlier calls
        self.current: set[str] = set()  # names that this call has written or kept
        self.changed: set[str] = set()  # names that this call found changed

    def _read(self) -> dict[str, list[str]]:
        if self.record.exists():  # a pipe is never read to its end
            refuse_special(self.record)
        try:
            content = self.record.read_bytes()
        except OSError:  # no record: all files are the user's
            return {}
        try:
            known = json.loads(content)
            files, self.identity = known["files"], known["of"]
            if known["digest"] != self._digest(files):
                raise ValueError("its digest is not that of its content")
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise RequestError(
                f"{self.record} is damaged ({error}), which lists what this program"
                f" wrote in {self.folder}: move your own files out of that folder, and"
                f" delete {self.record.name}; if a command then refuses the rest,"
                " delete it too"
            ) from None
        return {
            name: hashes
            for name, hashes in files.items()
            if ".." not in Path(name).parts and not Path(name).is_absolute()
        }

    def _digest(self, files: Mapping[str, list[str]]) -> str:
        return hash_of(json.dumps([self.identity, files], sort_keys=True).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The record as it is now, which no other process changes meanwhile."""
        with Lock(self.record.with_name(f"{self.record.name}.lock")):
            self.hashes = self._read()
            yield

    def is_own(self, name: str) -> bool:
        """Whether the file is as the command wrote it, or not there."""
        file = self.folder / name
        if file.is_symlink():
            return False
        if not file.exists():
            return True
        known = self.hashes.get(name, [])
        return file.is_file() and (ANY in known or content_hash(file) in known)

    def require(self, name: str, option: str) -> None:
        """RequestError if the user made or changed the file."""
        if not self.is_own(name):
            raise RequestError(
                f"{self.folder / name} was not written by this command, or was changed"
                f" since, and is not replaced: move it, or give another {option}"
            )

    def register(
        self,
        names: Iterable[str],
        remedy: str,
        known: Callable[[Path], bool] = lambda file: False,
        *,
        identity: str = "",
        is_other: Callable[[str], bool] = lambda identity: True,
    ) -> None:
        """Take these names for files that the caller writes at any time; RequestError,
        and nothing is registered, if the user has one of them.

        remedy    what the user can do then
        known     whether a file that no record names is ours by its content
        identity  what the folder then belongs to; Taken if it belongs to something
                  else, by which `is_other` may not mean this
        """
        wanted = dict.fromkeys(names)
        if wanted.keys() <= self.hashes.keys() and identity in ("", self.identity):
            return
        with self._locked():
            other = identity and self.identity not in ("", identity)
            if other and is_other(self.identity):
                raise Taken(self.identity)
            new = [name for name in wanted if name not in self.hashes]
            for name in new:
                file = self.folder / name
                if os.path.lexists(file) and not known(file):
                    raise RequestError(
                        f"{file} was not written by this program and is not replaced:"
                        f" {remedy}"
                    )
            self.hashes |= {name: [ANY] for name in new}
            self.identity = identity or self.identity
            self._remember(durable=True)

    def write(
        self,
        files: Mapping[str, str | bytes],
        *,
        durable: bool = True,
        edited: bool = False,
    ) -> None:
        """Write these files, but none that the user made or changed, unless they are
        `edited`: then the new content has what the user wrote, and stays the user's.
        """
        with self._locked():
            contents = {
                name: text.encode() if isinstance(text, str) else text
                for name, text in files.items()
                if edited or self.is_own(name)
            }
            self.current |= files.keys()
            self.changed |= files.keys() - contents.keys()
            new = {name: hash_of(content) for name, content in contents.items()}
            for name, digest in new.items():
                before = self.hashes.get(name, [])
                self.hashes[name] = [] if edited else [*before, digest]
            self._remember(durable=durable)
            for name, content in contents.items():
                file = self.folder / name
                replace_file(file, content, durable=durable, parents=True)
                self.hashes[name] = [] if edited else [new[name]]
            self._remember(durable=False)

    def keep(self, names: Iterable[str]) -> None:
        """Let these files of an earlier call stay as they are."""
        self.current |= {*names} & self.hashes.keys()

    def remove_others(self) -> list[str]:
        """Remove what only earlier calls wrote; the names of changed files."""
        with self._locked():
            for name in sorted(self.before.keys() - self.current):
                # another call may have removed it, or written it anew
                if self.hashes.get(name) == self.before[name]:
                    if not self._removed(name):
                        self.changed.add(name)
                    del self.hashes[name]
            self._remember(durable=True)
        return sorted(self.changed)

    def remove(self) -> list[Path]:
        """Remove all files of the record, the record, and the folders that are then
        empty; returns the files that stay, which are the user's. The first file goes
        first: it is the one by which the folder is known. RequestError for a link.
        """
        if self.folder.is_symlink():
            raise RequestError(f"{self.folder} is a link: name the folder it leads to")
        with self._locked():
            for name in self.hashes:
                self._removed(name)
            self.record.unlink(missing_ok=True)
            self.record.with_name(f"{self.record.name}.lock").unlink()
        parents = {folder for name in self.hashes for folder in self._above(name)}
        for folder in sorted({self.folder, *parents}, reverse=True):
            with suppress(OSError):  # it is not empty, is a link, or not there
                folder.rmdir()
        left = []
        for place, folders, files in os.walk(self.folder):
            paths = [Path(place, name) for name in (*folders, *files)]
            left += [path for path in paths if path.is_symlink() or path.is_file()]
        return sorted(left)

    def _above(self, name: str) -> list[Path]:
        """The folders between this one and a file; none below a linked folder."""
        above = [self.folder / parent for parent in PurePosixPath(name).parents][:-1]
        return [] if any(folder.is_symlink() for folder in above) else above

    def _removed(self, name: str) -> bool:
        """Remove the file if it is ours and no link is above; whether it is gone."""
        linked = "/" in name and not self._above(name)
        if linked or not self.is_own(name):
            return False
        (self.folder / name).unlink(missing_ok=True)
        return True

    def _remember(self, *, durable: bool) -> None:
        digest = self._digest(self.hashes)
        record = {"of": self.identity, "digest": digest, "files": self.hashes}
        text = json.dumps(record, indent=1) + "\n"
        replace_file(self.record, text, durable=durable)


def own_file(file: Path, record: str, option: str) -> OwnFiles:
    """The record of a command that writes one file, which must not be the user's."""
    refuse_special(file)
    own_files = OwnFiles(file.parent, record)
    own_files.require(file.name, option)
    return own_files
