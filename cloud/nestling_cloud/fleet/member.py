"""Defines the members of the roster, and the rules for their status."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

MemberStatus = Literal["invited", "enrolled", "expired", "removed"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A device on the roster.

    Attributes:
        name: the device's name.
        status: "enrolled" with a valid certificate, otherwise "invited" with a valid token. Without
            either, it is "expired" if a certificate or token has expired, and "removed" if all
            certificates were revoked.
        until: the time at which the certificate or token expires or expired; for a removed device,
            the time at which the last certificate was revoked.
    """

    name: str
    status: MemberStatus
    until: datetime


def member(
    name: str, invited: int | None, good: int | None, revoked: int | None, *, now: int
) -> Member:
    """Return a member of the roster with its status, given all times in Unix seconds.

    Args:
        name: the device's name.
        invited: the time at which the device's unused token expires; None if there is none.
        good: the latest time at which a certificate that is not revoked expires; None if there is
            none.
        revoked: the latest time at which a certificate was revoked; None if none was.
        now: the current time.
    """
    status: MemberStatus
    if good is not None and good > now:
        status, until = "enrolled", good
    elif invited is not None and invited > now:
        status, until = "invited", invited
    elif (ended := good or invited) is not None:
        status, until = "expired", ended
    else:
        status, until = "removed", revoked or 0
    return Member(name=name, status=status, until=datetime.fromtimestamp(until, UTC))
