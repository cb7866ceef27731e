"""What the API answers with about what is wrong."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel

from nestling_cloud.console.data.health import Finding, Severity


class FindingMessage(BaseModel):
    """One thing that is wrong."""

    severity: Severity
    text: str


class HealthMessage(BaseModel):
    """What is wrong, the worst first; an empty list says that nothing was found."""

    findings: list[FindingMessage]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        """Make it of what was found."""
        return cls(
            findings=[FindingMessage(severity=one.severity, text=one.text) for one in findings]
        )
