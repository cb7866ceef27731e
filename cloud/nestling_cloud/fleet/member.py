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
        status: "enrolled" if the device has a valid certificate; otherwise "invited" if it has a
            valid token, "expired" if its certificate or token has expired, or "removed" if all of
            its certificates were revoked.
        until: the time at which the certificate or token expires or expired; for a removed device,
            the time at which the last certificate was revoked.
    """

    name: str
    status: MemberStatus
    until: datetime


def member(
    name: str, invited: int | None, good: int | None, revoked: int | None, *, now: int
) -> Member:
    """Return a device on the roster with its status. All times are Unix seconds.

    Args:
        name: the device's name.
        invited: the time at which the device's unused token expires; None if there is none.
        good: the latest expiry time of the certificates that are not revoked; None if there are
            none.
        revoked: the latest time at which a certificate was revoked; None if that never happened.
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
