"""Events: sounds with a beginning and an end in recordings, found by the frame.

The room adds the command `make events`, the task of its datasets, two models of frames,
the detections of `make predict` and a section of the report.
"""

from pathlib import Path

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"pipeline events": "featurestack.rooms.events.options:events"},
    functions={
        "events": "featurestack.rooms.events.functions:events",
        "detections": "featurestack.rooms.events.functions:detections",
    },
    models={
        "frames": "featurestack.rooms.events.task:FRAMES",
        "linear_frames": "featurestack.rooms.events.task:LINEAR_FRAMES",
    },
    capabilities={
        "make events": "featurestack.rooms.events.dataset:run",
        "train events": "featurestack.rooms.events.training:FrameTrainer",
        "predict events": "featurestack.rooms.events.predict:predict_recordings",
    },
    figures={"time_line": "featurestack.rooms.events.figures"},
    tasks={"events": "featurestack.rooms.events.task:EVENTS"},
    sections={"events": "featurestack.rooms.events.section:events"},
    templates=Path(__file__).parent / "templates",
    claims={"events": "featurestack.rooms.events.claim:has_events"},
)
