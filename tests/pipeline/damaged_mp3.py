"""An MP3 with a damaged frame, for tests."""

from featurestack.pipeline import audio_headers

HEADER = 4  # bytes of a frame's header; the side information follows


def damage_frame(path, frame=20):
    """Overwrite numbers in a frame's side information, so that mpg123 prints errors and
    decodes the other frames.
    """
    content = bytearray(path.read_bytes())
    at, _ = list(audio_headers.frames_in(bytes(content)))[frame]
    content[at + HEADER + 2 : at + HEADER + 6] = b"\xff" * 4
    path.write_bytes(content)
    return path
