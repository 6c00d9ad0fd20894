"""Read the headers of audio files, to find those that are damaged, truncated or of
unknown length.

libsndfile estimates the length of an MP3 whose header does not state it, and may lose
the end, so its frames (layer III of MPEG 1, 2, 2.5) are counted here.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import soundfile

# libsndfile accepts a header that promises too many bytes; it logs that number and
# usually the true one
PROMISED = re.compile(
    r"(?:data|SSND|Data Size|riff)\s*: (\d+)(?: \(should be (\d+)\))?"
)
UNKNOWN_SIZE = 2**32 - 1
CHUNK_PADDING = 64  # bytes too many that the header of an intact file may promise
LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes of an Ogg page
# version in a frame's header -> Hz by its rate index
RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
XING = re.compile(rb"(?:Xing|Info)...(?P<flags>.)(?P<frames>....)", re.DOTALL)
KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class AudioError(Exception):
    """This file cannot be used as a clip; the text is the reason."""


class Truncated(AudioError):
    """The file ends earlier than its header says."""


def with_length(content: bytes) -> bytes | None:
    """The frames of an MP3 after a new Xing header that states their number; None if
    its own header does or it has no frames; Truncated if the last frame is cut off.
    """
    frames = list(frames_in(content))
    if not frames:
        return None
    if sum(frames[-1]) > len(content):
        raise Truncated("truncated: the file ends in the middle of an MPEG frame")
    count = len(frames)
    start, _ = frames[0]
    version = content[start + 1] >> 3 & 3
    mono = content[start + 3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    # a header may count its own frame; if it states too many, decoding to the end
    # raises the error of a truncated file
    tag = XING.search(content, start, start + 72)
    states = tag and tag["flags"][0] & 1
    if tag and states and int.from_bytes(tag["frames"], "big") >= count - 1:
        return None
    # 64 kbit/s leaves room for the header at every rate
    speed = 0x50 if version == 3 else 0x80
    second = content[start + 1] | 1
    third = speed | content[start + 2] & 0x0C
    fourth = content[start + 3]
    header = bytes([0xFF, second, third, fourth]) + bytes(side)
    header += b"Xing" + struct.pack(">II", 1, count)
    return header.ljust(frame_bytes(header, 0), b"\0") + content[start:]


def frames_in(content: bytes) -> Iterator[tuple[int, int]]:
    """(position, length in bytes) of each frame that adjoins another."""
    at = 0
    if content.startswith(b"ID3"):
        length = 0  # seven bits a byte
        for byte in content[6:10]:
            length = (length << 7) + byte
        at = 10 + length
    follows = False
    while 0 <= at < len(content) - 4:
        length = frame_bytes(content, at)
        follows = length > 0 and (follows or frame_bytes(content, at + length) > 0)
        if follows:
            yield at, length
        at = at + length if follows else content.find(b"\xff", at + 1)


def frame_bytes(content: bytes, at: int) -> int:
    """Bytes of the layer III frame at this position; 0 if there is none."""
    if len(content) < at + 4:
        return 0
    first, second, third, _ = content[at : at + 4]
    version = second >> 3 & 3
    kbits = third >> 4
    rate = third >> 2 & 3
    if (
        first != 0xFF
        or second & 0xE6 != 0xE2
        or version == 1
        or kbits in (0, 15)
        or rate == 3
    ):
        return 0
    bits = 72_000 * KBITS_2[kbits]
    if version == 3:
        bits = 144_000 * KBITS_1[kbits]
    padding = third >> 1 & 1
    return bits // RATES[version][rate] + padding


def promised_bytes(file: soundfile.SoundFile, path: Path) -> list[tuple[int, int]]:
    """(promised, actual) bytes of each chunk of which the file holds fewer."""
    shorter = []
    size = path.stat().st_size
    for promised, actual in PROMISED.findall(file.extra_info):
        there = int(actual or size)
        # a stream, whose header was never completed, has the largest size
        if UNKNOWN_SIZE > int(promised) > there + CHUNK_PADDING:
            shorter.append((int(promised), there))
    return shorter


def refuse_truncated(file: soundfile.SoundFile, path: Path) -> None:
    # a WAV cut off in its data plays to the cut
    for promised, actual in promised_bytes(file, path):
        raise Truncated(
            f"truncated: its header promises {promised} bytes of audio, the file"
            f" holds {actual}"
        )
    # a flipped bit in a header can promise days; the last sample shows it in 0.3 ms
    if file.format == "FLAC":
        try:
            file.seek(file.frames - 1)
            last = len(file.read(1))
            file.seek(0)
        except (soundfile.SoundFileError, RuntimeError):
            last = 0
        if not last:
            raise Truncated(
                f"truncated: its header promises {file.frames} samples, the file holds"
                " fewer"
            )
    if file.format == "OGG":  # libsndfile silently drops a page that is cut off
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - LONGEST_PAGE))
            page = stream.read()
        page = page[max(0, page.rfind(b"OggS")) :]
        segments = page[26] if len(page) > 26 else 255
        length = 27 + segments + sum(page[27 : 27 + segments])
        if not page.startswith(b"OggS") or len(page) < length:
            raise Truncated("truncated: the file ends in the middle of an Ogg page")
