"""Opens ONNX models so that several of them share a machine in peace."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray


class SessionError(ValueError):
    """A model that onnxruntime cannot load."""


def open_session(
    model: bytes | Path, external: Mapping[str, NDArray[np.int8]] | None = None
) -> onnxruntime.InferenceSession:
    """Open a model on one thread that does not spin while it waits.

    Args:
        model: a serialised ONNX model, or its file where weights lie in another one beside it.
        external: its external initialisers by name, C-contiguous. They must have what the model
            says of them; they are copied or kept alive by the session.

    Raises:
        SessionError: the model does not load, or does not fit its external initialisers.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if saturates(_processor()):  # this takes the exact product (ADR 28), which is slower
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    if external:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in external.values()]
        options.add_external_initializers(list(external), values)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime has a dozen classes here that share no other base
        raise SessionError(str(err)) from err


def quiet_run() -> onnxruntime.RunOptions:
    """Make run options with which onnxruntime raises an error without also printing it."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    return options


def saturates(processor: str) -> bool:
    """Whether x86's quick product of bytes saturates at 16 bits: it does without VNNI.

    Args:
        processor: what Linux says of it in /proc/cpuinfo; empty where nobody knows.
    """
    return not {"avx_vnni", "avx512_vnni"} & set(processor.split())


@functools.cache
def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""
