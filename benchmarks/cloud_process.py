"""Start a real cloud in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def serve(repository: Path, state: Path, *flags: str) -> Iterator[dict[str, Any]]:
    """Run `nestling-cloud serve` on free ports, and end it afterwards.

    Args:
        repository: folder of the release.
        state: state folder of the cloud.
        *flags: further flags.

    Yields:
        The line that it prints when it is ready, with addresses and passwords, and its `pid`.
    """
    command = [
        *(sys.executable, "-P", "-m", "nestling_cloud.cli", "serve", "--json"),
        *("--repository", str(repository), "--state", str(state)),
        *("--port", "0", "--broker-port", "0", *flags),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield {**json.loads(process.stdout.readline()), "pid": process.pid}
        finally:
            process.terminate()
