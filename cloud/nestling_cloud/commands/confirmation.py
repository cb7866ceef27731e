"""Asks before something is deleted."""

import argparse
import sys

from nestling_cloud.errors import CloudError


class ConfirmationError(CloudError):
    """Raised when something is not deleted, because nobody confirmed it."""


def add_confirmation(parser: argparse.ArgumentParser) -> None:
    """Add the flags `--yes` and `--dry-run`."""
    add = parser.add_argument
    add("--yes", action="store_true", help="delete without asking")
    add("--dry-run", action="store_true", help="say what would be deleted, and delete nothing")


def confirm(options: argparse.Namespace, question: str) -> None:
    """Ask a person at the terminal whether to delete, unless `--yes` was given.

    Args:
        options: the parsed command line.
        question: what would be deleted.

    Raises:
        ConfirmationError: the answer is not yes, or there is nobody to ask.
    """
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise ConfirmationError(f"{question}; nothing was deleted: add --yes")
    print(f"{question}. This cannot be undone. Delete? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise ConfirmationError("nothing was deleted")
