"""`make export`: the networks of a run as one ONNX file."""

from featurestack.commandline.rooms import Command, Loaded, Room

EXPORT = Command(
    "featurestack.rooms.onnx.export:export_run",
    "featurestack.rooms.onnx.options:ExportOptions",
    "Write the networks as one ONNX file, for programs without torch.",
)
ROOM = Room(extra="onnx", commands={"export": EXPORT})


@ROOM.functions("export")
def load_functions() -> Loaded:
    from featurestack.interface import of_command

    return (of_command("export"),)


@ROOM.files("onnx")
def load_model() -> Loaded:
    from featurestack.rooms.onnx.model import ExportedModel

    return (ExportedModel,)
