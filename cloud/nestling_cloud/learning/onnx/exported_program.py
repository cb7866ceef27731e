"""Converts programs that `torch.export` made to ONNX models."""

import hashlib
import io
from collections.abc import Iterator

import numpy as np
import onnx
import torch
from torch.export import ExportedProgram

from nestling_cloud.learning.onnx.onnx_file import OnnxTeacherError
from nestling_cloud.learning.onnx.torch_export import export_program, export_reason


def load_program(data: bytes) -> ExportedProgram:
    """Return the program in the content of a .pt2 file.

    Raises:
        OnnxTeacherError: the content is not that of such a file, or this version of torch does not
            read it. The text says why, after the name of the teacher.
    """
    try:
        return torch.export.load(io.BytesIO(data))
    except Exception as err:  # torch may raise anything
        raise OnnxTeacherError(
            f"cannot be loaded by torch {torch.__version__}: {export_reason(err)}; write the file "
            "with torch.export.save(program, path)"
        ) from err


def model_of(program: ExportedProgram) -> onnx.ModelProto:
    """Return an exported program as an ONNX model with all weights inside.

    Raises:
        OnnxTeacherError: the program has an operator that ONNX lacks. The text says why, after the
            name of the teacher.
    """
    try:
        return export_program(program)
    except Exception as err:  # the exporter may raise anything
        raise OnnxTeacherError(
            f"cannot be converted to ONNX, which the cloud serves: {export_reason(err)}"
        ) from err


def program_digest(program: ExportedProgram) -> str:
    """Return a SHA-256 of a program's operators, weights and constants, in hexadecimal."""
    digest = hashlib.sha256()
    for piece in _pieces(program):
        digest.update(len(piece).to_bytes(8, "big"))
        digest.update(piece)
    return digest.hexdigest()


def _pieces(program: ExportedProgram) -> Iterator[bytes]:
    yield program.graph_module.code.encode()
    yield f"{program.graph_signature} {program.range_constraints}".encode()
    values = {**program.state_dict, **program.constants}
    for name, value in sorted(values.items()):
        yield name.encode()
        if isinstance(value, torch.Tensor):
            yield f"{value.dtype} {list(value.shape)}".encode()
            yield np.ascontiguousarray(
                value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            ).tobytes()
