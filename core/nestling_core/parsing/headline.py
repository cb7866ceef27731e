"""Shortens the messages of libraries and of users' code to one plain line."""

import re

LONGEST_HEADLINE = 300

# Commands to a terminal: colors and cursor (CSI), titles and links (OSC), and single letters.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def headline(message: str) -> str:
    """Return the first line of a message, without commands to the terminal.

    Where the first line only announces the next one, by ending with a colon, the next one is
    appended. Unprintable characters become spaces, and neighboring spaces become one.

    Args:
        message: the message, for example that of an exception.

    Returns:
        The line, up to 300 characters, with "..." where it was cut; "" for an empty message.
    """
    plain = _ESCAPE.sub("", message)
    lines = [
        " ".join("".join(char if char.isprintable() else " " for char in line).split())
        for line in plain.splitlines()
    ]
    chosen: list[str] = []
    for line in filter(None, lines):
        chosen.append(line)
        if not line.endswith(":"):
            break
    text = " ".join(chosen)
    return text if len(text) <= LONGEST_HEADLINE else f"{text[: LONGEST_HEADLINE - 3]}..."
