"""`python -m train export`: the networks of a run as one ONNX file, which `fs.Model`
takes.
"""

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"train export": "featurestack.rooms.onnx.options:export"},
    capabilities={
        "export": "featurestack.rooms.onnx.export",
        "fs.Model of an ONNX file": "featurestack.rooms.onnx.model:ExportedModel",
    },
    extra="onnx",
)
