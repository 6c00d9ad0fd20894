"""A network's file, opened by the library of its ending: samples in, vectors out.

    network = NetworkFile(Path("models/yamnet.tflite"))
    vectors = network.run(windows)

The libraries are written in C and run in this process.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestack.commandline.errors import RequestError
from featurestack.pipeline.axes import Impossible
from featurestack.rooms.embeddings.networks import LIBRARIES, require_library

# convolutions of a single window by these kernels are wrong on some ARM processors
# (onnxruntime 1.27); versions without the setting ignore it
KLEIDIAI = "mlas.disable_kleidiai"

Array = NDArray[np.float32]
# an input's answer, and the axes of inputs: None if a length may vary
Opened = tuple[Callable[[Array], object], list[int | None]]


class NetworkFile:
    """An open network; threads may share it.

    path    an .onnx or .tflite file
    output  name of the output, in a .tflite also of an inner tensor or its number; by
            default the first output
    axes    lengths of the input's axes, None where a length may vary

    RequestError if its library is missing, or opens no network from the file.
    """

    def __init__(self, path: Path, output: str = "") -> None:
        require_library(path)
        self.path = path
        self.lock = threading.Lock()
        try:
            self.answer, self.axes = OPENERS[path.suffix](path, output)
        except Exception as error:  # the libraries' errors have no common base class
            raise RequestError(
                f"{path} is no network that {LIBRARIES[path.suffix]} opens:"
                f" {one_line(error)}"
            ) from error

    def run(self, x: Array) -> Array:
        """The answer to one input; Impossible if the network refuses it."""
        try:
            with self.lock:
                values = np.asarray(self.answer(np.ascontiguousarray(x)))
        except Exception as error:
            raise Impossible(
                f"{self.path} refuses an input of {x.shape}: {one_line(error)}"
            ) from error
        if values.dtype.kind not in "fiub" or not values.ndim or not values.size:
            raise Impossible(
                f"the output of {self.path} is {values.dtype} of shape {values.shape};"
                " expected numbers with one axis or more"
            )
        return values.astype(np.float32)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def open_onnx(path: Path, output: str) -> Opened:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    settings.add_session_config_entry(KLEIDIAI, "1")
    session = onnxruntime.InferenceSession(
        path, settings, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_outputs()]
    name = output or names[0]
    if name not in names:
        raise ValueError(f"its outputs are {', '.join(names)}, not {name}")
    given = session.get_inputs()[0]

    def run(x: Array) -> object:
        return session.run([name], {given.name: x})[0]

    return run, [length if isinstance(length, int) else None for length in given.shape]


def open_tflite(path: Path, output: str) -> Opened:
    """A network for TensorFlow Lite; `output` may be an inner tensor or its number."""
    from ai_edge_litert.interpreter import Interpreter

    with silent_library():
        outputs = Interpreter(str(path), num_threads=1).get_output_details()
        inner = output and output not in [each["name"] for each in outputs]
        interpreter = Interpreter(
            str(path), num_threads=1, experimental_preserve_all_tensors=bool(inner)
        )
        interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    tensor = tensor_of(interpreter, output) if output else outputs[0]

    def run(x: Array) -> object:
        if x.shape != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(given["index"], x.shape, strict=True)
            interpreter.allocate_tensors()
        interpreter.reset_all_variables()  # a clip's values depend on no clip before
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        values = interpreter.get_tensor(tensor["index"])
        scale, zero = tensor["quantization"]
        if not scale:
            return values
        return (values.astype(np.float32) - zero) * np.float32(scale)

    lengths = given["shape_signature"].tolist()
    return run, [None if length < 0 else length for length in lengths]


@contextmanager
def silent_library() -> Iterator[None]:
    """Nothing on standard error: the interpreter tells there which kernels it takes."""
    screen = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        os.close(nowhere)


def tensor_of(interpreter: Any, output: str) -> dict[str, Any]:
    for tensor in interpreter.get_tensor_details():
        if output in (tensor["name"], str(tensor["index"])):
            return tensor
    raise ValueError(f"it has no tensor {output}")


OPENERS = {".onnx": open_onnx, ".tflite": open_tflite}
