"""Starts a real cloud in a separate process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def serve(repository: Path, state: Path, *flags: str) -> Iterator[dict[str, Any]]:
    """Run `nestling-cloud serve` on free ports during the block.

    Args:
        repository: the folder of the repository.
        state: the state folder of the cloud.
        *flags: further flags of the command.

    Yields:
        The JSON object that the cloud prints when it is ready, with its addresses and the console's
        password. The process id of the cloud is added as `pid`.
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
