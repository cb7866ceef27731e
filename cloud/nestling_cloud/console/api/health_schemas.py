"""Response schemas of the API for health findings."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel

from nestling_cloud.console.data.health import Finding, Severity


class FindingMessage(BaseModel):
    """One problem."""

    severity: Severity
    text: str


class HealthMessage(BaseModel):
    """What is wrong, worst first; an empty list means that no rule found a problem."""

    findings: list[FindingMessage]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        """Make a message from findings."""
        return cls(
            findings=[FindingMessage(severity=one.severity, text=one.text) for one in findings]
        )
