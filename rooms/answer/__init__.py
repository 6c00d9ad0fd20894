"""`make answer`, from a folder of sounds to the report, and `make demo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurestack.commandline.rooms import Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    targets={"demo": "demo", "answer": "answer"},
)


@ROOM.commands("demo", "answer")
def load_commands() -> Sequence[Any]:
    from featurestack.rooms.answer.demo import demo
    from featurestack.rooms.answer.functions import make_answer

    return demo, make_answer


@ROOM.functions("answer")
def load_functions() -> Sequence[Any]:
    from featurestack.rooms.answer.functions import answer

    return (answer,)


@ROOM.sections("answer", files="answer/*.json")
def load_sections() -> Sequence[Any]:
    from featurestack.rooms.answer.section import answer

    return (answer,)
