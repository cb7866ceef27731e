"""Describes a family of students.

The students of a family have the same signature and differ only in the widths of their blocks.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from google.protobuf import json_format

from nestling.v1.bundle_pb2 import Signature
from nestling_core.student.blocks import block_fields, block_of
from nestling_core.student.config import StudentConfig
from nestling_core.student.log_mel import LogMel


@dataclass(frozen=True, kw_only=True)
class Family:
    """A set of networks that differ only in their widths.

    Attributes:
        signature: the input shape and the classes of the networks.
        config: the sizes of the family's widest student. Only its blocks and its front end are
            used.
    """

    signature: Signature
    config: StudentConfig


def family_fields(family: Family) -> dict[str, Any]:
    """Return a family as JSON values."""
    return {
        "signature": json_format.MessageToDict(family.signature),
        "blocks": [block_fields(block) for block in family.config.blocks],
        "front_end": family.config.front_end and asdict(family.config.front_end),
    }


def family_of(fields: Mapping[str, Any]) -> Family:
    """Return the family that `family_fields` converted to these JSON values.

    Raises:
        KeyError: a field is missing.
        TypeError: a field has the wrong type.
        ValueError: the signature or the sizes are invalid.
    """
    try:
        signature = json_format.ParseDict(fields["signature"], Signature())
    except json_format.ParseError as err:
        raise ValueError(str(err)) from err
    blocks = tuple(block_of(block) for block in fields["blocks"])
    front_end = fields["front_end"] and LogMel(**fields["front_end"])
    config = StudentConfig(blocks=blocks, fractions=(1.0,), front_end=front_end)
    return Family(signature=signature, config=config)
