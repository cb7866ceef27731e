"""Opens ONNX models with settings that let several of them share one machine."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray


class SessionError(ValueError):
    """Raised when onnxruntime cannot load a model."""


def open_session(
    model: bytes | Path,
    external: Mapping[str, NDArray[np.int8]] | None = None,
    *,
    threads: int = 1,
) -> onnxruntime.InferenceSession:
    """Return a session that runs a model, by default in one thread.

    Threads do not spin while they wait. On a processor whose fast int8 products may saturate,
    the session uses exact products, which are slower.

    Args:
        model: a serialized ONNX model, or the path of a model file. If the model refers to other
            files in its folder, the path is needed.
        external: a mapping from the name of each external initializer (weights that are stored
            outside the model) to its value. Each array is C-contiguous and has the shape and the
            type that the model declares. The session copies the arrays or keeps them alive.
        threads: the number of threads that a run uses.

    Raises:
        SessionError: the model does not load, or does not match its external initializers.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if saturates(_processor()):  # selects the exact product, which is slower (ADR 28)
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 4  # errors are raised, so they need not be printed too
    if external:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in external.values()]
        options.add_external_initializers(list(external), values)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime raises a dozen classes that share no other base
        raise SessionError(str(err)) from err


def quiet_run() -> onnxruntime.RunOptions:
    """Return run options with which onnxruntime raises errors without also printing them."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = 4
    return options


def runtime_version() -> str:
    """Return the version of onnxruntime, for example "1.32.0"."""
    version: str = onnxruntime.__version__
    return version


def saturates(processor: str) -> bool:
    """Return whether fast products of int8 vectors may saturate on a processor.

    On an x86 processor without VNNI, intermediate sums saturate at 16 bits. The result is also True
    for an unknown processor and for one that is not an x86.

    Args:
        processor: the text of /proc/cpuinfo, or "" for an unknown processor.
    """
    return not {"avx_vnni", "avx512_vnni"} & set(processor.split())


@functools.cache
def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""
