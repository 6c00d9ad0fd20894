"""`fs.alter(...)`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestack.pipeline.clip_spectra import Clip


def alter(clip: "Clip", how: str) -> "Clip":
    """An altered copy, as long as the clip. `how` is an alteration with its parameters:
    `pitch(semitones=2)`, `stretch(rate=1.2)`, `noise(snr_db=20,seed=0)`, `gain(db=-6)`,
    `shift(share=0.25)`.

        fs.alter(clip, "stretch(rate=1.2)")
    """
    from featurestack.pipeline.clip_spectra import Clip
    from featurestack.rooms.copies.alter import apply_alteration

    altered = apply_alteration(clip.y, clip.sample_rate, how)
    return Clip(altered, clip.sample_rate)
