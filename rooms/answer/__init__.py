"""`make answer`, from a folder of sounds to the report, and `make demo`."""

from pathlib import Path

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={
        "demo": "featurestack.rooms.answer.demo:demo",
        "answer": "featurestack.rooms.answer.options:answer",
    },
    capabilities={"answer": "featurestack.rooms.answer.answer:find_answer"},
    functions={"answer": "featurestack.rooms.answer.functions:answer"},
    sections={"answer": "featurestack.rooms.answer.section:answer"},
    templates=Path(__file__).parent / "templates",
    needs={"answer": "answer/*.json"},
)
