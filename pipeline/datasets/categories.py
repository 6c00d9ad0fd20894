"""ESC-50's five major categories, found by the class's name, so that they hold for ESC-10 as well."""

from collections.abc import Sequence

from pipeline.synth import CATEGORIES as SYNTH

_ESC = {
    "animals": "dog rooster pig cow frog cat hen insects sheep crow",
    "natural soundscapes and water": (
        "rain sea_waves crackling_fire crickets chirping_birds water_drops wind pouring_water toilet_flush "
        "thunderstorm"
    ),
    "human, non-speech": (
        "crying_baby sneezing clapping breathing coughing footsteps laughing brushing_teeth snoring "
        "drinking_sipping"
    ),
    "interior": (
        "door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening washing_machine "
        "vacuum_cleaner clock_alarm clock_tick glass_breaking"
    ),
    "exterior": "helicopter chainsaw siren car_horn engine train church_bells airplane fireworks hand_saw",
}
ESC50 = {label: category for category, labels in _ESC.items() for label in labels.split()}


def categories_of(labels: Sequence[str]) -> list[str]:
    """The category of every label where all of them are ESC-50's (or the synthetic dataset's), else ''."""
    for known in (ESC50, SYNTH):
        if set(labels) <= known.keys():
            return [known[label] for label in labels]
    return [""] * len(labels)
