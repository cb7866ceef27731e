"""Reads ONNX files of other tools, and explains why onnxruntime does not load them."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from nestling_cloud.errors import CloudError
from nestling_core.execution.session import SessionError, open_session, runtime_version
from nestling_core.parsing.headline import headline

if TYPE_CHECKING:
    import onnxruntime

# Operators of these domains may be known to onnxruntime; all others are custom.
_KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"}
_RUNTIME_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_LARGEST = 2**31 - 1  # bytes of a serialized model, by protobuf


class OnnxTeacherError(CloudError):
    """Raised when an ONNX file or an exported program cannot be used as a task's teacher."""


def read_model(path: Path) -> onnx.ModelProto:
    """Return the model of an ONNX file with all weights inside.

    Whether onnxruntime can run it is not checked; `open_model` does that.

    Args:
        path: the ONNX file. Weights that it refers to are read from files in its folder.

    Raises:
        OnnxTeacherError: the file or its weights are missing or damaged. The text says why, after
            the name of the teacher.
    """
    return load_weights(_parsed(read_file(path)), path.parent)


def read_file(path: Path) -> bytes:
    """Return the content of a teacher's file.

    Raises:
        OnnxTeacherError: the file cannot be read. The text says why, after the name of the teacher.
    """
    try:
        return path.read_bytes()
    except OSError as err:
        raise OnnxTeacherError(
            f"cannot be read: {err.strerror or err} ({path.absolute()}); a path beside the task "
            "file is Path(__file__).with_name(...)"
        ) from err


@contextlib.contextmanager
def named(where: str) -> Iterator[None]:
    """Put the name of the teacher before the text of an OnnxTeacherError from the `with` block."""
    try:
        yield
    except OnnxTeacherError as err:
        raise OnnxTeacherError(f"{where} {err}") from err


def _parsed(data: bytes) -> onnx.ModelProto:
    if data.startswith(b"version https://git-lfs"):
        raise OnnxTeacherError("is a Git LFS pointer and not the file itself; run git lfs pull")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as err:  # protobuf's errors differ by its implementation
        raise OnnxTeacherError(
            f"is not an ONNX file, or is damaged or incomplete ({len(data)} bytes); copy or export "
            "it again"
        ) from err
    if not model.graph.node:
        raise OnnxTeacherError(
            f"has no graph, so it is not an ONNX file or incomplete ({len(data)} bytes); copy or "
            "export it again"
        )
    return model


def load_weights(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Return a model after reading into it all weights that are in separate files.

    Args:
        model: the model, which is changed.
        folder: the folder of the files.

    Raises:
        OnnxTeacherError: a file is missing, or too short.
    """
    files = sorted(set(_weight_files(model)))
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise OnnxTeacherError(
            f"has its weights in {', '.join(missing)}, which is not in {folder.absolute()}; put "
            "the file beside it, or export with the weights inside (external_data=False)"
        )
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except Exception as err:  # the onnx package raises several classes here
        raise OnnxTeacherError(
            f"has weights in {', '.join(files)} that cannot be read: {headline(str(err))}"
        ) from err
    return model


def serialize(model: onnx.ModelProto) -> bytes:
    """Return a model as bytes.

    Raises:
        OnnxTeacherError: the model is larger than 2 GB.
    """
    if model.ByteSize() > _LARGEST:
        raise OnnxTeacherError(
            f"has {model.ByteSize() / 1e9:.1f} GB with its weights, and more than 2 GB cannot be "
            "served; use a smaller network, or float16 weights"
        )
    return model.SerializeToString(deterministic=True)


def open_model(model: onnx.ModelProto, threads: int = 1) -> "onnxruntime.InferenceSession":
    """Return a session of onnxruntime with a model.

    Args:
        model: the model, with its weights inside.
        threads: the number of threads of a run.

    Raises:
        OnnxTeacherError: the model is larger than 2 GB, or onnxruntime does not load it. The text
            says why.
    """
    data = serialize(model)
    try:
        return open_session(data, threads=threads)
    except SessionError as err:
        raise OnnxTeacherError(_why(model, str(err))) from err


def runtime_reason(error: str) -> str:
    """Return the reason in the text of an error of onnxruntime, in one line."""
    return headline(_RUNTIME_PREFIX.sub("", error.strip()))


def _why(model: onnx.ModelProto, error: str) -> str:
    """Return why onnxruntime does not load a model, and what to do."""
    runtime = f"onnxruntime {runtime_version()}"
    custom = sorted(set(_custom_operators(model)))
    if custom:
        return (
            f"has operators that {runtime} does not know: {', '.join(custom)}; export it with "
            "standard operators only"
        )
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    if "onnx opset versions" in error or "max supported IR version" in error:
        return (
            f"is too new for {runtime} (opset {opset}, IR version {model.ir_version}); export it "
            "with opset_version=18, or install a newer onnxruntime"
        )
    reason = runtime_reason(error)
    if "NOT_IMPLEMENTED" in error:
        return (
            f"cannot run in {runtime} (opset {opset}): {reason}; export it in float32, and with a "
            "newer opset"
        )
    return f"cannot be loaded by {runtime} (opset {opset}): {reason}; export it again"


def _custom_operators(model: onnx.ModelProto) -> Iterator[str]:
    inside = {(function.domain, function.name) for function in model.functions}
    for node in model.graph.node:
        if node.domain not in _KNOWN_DOMAINS and (node.domain, node.op_type) not in inside:
            yield f"{node.domain}.{node.op_type}"


def _weight_files(model: onnx.ModelProto) -> Iterator[str]:
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            for entry in tensor.external_data:
                if entry.key == "location":
                    yield entry.value
