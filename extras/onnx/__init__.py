"""`python -m train export`: the networks of a run as one ONNX file."""

from featurestack.commandline.rooms import Room

ROOM = Room(
    commands={"train export": "featurestack.extras.onnx.options:export"},
    capabilities={"export": "featurestack.extras.onnx.export"},
    extra="onnx",
)
