"""`embedding@model=NAME`: a pretrained network's vector for a clip.

networks.py finds the network and its card. onnxruntime or ai_edge_litert (the extra
embeddings) run it in the processes that compute the other features. Input is (windows,
samples), (windows, 1, samples) or (samples,), behind a front end (windows, frames,
bands), perhaps with another axis of 1; output (windows, D) or (windows, frames, D), for
an input of one axis (D,) or (frames, D).

The fingerprint covers network, front end and card: if a file changes, the feature is
computed anew, and a run that was trained on the former values refuses the new ones.
"""

import functools
import json
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurestack.base.decoder_messages import no_output_of_c
from featurestack.base.errors import RequestError, one_line
from featurestack.base.files import hash_of
from featurestack.embeddings import networks
from featurestack.pipeline import audio
from featurestack.pipeline.clip_spectra import Clip
from featurestack.pipeline.features import FEATURES, FeatureDefinition
from featurestack.pipeline.parameters import Impossible

Array = NDArray[np.float32]
SPECTROGRAM = [1, 96, networks.BANDS, 1]
MOST_WINDOWS = 16  # windows in one call: their activations share the cache
# Windows from which on the deviation between their means counts. Two windows of a
# spoken command overlap by 97 %: their difference costs 7 points.
FEWEST_WINDOWS = 4
STATISTICS = 4  # of a channel of a layer


# an input's outputs, and the axes of inputs: None if a length may vary
Opened = tuple[Callable[[Array], list[Array]], list[int | None]]


class NetworkFile:
    """An open network; threads may share it.

    path    an .onnx or .tflite file
    outputs names of outputs, in a .tflite also of inner tensors or their numbers; ""
            is the first output, POINTWISE every pointwise convolution's, in order
    start   an inner tensor of a .tflite that is the input, if it takes a spectrogram
    axes    lengths of the input's axes, None where a length may vary

    RequestError if its library is missing, or opens no network from the file.
    """

    def __init__(
        self, path: Path, outputs: Sequence[str] = ("",), start: str = ""
    ) -> None:
        networks.require_library(path)
        self.path = path
        self.lock = threading.Lock()
        try:
            opener = open_onnx if path.suffix == ".onnx" else open_tflite
            self.answer, self.axes = opener(path, outputs, start)
        except Exception as error:  # the libraries' errors have no common base class
            raise RequestError(
                f"{path} is not a network that {networks.LIBRARIES[path.suffix]} opens:"
                f" {one_line(error)}"
            ) from error

    def run(self, x: Array) -> list[Array]:
        """(n, channels) of each output for one input; Impossible if that is refused."""
        try:
            with self.lock:
                outputs = self.answer(np.ascontiguousarray(x))
            return [np.asarray(y, np.float32).reshape(-1, y.shape[-1]) for y in outputs]
        except Exception as error:  # as above
            raise Impossible(
                f"{self.path} refuses an input of {x.shape}: {one_line(error)}"
            ) from error


def open_onnx(path: Path, outputs: Sequence[str], _: str) -> Opened:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    # convolutions of a single window by these kernels are wrong on some ARM processors
    # (onnxruntime 1.27); versions without the setting ignore it
    settings.add_session_config_entry("mlas.disable_kleidiai", "1")
    # from bytes: it reads no other file, which the fingerprint would not cover
    session = onnxruntime.InferenceSession(
        path.read_bytes(), settings, providers=["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_outputs()]
    read = [output or names[0] for output in outputs]
    if other := {*read} - {*names}:
        raise ValueError(
            f"its outputs are {', '.join(names)}, not {', '.join(other)}: an inner"
            " tensor must be an output of the graph"
        )
    entry = session.get_inputs()[0]

    def run(x: Array) -> list[Array]:
        outputs: list[Array] = session.run(read, {entry.name: x})
        return outputs

    return run, [length if isinstance(length, int) else None for length in entry.shape]


def open_tflite(path: Path, outputs: Sequence[str], start: str) -> Opened:
    """A network for TensorFlow Lite; outputs may be inner tensors or their numbers."""
    from ai_edge_litert.interpreter import Interpreter

    with no_output_of_c(), warnings.catch_warnings(action="ignore"):
        interpreter = Interpreter(str(path), num_threads=1)
        last = interpreter.get_output_details()
        tensors = []
        for output in outputs:
            if output == networks.POINTWISE:
                tensors += pointwise(interpreter)
            elif output == networks.LAST_POINTWISE:
                tensors.append(pointwise(interpreter)[-1])
            elif tensor := tensor_of(interpreter, output) if output else last[0]:
                tensors.append(tensor)
            else:
                raise ValueError(f"it has no tensor {output}")
        kept = {each["index"] for each in tensors}
        entered = spectrogram_tensor(interpreter, start)
        if entered is not None or not kept <= {each["index"] for each in last}:
            content = cut(path.read_bytes(), entered, sorted(kept))
            interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]

    def run(x: Array) -> list[Array]:
        if x.shape != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(entry["index"], x.shape, strict=True)
            interpreter.allocate_tensors()
        interpreter.reset_all_variables()  # a clip's values depend on no clip before
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        outputs = []
        for tensor in tensors:
            values = interpreter.get_tensor(tensor["index"])
            scale, zero = map(np.float32, tensor["quantization"])
            outputs.append((values - zero) * scale if scale else values)  # 0: floats
        return outputs

    lengths = entry["shape_signature"].tolist()
    return run, [None if length < 0 else length for length in lengths]


def cut(network: bytes, start: int | None, outputs: Sequence[int]) -> bytes:
    """The network with these inner tensors as its outputs, and with `start`, if given,
    as its input: it computes nothing that they do not need, and its library keeps
    nothing else.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(network, 0)
    graph = model.subgraphs[0]
    graph.outputs = outputs
    if start is not None:
        made = [start in step.outputs for step in graph.operators]
        graph.operators = graph.operators[made.index(True) + 1 :]
        graph.inputs = [start]
        graph.tensors[start].shapeSignature = [-1, *graph.tensors[start].shape[1:]]
        model.signatureDefs = []
    builder = flatbuffers.Builder(len(network))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def pointwise(interpreter: Any) -> list[dict[str, Any]]:
    """The output of each convolution whose kernel is 1 by 1, on a map."""
    tensors = {each["index"]: each for each in interpreter.get_tensor_details()}
    convolutions = []
    for step in interpreter._get_ops_details():
        if step["op_name"] != "CONV_2D":
            continue
        kernel = tensors[step["inputs"][1]]["shape"]  # (outputs, rows, columns, inputs)
        output = tensors[step["outputs"][0]]
        if kernel[1] == kernel[2] == 1 and np.prod(output["shape"][1:3]) > 1:
            convolutions.append(output)
    if not convolutions:
        raise ValueError("it has no pointwise convolution")
    return convolutions


def spectrogram_tensor(interpreter: Any, start: str) -> int | None:
    """The number of the tensor `start`, None if it takes no spectrogram."""
    steps = interpreter._get_ops_details()
    if start == networks.FIRST_CONVOLUTION:
        read = [each["inputs"][0] for each in steps if each["op_name"] == "CONV_2D"]
        start = str(read[0]) if read else ""
    tensor = tensor_of(interpreter, start)
    made = {number for step in steps for number in step["outputs"]}
    if tensor is None or tensor["index"] not in made:
        return None
    return int(tensor["index"]) if tensor["shape"].tolist() == SPECTROGRAM else None


def tensor_of(interpreter: Any, name: str) -> dict[str, Any] | None:
    for tensor in interpreter.get_tensor_details():
        if name in (tensor["name"], str(tensor["index"])):
            return tensor
    return None


# ---- a network


@dataclass(frozen=True)
class Network:
    """A network that is open, its card, and the network before it, if any. If the card
    has a `spectrogram`, the network takes each window's.
    """

    network: NetworkFile
    card: networks.NetworkCard
    front_end: NetworkFile | None = None

    def embed(self, y: Array) -> Array:
        """(rows, 1) of a clip at the card's rate, cut into windows: the mean of their
        vectors, or of layers STATISTICS of each channel: mean, maximum, deviation, and
        the deviation between the windows' means, 0 for fewer than FEWEST_WINDOWS.
        Impossible if the network refuses the input.
        """
        windows = self.windows(y)
        axes = self.network.axes
        single = len(axes) == windows.ndim - 1 or axes[0] == 1
        step = 1 if single else MOST_WINDOWS
        parts = []
        for start in range(0, len(windows), step):
            x = _with_axes(windows[start : start + step], axes)
            parts.append(self.network.run(x))
        if self.card.layers:
            layers = [np.concatenate(layer) for layer in zip(*parts)]
            moments = []
            for rows in layers:  # sums in float64, without a copy of the rows
                maps = rows.reshape(len(windows), -1, rows.shape[1])
                means = maps.mean(axis=1, dtype=np.float64)
                mean = means.mean(axis=0)
                squares = np.einsum("rc,rc->c", rows, rows, dtype=np.float64)
                variance = np.maximum(squares / len(rows) - mean**2, 0)
                change = means.std(axis=0) * (len(windows) >= FEWEST_WINDOWS)
                moments += [mean, rows.max(axis=0), np.sqrt(variance), change]
            return np.concatenate(moments, dtype=np.float32)[:, None]
        vectors = np.concatenate([output for (output,) in parts])
        return vectors.mean(axis=0)[:, None]

    def windows(self, y: Array) -> Array:
        """(windows, samples), or (windows, frames, bands) behind a front end.

        The last window of samples ends with the clip: half a window of zeros costs 7
        points on spoken commands. A shorter clip has zeros behind it; in front of it,
        behind a front end, where frames after the last whole window are left out.
        """
        card = self.card
        scaled = y * np.float32(card.scale)
        if self.front_end and card.front_end:
            padded = np.pad(scaled, (max(0, card.front_end.samples - len(y)), 0))
            (frames,) = self.front_end.run(padded[None])
            # a tenth has no exact float32, ten has: publishers divide
            divisor = np.float32(1 / card.front_end.scale)
            frames = frames / divisor + np.float32(card.front_end.offset)
            length = card.front_end.window
            hop = card.front_end.hop or length
            if len(frames) < length:
                raise Impossible(
                    f"{len(frames)} frames of {card.front_end.network} fill no window"
                    f" of {length}: samples, of the card's front_end, are too few"
                )
            cut = np.lib.stride_tricks.sliding_window_view(frames, length, axis=0)
            return cut[::hop].transpose(0, 2, 1)
        length = round(card.window * card.sample_rate) or len(y)
        hop = round(card.hop * card.sample_rate) or length
        padded = np.pad(scaled, (0, max(0, length - len(y))))
        last = len(padded) - length
        starts = *range(0, last, hop), last
        windows = np.stack([padded[k : k + length] for k in starts])
        return networks.log_mel(windows) if card.spectrogram else windows


def _with_axes(windows: Array, shape: list[int | None]) -> Array:
    """The windows with as many axes as the network's input: one window, or an
    axis of one channel, the second or, if that is fixed to 1, the last.
    """
    if len(shape) <= windows.ndim:
        return windows[0] if len(shape) < windows.ndim else windows
    return windows[..., None] if shape[-1] == 1 else windows[:, None]


def embedding(clip: Clip, *, model: str = "", layers: str = "") -> np.ndarray:
    """The embedding of a pretrained network: what it has learned from other sounds, as
    one vector.

    Formula: the mean of the network's output over its windows; of inner layers mean,
      maximum and deviation of each channel over map and windows, and the deviation
      between the means of the windows
    Changes with: whatever the network was trained to distinguish
    Ignores: whatever it was trained to ignore, often loudness and the room
    Feature map: one column; its rows have no order
    """
    network = open_network(model, layers)
    # the zeros behind a short clip would be pooled with its sound
    y = np.trim_zeros(clip.y, "b") if clip.y.any() else clip.y
    rate = network.card.sample_rate
    return network.embed(audio.resample(y, clip.sample_rate, rate))


def file_fingerprint(*, model: str, layers: str = "") -> dict[str, str]:
    path, card = networks.find_network(model, fetch=True)
    before = networks.front_end_of(path, card)
    digests = [networks.digest_of(each) for each in (path, before) if each]
    content = json.dumps([asdict(card), *digests], sort_keys=True)
    return {"file": hash_of(content.encode())}


def open_network(model: str, layers: str = "") -> Network:
    """The network of this name, opened once for each process and version.

    layers  what is read instead of the card's output: LAST, POINTWISE, a layer's name
    """
    path, card = networks.find_network(model)
    if layers:
        card = replace(card, layers="" if layers == networks.LAST else layers)
    before = networks.front_end_of(path, card)
    times = tuple(each.stat().st_mtime_ns for each in (path, before) if each)
    return _opened(path.absolute(), before, card, times, os.getpid())


@functools.lru_cache(maxsize=4)
def _opened(
    path: Path,
    before: Path | None,
    card: networks.NetworkCard,
    times: tuple[int, ...],
    process: int,
) -> Network:
    """The network and its front end, as changed at these times, in this process."""
    outputs = card.layers.split() or [card.output]
    network = NetworkFile(path, outputs, card.spectrogram)
    if network.axes[1:] != SPECTROGRAM[1:]:
        card = replace(card, spectrogram="")
    fixed = network.axes[-1]
    if before is None or card.front_end is None:
        if not card.window and fixed:
            card = replace(card, window=fixed / card.sample_rate)
        return Network(network, card)
    return Network(network, card, NetworkFile(before))


def layer_axis(_: int, *, model: str, layers: str = "") -> NDArray[np.float64]:
    """(rows,) the number of each row's layer, from 1."""
    network = open_network(model, layers)
    card = network.card
    silence = np.zeros(round((card.window or 1) * card.sample_rate), np.float32)
    if not card.layers:
        return np.ones(len(network.embed(silence)))
    window = _with_axes(network.windows(silence)[:1], network.network.axes)
    rows = [STATISTICS * values.shape[-1] for values in network.network.run(window)]
    return np.repeat(np.arange(1.0, len(rows) + 1), rows)


FEATURES["embedding"] = FeatureDefinition(
    "embedding",
    embedding,
    units="embedding",
    rows=layer_axis,
    row_unit="layer",
    version=7,
    recorded=file_fingerprint,
    frames=None,
)
