"""The cloud of a simulation: `nestling-cloud serve` in a process of its own."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nestling_cloud.mqtt.broker_process import BrokerKind
from nestling_cloud.mqtt.parent_death import dies_with_parent
from nestling_cloud.service.config import Addresses
from nestling_core.parsing.untrusted import UnreadableError, parse_json
from nestling_sim.errors import SimError

_STOP_S = 5.0


class CloudProcessError(SimError):
    """A cloud that did not start, or that ended before it was told to."""


@contextmanager
def cloud_process(
    repository: Path, state: Path, *, broker_kind: BrokerKind = "auto", console: bool = False
) -> Iterator[Addresses]:
    """Run a cloud with a broker of its own, on free ports of this machine.

    It ends with the thread that starts it at the latest, even if this process is killed.

    Args:
        repository: folder of the releases.
        state: the cloud's own folder; made if need be.
        broker_kind: which broker it starts.
        console: whether it serves its console.

    Raises:
        CloudProcessError: it ended before it was ready, or before it was told to; the text is
            its own.
    """
    command = [
        *(sys.executable, "-P", "-m", "nestling_cloud.cli", "serve", "--json"),
        *("--repository", str(repository), "--state", str(state)),
        *("--port", "0", "--broker-port", "0", "--broker-kind", broker_kind),
        *(("--console-port", "0") if console else ("--no-console",)),
    ]
    # A session of its own: Ctrl-C reaches the simulation first, which lets its devices say goodbye.
    with (
        tempfile.TemporaryFile("w+") as log,  # a pipe that nobody reads would fill up
        subprocess.Popen(
            dies_with_parent(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield _ready(process, log)
            if process.poll() is not None:
                raise CloudProcessError(f"the cloud ended in mid-run: {_words(log)}")
        finally:
            _stop(process)


def _ready(process: subprocess.Popen[str], log: IO[str]) -> Addresses:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait()
        raise CloudProcessError(f"the cloud did not start: {_words(log)}")
    try:
        event = parse_json(line)
    except UnreadableError as err:
        raise CloudProcessError(f"the cloud began with something else: {line[:200]!r}") from err
    return Addresses(
        grpc=event["grpc"],
        broker=event["broker"],
        console=event.get("console"),
        console_password=event.get("console_password"),
    )


def _words(log: IO[str]) -> str:
    log.seek(0)
    return log.read().strip() or "it wrote nothing"


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
