"""Defines the flags that name a span of time."""

import argparse
from datetime import UTC, datetime


def add_span(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the flags `--since` and `--until`.

    Args:
        parser: the parser of the command.
        what: what the span selects, for the help.
    """
    add = parser.add_argument
    form = "such as 2026-11-30 or 2026-11-30T20:00 (UTC unless it names a zone)"
    add("--since", type=moment, metavar="TIME", help=f"only {what} from this time on, {form}")
    add("--until", type=moment, metavar="TIME", help=f"only {what} before this time")


def moment(text: str) -> int:
    """Return the Unix milliseconds of a time in ISO 8601.

    Raises:
        argparse.ArgumentTypeError: the text is not such a time.
    """
    try:
        at = datetime.fromisoformat(text)
        at_ms = round(1000 * (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as err:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 2026-11-30 or 2026-11-30T20:00"
        ) from err
    if at_ms < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is before 1970")
    return at_ms
