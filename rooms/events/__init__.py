"""Events: sounds with a beginning and an end in recordings, found by the frame."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Loaded, Room

EVENTS = Command(
    "featurestack.rooms.events.dataset:make_events",
    "featurestack.rooms.events.options:EventsCommand",
    "Make a dataset of recordings from annotation tables, trained and scored by the"
    " frame.",
)
ROOM = Room(templates=Path(__file__).parent / "templates", commands={"events": EVENTS})


@ROOM.options("PredictOptions")
def load_options() -> Loaded:
    from featurestack.rooms.events.options import DetectionOptions

    return (DetectionOptions,)


@ROOM.functions("events", "detections")
def load_functions() -> Loaded:
    from featurestack.rooms.events.functions import detections, events

    return events, detections


@ROOM.models("frames", "linear_frames", needs="events")
def load_models() -> Loaded:
    from featurestack.rooms.events.task import FRAMES, LINEAR_FRAMES

    return FRAMES, LINEAR_FRAMES


@ROOM.tasks("events")
def load_tasks() -> Loaded:
    from featurestack.rooms.events.task import EVENTS

    return (EVENTS,)


@ROOM.claims("events")
def load_claims() -> Loaded:
    from featurestack.rooms.events.events_file import has_events

    return (has_events,)


@ROOM.dataset_hints("annotations")
def load_hints() -> Loaded:
    from featurestack.rooms.events.events_file import way_of_annotations

    return (way_of_annotations,)


@ROOM.sections("events")
def load_sections() -> Loaded:
    from featurestack.rooms.events.section import events

    return (events,)
