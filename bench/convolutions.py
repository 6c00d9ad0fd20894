"""Wrong bf16 convolutions in oneDNN: output and weight gradient against fp32.

    ONEDNN_MAX_CPU_ISA=AVX512_CORE_AMX python -m bench.convolutions

On a processor with AMX it prints `inf` or more than 1 for the wrong shapes, and 0.002
or 0.003, bf16's rounding, for the others; with AVX2 it prints the latter for all. Seen
with torch 2.13.0 (oneDNN 3.12.0) on an Intel Xeon with avx512_bf16 and amx_bf16; fp32
is right.

    shape                                        with     what is wrong
    stride 2 along time, padding, one frame,     AVX-512  weight gradients of kernel
    kernel 3 or more                             and AMX  columns that see only padding
                                                          stay unwritten
    the same, two frames                         AMX      the output, all rows but one
    kernel of one row; 2, 4 or 8 channels;       AMX      the output at every length
    channels x kernel a multiple of 32
    stride 4 without padding, 16 channels,       AMX      the output at some widths
    patches of 4x4                                        (8, 40, 1000)

docs/explanation/reproducibility.md says what training does about it.
"""

from typing import NamedTuple

import torch

from featurestack.commandline.commands import main
from featurestack.commandline.options import Options
from featurestack.commandline.tables import text_table
from featurestack.train.compute import keep_freed_memory, poisoned_memory

BATCH = 4


class Layer(NamedTuple):
    """A convolution and the shape of its input."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    inputs: int
    outputs: int
    height: int
    width: int


LAYERS = {
    "3x3, stride 2, two frames": Layer((3, 3), (1, 2), (1, 1), 256, 512, 4, 2),
    "3x3, stride 2, one frame": Layer((3, 3), (1, 2), (1, 1), 256, 512, 4, 1),
    "1x80, two channels": Layer((1, 80), (1, 4), (0, 40), 2, 64, 1, 8000),
    "4x4 patches, 16 channels": Layer((4, 4), (4, 4), (0, 0), 16, 64, 4, 40),
    "3x3, stride 2, three frames": Layer((3, 3), (1, 2), (1, 1), 256, 512, 4, 3),
}


def step(
    network: torch.nn.Conv2d, x: torch.Tensor, precision: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, and the weight's gradient of its sum, in poisoned memory."""
    network.weight.grad = None
    with poisoned_memory("cpu"):
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            y = network(x)
        y.backward(torch.ones_like(y))
    assert network.weight.grad is not None
    return y.detach().float(), network.weight.grad


def distances(layer: Layer) -> list[float]:
    """The relative distance of bf16 from fp32, of output and gradient."""
    network = torch.nn.Conv2d(
        layer.inputs,
        layer.outputs,
        layer.kernel,
        layer.stride,
        layer.padding,
        bias=False,
    )
    x = torch.randn(BATCH, layer.inputs, layer.height, layer.width)
    exact = step(network, x, torch.float32)
    found = step(network, x, torch.bfloat16)
    return [
        float((mine - right).norm() / right.norm()) for mine, right in zip(found, exact)
    ]


def convolutions(options: Options) -> None:
    """Print how far each layer's output and weight gradient in bf16 lie from fp32."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    keep_freed_memory()  # large tensors too lie in poisoned memory
    rows = [
        (name, *(f"{distance:.3f}" for distance in distances(layer)))
        for name, layer in LAYERS.items()
    ]
    print(text_table(rows, ("layer", "output off by", "weight gradient off by")))


if __name__ == "__main__":
    main([convolutions])
