"""Saves the addresses at which devices reach the cloud.

The command `serve` writes them, and `device add` reads them.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nestling_cloud.atomic_file import write_whole
from nestling_core.parsing.untrusted_data import parse_json


@dataclass(frozen=True, kw_only=True)
class FleetAddresses:
    """The addresses at which devices reach the cloud's listeners, each as HOST:PORT.

    Attributes:
        cloud: the gRPC address of inference and delivery, which requires client certificates.
        broker: the address of the MQTT broker, which requires client certificates.
        enrolment: the address of the enrolment service, which authenticates devices by a token
            instead of a certificate.
    """

    cloud: str
    broker: str
    enrolment: str

    def write(self, state: Path) -> None:
        """Write the addresses into a cloud's state folder."""
        write_whole(_file(state), json.dumps(dataclasses.asdict(self)).encode())

    @classmethod
    def read(cls, state: Path) -> Self | None:
        """Return the addresses in a cloud's state folder.

        The result is None if the folder has no addresses or their file is damaged.
        """
        try:
            return cls(**parse_json(_file(state).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def _file(state: Path) -> Path:
    return state / "authority" / "addresses.json"
