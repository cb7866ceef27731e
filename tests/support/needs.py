"""Programs and data that tests use and no wheel brings.

A test that needs one is skipped where it is missing, unless NESTLING_TESTS_SKIP_NOTHING is set:
then it fails. Run as a program, this module prints the Debian packages that bring all of them:
`apt-get install $(python3 tests/support/needs.py)`. It imports nothing but the standard library.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Set where everything is installed, so that nothing is left out unnoticed.
SKIP_NOTHING = "NESTLING_TESTS_SKIP_NOTHING"
# Where Debian puts daemons, as `nestling_cloud.mqtt.broker_process` has it; a user's PATH may
# lack it.
_SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin")


@dataclass(frozen=True, kw_only=True)
class Need:
    """Something that a test cannot do without.

    Attributes:
        name: what it is called in a skip's reason.
        packages: Debian packages that bring it.
        program: name of the program, or "" if it is not one.
        folder: folder of the data, if it is not a program.
    """

    name: str
    packages: tuple[str, ...]
    program: str = ""
    folder: Path | None = None

    def find(self) -> Path | None:
        """Path of the program or folder; None if it is missing."""
        if self.folder is not None:
            return self.folder if self.folder.is_dir() else None
        search_path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_PATHS])
        found = shutil.which(self.program, path=search_path)
        return None if found is None else Path(found)

    @property
    def reason(self) -> str:
        """Why a test that needs it is skipped."""
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
    """Debian packages that bring all of these, each once."""
    return sorted({package for need in needs for package in need.packages})


if __name__ == "__main__":
    print(" ".join(packages(ALL)))  # noqa: T201  that is what it is run for
