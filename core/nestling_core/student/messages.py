"""Defines the records in the messages between server and clients of a federated round.

A message consists of Flower records. Every message has a config record. Replies also have a metrics
record, unless they report a failure. Weights are in array records, and are named as in
`nestling_core.student.weights`:

- A training message has the weights of the receiver's capacity and all smaller ones. The reply has
  the same weights after the training, without the arrays that scale inputs and outputs.
- An evaluation message has two such sets: those of the baseline, and those of the model to compare
  with it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nestling_core.parsing.untrusted_data import parse_json
from nestling_core.student.blocks import block_fields, block_of
from nestling_core.student.config import StudentConfig
from nestling_core.student.log_mel import LogMel

ARRAYS = "arrays"
BASELINE = "baseline"
CONFIG = "config"
METRICS = "metrics"

# Config, in both directions.
BUNDLE_VERSION = "bundle-version"
DEVICE = "device"
ROUND = "round"
# Config of a reply, in place of everything else: the reason why this client does not take part.
FAILURE = "failure"
# Config, to a client.
CAPACITY = "capacity"
SEED = "seed"
# Metrics of a reply.
EXAMPLES = "examples"
HELD_OUT = "held-out"
ACCURACY_BEFORE = "accuracy-before"
ACCURACY_AFTER = "accuracy-after"
# How often the cloud was right, and on how many held-out examples. Missing if it was not asked.
CLOUD_ASKED = "cloud-asked"
CLOUD_ACCURACY = "cloud-accuracy"

_STUDENT = "student"
_RECIPE = ("epochs", "batch", "learning_rate", "weight_decay")


@dataclass(frozen=True, kw_only=True)
class LocalRecipe:
    """The hyperparameters of a client's training with AdamW.

    In each round, the learning rate decays to 0 along a cosine.

    Attributes:
        epochs: the number of passes over the client's examples in one round.
        batch: the number of examples in one step. A client with fewer examples uses all of its
            examples in every step.
        learning_rate: the learning rate of the first step.
        weight_decay: AdamW's decoupled weight decay.
    """

    epochs: int
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.02


def student_fields(config: StudentConfig) -> dict[str, Any]:
    """Return a student's sizes as fields of a config record.

    The sizes are encoded as JSON, because a config record cannot hold nested lists.
    """
    sizes = {
        "blocks": [block_fields(block) for block in config.blocks],
        "fractions": config.fractions,
        "widths": config.widths,
        "front_end": config.front_end and asdict(config.front_end),
    }
    return {_STUDENT: json.dumps(sizes)}


def student_config(fields: Mapping[str, Any]) -> StudentConfig:
    """Return the student's sizes that `student_fields` encoded.

    Raises:
        KeyError: a size is missing.
        TypeError: a size has the wrong type.
        ValueError: the text is not JSON, or the sizes do not form a nest.
    """
    sizes = parse_json(fields[_STUDENT])
    front_end = sizes["front_end"]
    return StudentConfig(
        blocks=tuple(block_of(block) for block in sizes["blocks"]),
        fractions=tuple(sizes["fractions"]),
        widths=tuple(tuple(row) for row in sizes["widths"]),
        front_end=front_end and LogMel(**front_end),
    )


def recipe_fields(recipe: LocalRecipe) -> dict[str, Any]:
    """Return a recipe as fields of a config record."""
    return {name.replace("_", "-"): getattr(recipe, name) for name in _RECIPE}


def local_recipe(fields: Mapping[str, Any]) -> LocalRecipe:
    """Return the recipe that `recipe_fields` encoded.

    Raises:
        KeyError: a field is missing.
    """
    return LocalRecipe(**{name: fields[name.replace("_", "-")] for name in _RECIPE})
