"""Contains the steps that produce the contents of a bundle (an immutable release).

`pipeline` runs the steps in order. It trains the teacher and the nested student, quantizes the
student, builds the ONNX templates (graphs without weights), and fits the multiplexer. Most steps
have their own subpackage. All steps that train a network share the training `loop`. This package
may import `tasks`, `recipes`, `models` and `cloud_model`, but nothing that releases or serves.
"""

__all__ = [
    "adaptation",
    "capacity_search",
    "check_teacher",
    "distillation",
    "input_tensors",
    "loop",
    "macs",
    "make_teacher",
    "nesting",
    "onnx",
    "pipeline",
    "quantization",
    "routing",
    "torch_device",
    "train_student",
    "train_teacher",
]
