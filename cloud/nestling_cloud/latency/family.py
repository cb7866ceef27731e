"""A student family: what inputs look like and what the network is stacked from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.blocks import block_fields, block_of
from nestling_core.student.config import StudentConfig


@dataclass(frozen=True, kw_only=True)
class Family:
    """What a row of widths makes a network of.

    Attributes:
        signature: shape of an input, and the classes.
        config: the whole student; only its blocks count.
    """

    signature: Signature
    config: StudentConfig


def family_fields(family: Family) -> dict[str, Any]:
    """A family as what JSON can say."""
    return {
        "signature": json_format.MessageToDict(family.signature),
        "blocks": [block_fields(block) for block in family.config.blocks],
    }


def family_of(fields: Mapping[str, Any]) -> Family:
    """Read what `family_fields` wrote.

    Raises:
        KeyError: something is missing.
        TypeError: something else stands where sizes should.
        ValueError: sizes that make no student, or no signature.
    """
    try:
        signature = json_format.ParseDict(fields["signature"], Signature())
    except json_format.ParseError as err:
        raise ValueError(str(err)) from err
    blocks = tuple(block_of(block) for block in fields["blocks"])
    return Family(signature=signature, config=StudentConfig(blocks=blocks, fractions=(1.0,)))
