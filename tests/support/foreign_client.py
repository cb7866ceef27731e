"""onnxruntime as a stranger to Nestling uses it: on files, by its own options."""

from pathlib import Path

import onnxruntime


def stranger(path: Path) -> onnxruntime.InferenceSession:
    """Open a model that `nestling-cloud bundle export` wrote, as docs/operate.md says."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
