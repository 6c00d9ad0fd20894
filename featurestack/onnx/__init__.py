"""`make export`: the networks of a run as one ONNX file."""

from featurestack.commandline.rooms import Command, Room

EXPORT = Command(
    ".export:export_run",
    ".options:ExportOptions",
    "Write the networks as one ONNX file, for programs without torch.",
)
ROOM = Room(
    extra="onnx",
    commands={"export": EXPORT},
    adds={
        "functions": {"export": ".functions:export"},
        "files": {"onnx": ".model:ExportedModel"},
    },
)
