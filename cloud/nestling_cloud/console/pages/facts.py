"""Shows a list of names and values, with one name and its value on each line."""

from nestling_cloud.console.data.units import NOTHING
from nestling_cloud.console.pages.markup import Text, block


class FactList:
    """List of names and values.

    Args:
        names: a mapping from the key of each value to the name to show.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self._values: dict[str, Text] = {}
        with block("dl"):
            for key, name in names.items():
                Text("dt", name)
                value = Text("dd", NOTHING)
                value.props["data-fact"] = key
                self._values[key] = value

    def show(self, key: str, text: str) -> None:
        """Change a value.

        Args:
            key: the key of the value.
            text: the new value.
        """
        self._values[key].show(text)
