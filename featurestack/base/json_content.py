"""The content of a JSON file as a dataclass, its damage in a sentence, its digest."""

import dataclasses
import hashlib
import json
import types
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from featurestack.base import errors

HASH_DIGITS = 12
FORMAT = "format_version"  # key of the format's number
T = TypeVar("T")

# errors of readers of JSON, tables and arrays
DAMAGE = (
    ValueError,
    LookupError,
    RecursionError,
    FileNotFoundError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def damage_named(file: Path, remedy: str) -> Iterator[None]:
    """Turn an error in reading `file` into a RequestError of one line."""
    try:
        yield
    except PermissionError:
        raise errors.RequestError(f"{file} {errors.CLOSED}") from None
    except DAMAGE as error:
        reason = errors.one_line(error)
        raise errors.RequestError(
            f"{file} cannot be read ({reason}): {remedy}"
        ) from None


def keep_newer(file: Path, ours: int) -> None:
    """RequestError if the file that would be replaced has a newer format than ours."""
    content = None
    with suppress(OSError, *DAMAGE):
        content = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(content, dict):
        errors.refuse_newer(file, content.get(FORMAT), ours)


def read_json(file: Path, kind: type[T], remedy: str) -> T:
    """The content of a file as this dataclass; RequestError names the file and the
    remedy if it is damaged or not there.
    """
    with damage_named(file, remedy):
        content = json.loads(file.read_text(encoding="utf-8"))
    return as_dataclass(content, kind, str(file), remedy)


def as_dataclass(content: object, kind: type[T], origin: str, remedy: str) -> T:
    """An object of JSON as this dataclass; RequestError names the file, the key that is
    missing, unknown, of another type or out of bounds, and the remedy, or says that a
    newer version of this program made it.
    """
    for field in dataclasses.fields(cast(Any, kind)):
        if field.name == FORMAT and isinstance(content, dict):
            errors.refuse_newer(origin, content.get(FORMAT), max(get_args(field.type)))
    try:
        return _value(content, kind, "")
    except (TypeError, ValueError, LookupError, errors.RequestError) as error:
        unread = f"{origin} cannot be read ({error}): {remedy}"
        raise errors.RequestError(unread) from None


def _value(value: Any, kind: Any, place: str) -> Any:
    """A value of JSON as this type; ValueError names the key that does not fit."""
    parts = get_args(kind)
    origin = get_origin(kind) or kind
    if origin in (Union, types.UnionType):
        if any(value in get_args(part) for part in parts):  # "auto" of int | "auto"
            return value
        return _value(value, type(value) if type(value) in parts else parts[0], place)
    before = f"{place}." if place else ""
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        kinds = {field.name: field.type for field in dataclasses.fields(kind)}
        # in the order of the class, whose first key may be the format's version
        ordered = [*(name for name in kinds if name in value), *(value.keys() - kinds)]
        fields = {
            name: _value(value[name], kinds.get(name), before + name)
            for name in ordered
        }
        return origin(**fields)
    if origin is Mapping and isinstance(value, dict):
        return {
            _value(key, parts[0], place): _value(item, parts[1], before + key)
            for key, item in value.items()
        }
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(item, parts[0], place) for item in value)
    if origin is Literal:  # True is not 1
        fits = (type(value), value) in [(type(part), part) for part in parts]
    else:
        fits = type(value) is kind or (kind is float and type(value) is int)
    if fits:
        return value
    raise ValueError(f"{place or 'the file'} is {errors.shortened(repr(value))}")


def digest(content: object) -> str:
    """A short hash of anything JSON can hold, independent of the order of keys."""
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
