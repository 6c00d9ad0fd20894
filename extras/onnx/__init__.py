"""`python -m train export`: the networks of a run as one ONNX file, which `fs.Model`
takes.
"""

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"train export": "featurestack.extras.onnx.options:export"},
    capabilities={
        "export": "featurestack.extras.onnx.export",
        "fs.Model of an ONNX file": "featurestack.extras.onnx.model:ExportedModel",
    },
    extra="onnx",
)
