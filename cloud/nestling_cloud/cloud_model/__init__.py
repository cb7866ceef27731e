"""Load and check the cloud model: the teacher as an ONNX file that is ready to serve.

The check verifies that it answers an input alone as it does in a batch. Training, releasing and
serving share this package; it imports none of them.
"""

__all__ = ["check", "model", "signature"]
