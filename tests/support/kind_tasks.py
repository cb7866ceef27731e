"""Small tasks of every kind, on noisy tones, that train in a few seconds each."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Value
from nestling_cloud.tasks import Distillation, Examples, Recipe, Signature, Splits, Task
from nestling_cloud.tasks import conv_student as student

LENGTH = 32
CHANNELS = ["left", "right"]

Floats = NDArray[np.float64]


def tones(rng: np.random.Generator, pitches: Floats, strengths: Floats) -> NDArray[np.float32]:
    """Make windows (N, 2, LENGTH): a tone of each pitch and strength, (N, 2), with some noise."""
    phases = rng.uniform(0, 2 * np.pi, (*pitches.shape, 1))
    clean = strengths[..., None] * np.sin(phases + pitches[..., None] * np.arange(LENGTH))
    return (clean + rng.normal(scale=0.2, size=clean.shape)).astype(np.float32)


def labeled(count: int, seed: int) -> Examples:
    """Make windows in which each channel has a low tone, a high tone, or neither."""
    rng = np.random.default_rng(seed)
    present = rng.random((count, 2)) < 0.5
    inputs = tones(rng, np.array([[0.3, 0.9]] * count), present * rng.uniform(0.4, 1.5, (count, 2)))
    return Examples(inputs=inputs, labels=present)


def measured(count: int, seed: int) -> Examples:
    """Make windows with the pitch and the strength of their tones as labels."""
    rng = np.random.default_rng(seed)
    pitch, strength = rng.uniform(0.2, 1.0, count), rng.uniform(0.5, 2.0, count)
    both = np.stack([pitch, pitch], 1), np.stack([strength, strength], 1)
    labels = np.stack([1000 * pitch, strength], 1).astype(np.float32)
    return Examples(inputs=tones(rng, *both), labels=labels)


def machine(count: int, seed: int, *, broken: float) -> Examples:
    """Make windows of a machine that hums, of which a part is broken in one of two ways."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < broken).astype(np.int64)
    rattles = labels * rng.integers(0, 2, count)
    pitches = 0.4 + 0.3 * rattles[:, None] * np.ones((1, 2))
    strengths = np.stack([np.ones(count), 1 + 0.8 * (labels - rattles)], 1)
    return Examples(inputs=tones(rng, pitches, strengths), labels=labels)


def _splits(kind: str, seed: int) -> Splits:
    def make(count: int, part: int) -> Examples:
        if kind == "multi-label":
            return labeled(count, 10 * seed + part)
        if kind == "regression":
            return measured(count, 10 * seed + part)
        return machine(count, 10 * seed + part, broken=0.3 if part else 0.0)

    return Splits(
        train=make(768, 0), calibration=make(400, 1), test=[make(60, 2), make(60, 3), make(60, 4)]
    )


def _task(kind: str, *, classes: list[str], values: list[Value]) -> Task:
    return Task(
        name=f"tones-{kind}",
        signature=Signature(
            shape=[2, LENGTH],
            channels=CHANNELS,
            units=["V", "V"],
            classes=classes,
            kind=kind,
            values=values,
        ),
        load=lambda _data_dir, seed: _splits(kind, seed),
        student=student(channels=(8, 12), strides=(2, 2), fractions=(0.5, 1.0)),
        teacher_recipe=Recipe(epochs=10, batch=64, threads=1),
        student_recipe=Recipe(epochs=12, batch=64, learning_rate=6e-3, threads=1),
        distillation=Distillation(views=2),
    )


MULTI_LABEL = _task("multi-label", classes=["hum", "whistle"], values=[])
REGRESSION = _task(
    "regression",
    classes=[],
    values=[
        Value(name="pitch", unit="Hz", tolerance=60),
        Value(name="strength", unit="V", tolerance=0.2),
    ],
)
ANOMALY = _task("anomaly", classes=["normal", "broken"], values=[])
