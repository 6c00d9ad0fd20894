"""Events: sounds with a beginning and an end in recordings, found by the frame."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Room
from featurestack.features_cache.names import EVENT_COLUMNS

EVENTS = Command(
    ".dataset:make_events",
    ".options:EventsCommand",
    "Make a dataset of recordings from annotation tables, trained and scored by the"
    " frame.",
)
ROOM = Room(
    templates=Path(__file__).parent / "templates",
    commands={"events": EVENTS},
    adds={
        "options": {"PredictOptions": ".options:DetectionOptions"},
        "functions": {
            "events": ".functions:events",
            "detections": ".functions:detections",
        },
        "models": {"frames": ".task:FRAMES", "linear_frames": ".task:LINEAR_FRAMES"},
        "tasks": {"events": ".task:EVENTS"},
        "dataset_hints": {"annotations": ".annotations:way_of_annotations"},
        "sections": {"events": ".section:events"},
    },
    claims={"events": ",".join(EVENT_COLUMNS)},
    needs={"frames": "events", "linear_frames": "events"},
)
