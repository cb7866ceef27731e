"""The page on learning, held against the code that it explains."""

import dataclasses
import re
from pathlib import Path

import pytest

from nestling_cloud.tasks import Distillation, Grow, Joint, Nesting, Quantization

PAGE = Path(__file__).parents[3] / "docs/learning.md"


def rows(explained: type) -> dict[str, str]:
    """Fields in the table of a class, with the defaults that it tells."""
    _, _, after = PAGE.read_text().partition(f"| field of `{explained.__name__}` |")
    table = after.split("\n\n", 1)[0]
    return dict(re.findall(r"^\| `(\w+)` \|.*\| ?([^|]*?) ?\|$", table, re.MULTILINE))


def told(default: object) -> str:
    """A default as the page writes it."""
    match default:
        case bool():
            return "on" if default else "off"
        case str():
            return f'`"{default}"`'
        case int() | float():
            return f"{default:g}"
        case ():
            return "none"
        case _:
            return ""


@pytest.mark.parametrize("explained", [Distillation, Nesting, Joint, Grow, Quantization])
def test_every_field_is_explained_with_its_default(explained: type) -> None:
    assert dataclasses.is_dataclass(explained)
    fields = dataclasses.fields(explained)
    default = explained()

    expected = {field.name: told(getattr(default, field.name)) for field in fields}

    assert rows(explained) == expected
