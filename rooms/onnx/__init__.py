"""`python -m train export`: the networks of a run as one ONNX file."""

from featurestack.commandline.rooms import Loaded, Room

ROOM = Room(extra="onnx")


@ROOM.commands("train export")
def load_commands() -> Loaded:
    from featurestack.rooms.onnx.options import export

    return (export,)


@ROOM.functions("export")
def load_functions() -> Loaded:
    from featurestack.interface import of_command
    from featurestack.rooms.onnx.options import export

    return (of_command(export),)


@ROOM.capabilities("export")
def load_exporting() -> Loaded:
    from featurestack.rooms.onnx import export

    return (export,)


@ROOM.files("onnx")
def load_model() -> Loaded:
    from featurestack.rooms.onnx.model import ExportedModel

    return (ExportedModel,)
