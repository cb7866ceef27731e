"""From a task to everything that a bundle holds.

`pipeline` is the whole way: teacher, nested student, quantization, ONNX templates, multiplexer.
Each step has a room; the training `loop` is shared. Imports `tasks`, `recipes`, `models` and
`cloud_model`, and nothing that releases or serves.
"""
