"""Lists programs and data that tests need and that no wheel contains.

A test without its program is skipped, or fails if NESTLING_TESTS_SKIP_NOTHING is set. Run as a
program, this module prints the Debian packages with all of them:
`apt-get install $(python3 tests/support/needs.py)`. It imports only the standard library.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Set this where everything is installed, so that no test is skipped unnoticed.
SKIP_NOTHING = "NESTLING_TESTS_SKIP_NOTHING"
# Debian's folders for daemons, which a user's PATH may lack; the same as in
# `nestling_cloud.mqtt.broker_process`.
_SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin")


@dataclass(frozen=True, kw_only=True)
class Need:
    """A program or data set that a test requires.

    Attributes:
        name: name in the reason of a skip.
        packages: Debian packages that contain it.
        program: name of the program; "" for data.
        folder: folder of the data; None for a program.
    """

    name: str
    packages: tuple[str, ...]
    program: str = ""
    folder: Path | None = None

    def find(self) -> Path | None:
        """Return the path of the program or folder, None if it is missing."""
        if self.folder is not None:
            return self.folder if self.folder.is_dir() else None
        search_path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_PATHS])
        found = shutil.which(self.program, path=search_path)
        return None if found is None else Path(found)

    @property
    def reason(self) -> str:
        """The reason of a skip, with the command that installs it."""
        return f"needs {self.name}: apt install {' '.join(self.packages)}"


CHROMIUM = Need(name="Chromium", program="chromedriver", packages=("chromium", "chromium-driver"))
MOSQUITTO = Need(name="Mosquitto", program="mosquitto", packages=("mosquitto", "mosquitto-clients"))
SYSTEMD = Need(name="systemd", program="systemd-analyze", packages=("systemd",))
FASHION_MNIST = Need(
    name="Fashion-MNIST",
    folder=Path("/usr/share/datasets/fashion-mnist"),
    packages=("dataset-fashion-mnist",),
)
ALL = (CHROMIUM, MOSQUITTO, SYSTEMD, FASHION_MNIST)


def packages(needs: Iterable[Need]) -> list[str]:
    """Return the Debian packages that contain all of these, without duplicates."""
    return sorted({package for need in needs for package in need.packages})


if __name__ == "__main__":
    print(" ".join(packages(ALL)))  # noqa: T201  the output of the program
