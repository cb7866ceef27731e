"""Train everything that a bundle holds from a task.

`pipeline` runs all steps: teacher, nested student, quantization, ONNX templates, multiplexer. Each
step has its own subpackage; they share the training `loop`. This package imports `tasks`,
`recipes`, `models` and `cloud_model`, and nothing that releases or serves.
"""

__all__ = [
    "adaptation",
    "capacity_search",
    "check_teacher",
    "distillation",
    "loop",
    "macs",
    "nesting",
    "onnx",
    "pipeline",
    "quantization",
    "routing",
    "train_student",
    "train_teacher",
]
