"""`make answer`, from a folder of sounds to the report, and `make demo`."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Loaded, Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    commands={
        "answer": Command(
            "featurestack.rooms.answer.answer:make_answer",
            "featurestack.rooms.answer.options:AnswerOptions",
            "From a folder of sounds to the report: check, every feature, runs,"
            " importance.",
        ),
        "demo": Command(
            "featurestack.rooms.answer.demo:demo",
            "featurestack.rooms.answer.demo:DemoOptions",
            "Synthesise a dataset, extract features, train two feature sets, measure"
            " importance, analyse.",
        ),
    },
)


@ROOM.functions("answer")
def load_functions() -> Loaded:
    from featurestack.rooms.answer.functions import answer

    return (answer,)


@ROOM.sections("answer", files="answer/*.json")
def load_sections() -> Loaded:
    from featurestack.rooms.answer.section import answer

    return (answer,)
