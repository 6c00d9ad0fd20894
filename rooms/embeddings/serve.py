"""The inside of a network's process: open one file, answer inputs until the parent is
gone.

    python -m featurestack.rooms.embeddings.serve PIPE FILE OUTPUT SECONDS MEMORY

PIPE is a descriptor. The first message is the input's axes as JSON. Each input, an
array in numpy's format, then has one answer: DONE and an array, or REFUSED and the
reason. A call that takes longer than SECONDS ends the process by SIGALRM, also if its
parent was killed. MEMORY is the number of bytes that network and values may take.
"""

import contextlib
import importlib
import io
import json
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from featurestack.rooms.embeddings.networks import LIBRARIES

DONE, REFUSED = b"+", b"-"
MOST_VALUES = 1 << 24  # values of one answer
# convolutions of a single window by these kernels are wrong on some ARM processors
# (onnxruntime 1.27); versions without the setting ignore it
KLEIDIAI = "mlas.disable_kleidiai"

Array = NDArray[np.float32]
# an input's answer, and the axes of inputs: None if a length may vary
Opened = tuple[Callable[[Array], object], list[int | None]]


def serve(pipe: Connection, path: Path, output: str, seconds: float) -> None:
    """Open the file, then answer inputs until the parent closes its end."""
    try:
        with ended_after(seconds):
            run, axes = OPENERS[path.suffix](path, output)
    except Exception as error:  # the libraries' errors have no common base class
        pipe.send_bytes(REFUSED + _one_line(error))
        return
    pipe.send_bytes(DONE + json.dumps(axes).encode())
    while True:
        x = np.load(io.BytesIO(pipe.recv_bytes()), allow_pickle=False)
        try:
            with ended_after(seconds):
                answer = DONE + _packed(run(x))
        except Exception as error:
            answer = REFUSED + _one_line(error)
        pipe.send_bytes(answer)


def limit_memory(more: int) -> None:
    """Bound this process's memory; macOS has no such bound."""
    own = psutil.Process().memory_info().vms
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (own + more, own + more))


@contextlib.contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """End this process if the context takes longer."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def open_onnx(path: Path, output: str) -> Opened:
    """A network in ONNX."""
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
    """A network for TensorFlow Lite; `output` may also be an inner tensor's name or
    number.
    """
    from ai_edge_litert.interpreter import Interpreter

    outputs = Interpreter(str(path), num_threads=1).get_output_details()
    of_outputs = not output or output in [each["name"] for each in outputs]
    interpreter = Interpreter(
        str(path), num_threads=1, experimental_preserve_all_tensors=not of_outputs
    )
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]
    tensor = _tensor(interpreter, output) if output else outputs[0]

    def run(x: Array) -> object:
        if x.shape != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(given["index"], x.shape, strict=True)
            interpreter.allocate_tensors()
        interpreter.reset_all_variables()  # a clip's values depend on no clip before
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        values = interpreter.get_tensor(tensor["index"])
        scale, zero = tensor["quantization"]
        return (
            (values.astype(np.float32) - zero) * np.float32(scale) if scale else values
        )

    lengths = given["shape_signature"].tolist()
    return run, [None if length < 0 else length for length in lengths]


OPENERS = {".onnx": open_onnx, ".tflite": open_tflite}


def _tensor(interpreter: Any, output: str) -> dict[str, Any]:
    for tensor in interpreter.get_tensor_details():
        if output in (tensor["name"], str(tensor["index"])):
            return tensor
    raise ValueError(f"it has no tensor {output}")


def _packed(answer: object) -> bytes:
    """The answer in numpy's format; ValueError if it is no array of numbers with an
    axis.
    """
    values = np.asarray(answer)
    if values.dtype.kind not in "fiub" or not values.ndim or not values.size:
        raise ValueError(
            f"its output is {values.dtype} of shape {values.shape}; expected numbers"
            " with one axis or more"
        )
    if values.size > MOST_VALUES:
        raise ValueError(
            f"its output has {values.size:,} values; at most {MOST_VALUES:,} are taken"
        )
    packed = io.BytesIO()
    np.save(packed, values.astype(np.float32), allow_pickle=False)
    return packed.getvalue()


def _one_line(error: Exception) -> bytes:
    return (" ".join(str(error).split()) or type(error).__name__).encode()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C
    _descriptor, _path, _output, _seconds, _memory = sys.argv[1:]
    importlib.import_module(LIBRARIES[Path(_path).suffix])
    limit_memory(int(_memory))
    with contextlib.suppress(EOFError, ConnectionError):
        serve(Connection(int(_descriptor)), Path(_path), _output, float(_seconds))
