"""Pictures and sounds of clips, ready to stand in the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis import cached, pictures, sounds
from analysis.browser import Clips
from features_cache import Cache

MEGABYTE = 1e6


@dataclass(frozen=True)
class Media:
    """Pictures by place and feature number, sounds by place; `links` are addresses of clips' own files."""

    features: list[str] = field(default_factory=list)
    pictures: list[tuple[int, dict[int, str]]] = field(default_factory=list)
    sounds: list[tuple[int, str]] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    said: str = ""  # what the page says of them


def gather(cache: Cache | None, features: Sequence[str], clips: Clips, folder: Path, most_mb: float) -> Media:
    """Pictures of the clips in these features, hardest first, and sounds of those that any run missed."""
    if cache is None:
        return Media(said="No cache is here, so there are no pictures and no sounds.")
    table = cached.clips_of(cache).set_index("clip_id")
    known = [clip for clip in clips.ids if clip in table.index]
    place = {clip: number for number, clip in enumerate(clips.ids)}
    files = sounds.audio_files(table.loc[known, "path"].to_dict())
    drawn = pictures.pictures(cache, features, known)
    missed = [clip for clip in clips.missed if clip in table.index]
    heard = sounds.sounds(files, missed, cache.duration, folder / "sounds", most_mb * MEGABYTE)
    links = {clip: link for clip, link in sounds.links(files, folder).items() if clip not in heard}
    return Media(
        features=list(features),
        pictures=[(place[clip], found) for clip, found in drawn.items()],
        sounds=[(place[clip], text) for clip, text in heard.items()],
        links=links,
        said=_said(len(missed), len(heard), len(links)),
    )


def _said(missed: int, heard: int, linked: int) -> str:
    if not heard and not linked:
        return "The clips’ audio files are not on this machine, so there are no players."
    here = (
        f"Sounds of {heard:,} of the {missed:,} clips that any run got wrong are in this page, hardest first"
    )
    return (
        f"{here}; {linked:,} others play from their own files on the machine that made it."
        if linked
        else f"{here}."
    )
