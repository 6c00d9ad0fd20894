"""`make answer`, from a folder of sounds to the report, and `make demo`."""

from pathlib import Path

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={
        "demo": "featurestack.extras.answer.demo:demo",
        "answer": "featurestack.extras.answer.options:answer",
    },
    capabilities={"answer": "featurestack.extras.answer.answer:find_answer"},
    functions={"answer": "featurestack.extras.answer.functions:answer"},
    sections={"answer": "featurestack.extras.answer.section:answer"},
    templates=Path(__file__).parent / "templates",
    needs={"answer": "answer/*.json"},
)
