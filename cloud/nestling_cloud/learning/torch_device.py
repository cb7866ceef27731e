"""Decides where networks are trained: on a graphics processor if torch finds one.

The device is chosen here; training moves its batches to it. Random numbers are always drawn on the
processor, so that the order of the examples and the augmentation do not depend on the device. What
training leaves behind is on the processor.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

CPU = torch.device("cpu")
# Without this size, cuBLAS may add in any order (CUDA's documentation on reproducibility).
_WORKSPACE = ":4096:8"


def training_device() -> torch.device:
    """Return the device on which networks are trained."""
    return torch.device("cuda") if torch.cuda.is_available() else CPU


def use_cpu() -> None:
    """Hide graphics processors from this process and its children.

    Call this before torch uses one.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def trained_on() -> str:
    """Return "cpu", or the name of the graphics processor with the version of CUDA.

    The same training may give other weights where this text differs.
    """
    if training_device() == CPU:
        return "cpu"
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


def make_deterministic() -> None:
    """Make torch choose algorithms that give the same result each time.

    On a graphics processor, some layers have no such algorithm; torch warns of them and uses
    another.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _WORKSPACE)
    torch.use_deterministic_algorithms(mode=True, warn_only=training_device() != CPU)


@contextmanager
def placed(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Move a network to a device for the `with` block, and back to the processor at its end.

    Args:
        network: the network, whose parameters stay the same objects.
        device: the device, usually `training_device()`.
    """
    network.to(device)
    try:
        yield
    finally:
        network.to(CPU)


def device_of(network: nn.Module) -> torch.device:
    """Return the device of a network's first parameter or buffer; the processor if it has none."""
    for tensor in (*network.parameters(), *network.buffers()):
        return tensor.device
    return CPU
