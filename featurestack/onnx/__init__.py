"""`make export`: the networks of a run as one ONNX file."""
