"""Events: sounds with a beginning and an end in recordings, found by the frame.

The room adds the command `make events`, the task of its datasets, two models of frames,
the detections of `make predict` and a section of the report.
"""

from pathlib import Path

from featurestack.commandline.rooms import Room
from featurestack.packages import enter

enter(__name__)

ROOM = Room(
    commands={"pipeline events": "featurestack.events.options:events"},
    functions={
        "events": "featurestack.events.functions:events",
        "detections": "featurestack.events.functions:detections",
    },
    models={
        "frames": "featurestack.events.task:FRAMES",
        "linear_frames": "featurestack.events.task:LINEAR_FRAMES",
    },
    capabilities={
        "make events": "featurestack.events.dataset:run",
        "train events": "featurestack.events.training:FrameTrainer",
        "predict events": "featurestack.events.predict:predict_recordings",
    },
    figures={"time_line": "featurestack.events.figures"},
    tasks={"events": "featurestack.events.task:EVENTS"},
    sections={"events": "featurestack.events.section:events"},
    templates=Path(__file__).parent / "templates",
    claims={"events": "featurestack.events.claim:has_events"},
)
