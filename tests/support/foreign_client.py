"""Uses onnxruntime as a program without Nestling does: on files, with onnxruntime's options."""

from pathlib import Path

import onnxruntime


def open_exported(path: Path) -> onnxruntime.InferenceSession:
    """Open a model written by `nestling-cloud bundle export`, as docs/operate.md describes."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
