"""`make answer`, from a folder of sounds to the report, and `make demo`."""

from pathlib import Path

from featurestack.commandline.rooms import Command, Room

ROOM = Room(
    templates=Path(__file__).parent / "templates",
    commands={
        "answer": Command(
            ".answer:make_answer",
            ".options:AnswerOptions",
            "From a folder of sounds to the report: check, features, a choice,"
            " its run.",
        ),
        "demo": Command(
            ".demo:demo",
            ".demo:DemoOptions",
            "Synthesise a dataset, extract features, train ResNet-18 and an exact"
            " model, analyse.",
        ),
    },
    adds={
        "functions": {"answer": ".functions:answer"},
        "sections": {"answer": ".section:answer"},
    },
    files={"answer": "answer/*.json"},
)
