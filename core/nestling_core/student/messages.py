"""What server and clients of a federated round say to each other, in Flower's records.

Every message has a config record. A train and an evaluate message have an array record too, with
the prefix of the receiver's capacity, by `nestling_core.student.weights`' names. Metrics come back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nestling_core.parsing.untrusted import parse_json
from nestling_core.student.blocks import block_fields, block_of
from nestling_core.student.config import StudentConfig

ARRAYS = "arrays"
BASELINE = "baseline"
CONFIG = "config"
METRICS = "metrics"

# Config, both ways.
BUNDLE_VERSION = "bundle-version"
DEVICE = "device"
ROUND = "round"
# Config, back, instead of everything else: why this client takes no part.
FAILURE = "failure"
# Config, to a client.
CAPACITY = "capacity"
SEED = "seed"
# Metrics, back.
EXAMPLES = "examples"
HELD_OUT = "held-out"
ACCURACY_BEFORE = "accuracy-before"
ACCURACY_AFTER = "accuracy-after"

_STUDENT = "student"
_RECIPE = ("epochs", "batch", "learning_rate", "weight_decay")


@dataclass(frozen=True, kw_only=True)
class LocalRecipe:
    """How a client learns; AdamW, the learning rate falling to zero along a cosine.

    Attributes:
        epochs: passes over the client's examples.
        batch: examples a step.
        learning_rate: of the first step.
        weight_decay: AdamW's decoupled decay.
    """

    epochs: int
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.02


def student_fields(config: StudentConfig) -> dict[str, Any]:
    """A student's sizes, for a config record: JSON, because a record has no lists of lists."""
    sizes = {
        "blocks": [block_fields(block) for block in config.blocks],
        "fractions": config.fractions,
        "widths": config.widths,
    }
    return {_STUDENT: json.dumps(sizes)}


def student_config(fields: Mapping[str, Any]) -> StudentConfig:
    """Read what `student_fields` wrote.

    Raises:
        KeyError: a size is missing.
        TypeError: something else stands where sizes should.
        ValueError: no JSON, or the sizes make no nest.
    """
    sizes = parse_json(fields[_STUDENT])
    return StudentConfig(
        blocks=tuple(block_of(block) for block in sizes["blocks"]),
        fractions=tuple(sizes["fractions"]),
        widths=tuple(tuple(row) for row in sizes["widths"]),
    )


def recipe_fields(recipe: LocalRecipe) -> dict[str, Any]:
    """A recipe, for a config record."""
    return {name.replace("_", "-"): getattr(recipe, name) for name in _RECIPE}


def local_recipe(fields: Mapping[str, Any]) -> LocalRecipe:
    """Read what `recipe_fields` wrote.

    Raises:
        KeyError: something is missing.
    """
    return LocalRecipe(**{name: fields[name.replace("_", "-")] for name in _RECIPE})
