"""Frames of an MP3 (layer III of MPEG 1, 2, 2.5), and a header with their number."""

import re
import struct
from collections.abc import Iterator

# version in a frame's header -> Hz
RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
XING = re.compile(rb"(?:Xing|Info)...(?P<flags>.)(?P<frames>....)", re.DOTALL)
KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class CutOff(Exception):
    """The file ends within its last frame."""


def with_length(content: bytes) -> bytes | None:
    """The frames of an MP3 behind a new Xing header, which states their number; None if
    its own does, or without frames; CutOff if the last one is.

    Without it libsndfile estimates the length, and may lose the end.
    """
    frames = list(frames_in(content))
    if not frames:
        return None
    if sum(frames[-1]) > len(content):
        raise CutOff
    count = len(frames)
    start, _ = frames[0]
    version = content[start + 1] >> 3 & 3
    mono = content[start + 3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    # a header may count its own frame; with too many frames stated, decoding to the end
    # raises the error of a truncated file
    tag = XING.search(content, start, start + 72)
    if (
        tag
        and tag["flags"][0] & 1
        and int.from_bytes(tag["frames"], "big") >= count - 1
    ):
        return None
    # 64 kbit/s: room for the header at every rate
    speed = 0x50 if version == 3 else 0x80
    second = content[start + 1] | 1
    third = speed | content[start + 2] & 0x0C
    fourth = content[start + 3]
    header = bytes([0xFF, second, third, fourth]) + bytes(side)
    header += b"Xing" + struct.pack(">II", 1, count)
    return header.ljust(frame_bytes(header, 0), b"\0") + content[start:]


def frames_in(content: bytes) -> Iterator[tuple[int, int]]:
    """(position, length in bytes) of each frame that touches another."""
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
    """Bytes of the frame of layer III at this position; 0 if there is none."""
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
