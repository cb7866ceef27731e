"""Chooses the networks of a new task file, and how long they learn."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nestling_cloud.datasets.facts import Media
from nestling_cloud.datasets.label_kinds import Kind

_FEWEST_STEPS, _BATCH, _FEWEST_EPOCHS, _MOST_EPOCHS = 800, 128, 12, 60
_LAST_SIDE = 8  # pixels of the last layer's pictures


def default_models(
    media: Media, shape: Sequence[int], inputs: int, kind: Kind
) -> Mapping[str, Mapping[str, Any]]:
    """Return the tables of a task file that say what learns, and how.

    Args:
        media: what the inputs are.
        shape: the shape of an input, (channels, axes...).
        inputs: the number of training inputs. The fewer there are, the more epochs.
        kind: the kind of the task.

    Returns:
        The keys and values of each table by its name.
    """
    epochs = min(max(math.ceil(_FEWEST_STEPS * _BATCH / inputs), _FEWEST_EPOCHS), _MOST_EPOCHS)
    tables = dict(_MODELS[media](shape, epochs))
    if kind == "anomaly":  # its teacher learns what is normal, and no classes
        tables["teacher"] = {"family": "anomaly", "width": 32}
    if media == "array" and kind in {"anomaly", "regression"}:  # the speed may be what counts
        del tables["augment"]
    return tables


def _picture_models(shape: Sequence[int], epochs: int) -> Mapping[str, Mapping[str, Any]]:
    halvings = max(1, round(math.log2(max(min(shape[1:]) / _LAST_SIDE, 2))))
    strides = [2 if layer < halvings else 1 for layer in range(max(4, halvings + 1))]
    last = [40, 80, 112, *[144] * (len(strides) - 3)]
    return {
        "teacher": {"family": "picture", "width": 32},
        "teacher.training": {
            "epochs": epochs,
            "learning_rate": 4e-3,
            "weight_decay": 0.05,
            "half": True,
        },
        "student": {"family": "conv", "strides": strides, "widths": _nest(last)},
        "student.training": {
            "epochs": epochs,
            "learning_rate": 6e-3,
            "half": True,
            "optimizer": "muon",
        },
        "augment": {"flip": True, "shift": max(1, min(shape[1:]) // 16)},
    }


def _sound_models(shape: Sequence[int], epochs: int) -> Mapping[str, Mapping[str, Any]]:
    training = {
        "epochs": max(epochs // 2, _FEWEST_EPOCHS),  # batches are half as large
        "batch": 64,
        "learning_rate": 6e-3,
        "half": True,
        "optimizer": "muon",
    }
    return {
        "log_mel": {"window_ms": 32.0, "hop_ms": 16.0, "mels": 40, "remove_mean": True},
        "teacher": {"family": "sound", "width": 24},
        "teacher.training": {**training, "weight_decay": 0.05},
        "student": {
            "family": "conv",
            "strides": [1, 1, 2, 1, 2, 1],
            "widths": [
                [16, 16, 16, 20, 20, 24],
                [24, 24, 24, 32, 32, 32],
                [36, 36, 36, 44, 44, 44],
                [48, 48, 48, 56, 56, 56],
            ],
        },
        "student.training": training,
        "augment": {
            "shift": shape[1] // 10,
            "speed": 0.15,
            "tone_db": 6.0,
            "mute": shape[1] // 10,
            "level_db": 12.0,
            "noise_db": 20.0,
        },
    }


def _window_models(shape: Sequence[int], epochs: int) -> Mapping[str, Mapping[str, Any]]:
    strides = [2 if shape[1] >= 16 else 1, 2 if shape[1] >= 32 else 1, 1]
    return {
        "teacher": {"family": "conv", "width": 32},
        "teacher.training": {"epochs": epochs, "threads": 1},
        "student": {
            "family": "conv",
            "kernel": 5,
            "strides": strides,
            "widths": _nest([32, 64, 64]),
        },
        "student.training": {"epochs": epochs, "threads": 1},
        "augment": {"stretch": 0.1},
    }


_MODELS: dict[Media, Callable[[Sequence[int], int], Mapping[str, Mapping[str, Any]]]] = {
    "picture": _picture_models,
    "sound": _sound_models,
    "array": _window_models,
}


def _nest(largest: Sequence[int]) -> list[list[int]]:
    """Return the widths of four capacities, smallest first, in multiples of 4."""
    shares = (0.25, 0.5, 0.75, 1.0)
    return [[max(4, round(share * width / 4) * 4) for width in largest] for share in shares]
