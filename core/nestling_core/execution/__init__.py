"""Running ONNX models: how a session is opened, and how networks are timed.

`session` is the only module that imports onnxruntime.
"""
