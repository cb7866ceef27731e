"""The page on one's own task, held against the code that it explains."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.tasks import (
    DataFiles,
    Examples,
    Recipe,
    Splits,
    StudentConfig,
    Task,
    conv_student,
    separable_student,
    shuffle_student,
)

PAGE = Path(__file__).parents[3] / "docs/bring-your-own.md"


def rows() -> dict[str, list[str]]:
    """First cells of the tables, with the other cells."""
    found = {}
    for line in PAGE.read_text().splitlines():
        if match := re.match(r"\| `(\w+)` \|(.*)\|$", line):
            found[match[1]] = [cell.strip() for cell in match[2].split("|")]
    return found


@pytest.mark.parametrize("explained", [Task, Splits, Recipe, StudentConfig, DataFiles])
def test_every_field_is_explained(explained: type) -> None:
    assert dataclasses.is_dataclass(explained)
    names = {field.name for field in dataclasses.fields(explained)}

    assert names - set(rows()) == set()


def test_every_field_of_the_signature_and_of_examples_is_explained() -> None:
    text = PAGE.read_text()

    assert {field.name for field in Signature.DESCRIPTOR.fields} - set(rows()) == set()
    for field in dataclasses.fields(Examples):
        assert f"{field.name}=..." in text


def test_defaults_are_the_codes() -> None:
    recipe, student = Recipe(epochs=1), conv_student(channels=(4,), strides=(1,))
    families = (conv_student, separable_student, shuffle_student)
    table = rows()

    assert table["batch"][-1] == str(recipe.batch)
    assert table["learning_rate"][-1] == str(recipe.learning_rate)
    assert table["weight_decay"][-1] == str(recipe.weight_decay)
    for family in families:
        default = inspect.signature(family).parameters["kernel"].default
        assert f"`kernel` ({default})" in table[family.__name__][-1]
    assert table["fractions"][-1] == ", ".join(f"{share:g}" for share in student.fractions)
