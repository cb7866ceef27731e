"""Defines an example of a task whose teacher is an ONNX file.

Write the file, then run the example:

    python docs/examples/export_digits.py
    nestling-sim run --task docs/examples/digits_onnx.py:TASK
"""

from pathlib import Path

from digits import load  # digits.py beside this file

from nestling_cloud.tasks import OnnxTeacher, Recipe, Signature, Task, conv_student

TASK = Task(
    name="digits-onnx",
    signature=Signature(
        shape=[1, 8, 8], channels=["ink"], units=["sixteenths"], classes=list("0123456789")
    ),
    load=load,
    teacher=OnnxTeacher(Path(__file__).with_name("digits.onnx"), std=16),
    student=conv_student(channels=(16, 32), strides=(1, 2)),
    student_recipe=Recipe(epochs=30, batch=64),
)
