"""`make answer`, from a folder of sounds to the report, and `make demo`."""

from pathlib import Path

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    targets={"demo": "demo", "answer": "answer"},
)


@ROOM.commands("demo", "answer")
def load_commands() -> Loaded:
    from featurestack.rooms.answer.demo import demo
    from featurestack.rooms.answer.functions import make_answer

    return demo, make_answer


@ROOM.functions("answer")
def load_functions() -> Loaded:
    from featurestack.rooms.answer.functions import answer

    return (answer,)


@ROOM.sections("answer", files="answer/*.json")
def load_sections() -> Loaded:
    from featurestack.rooms.answer.section import answer

    return (answer,)
