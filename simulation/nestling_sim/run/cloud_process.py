"""Runs the cloud of a simulation, which is `nestling-cloud serve`, in a separate process."""

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
from nestling_core.parsing.untrusted_data import UnreadableError, parse_json
from nestling_sim.errors import SimError

_STOP_S = 5.0


class CloudProcessError(SimError):
    """Raised when the cloud of a simulation did not start, or ended during the run."""


@contextmanager
def cloud_process(
    repository: Path, state: Path, *, broker_kind: BrokerKind = "auto", console: bool = False
) -> Iterator[Addresses]:
    """Run a cloud with its own broker, on free ports of this machine, during the block.

    The cloud also ends if this process is killed, or if the thread that started the cloud ends.

    Args:
        repository: the folder of the releases.
        state: the state folder of the cloud, which is created if necessary.
        broker_kind: the kind of broker that the cloud starts.
        console: whether the cloud serves its console.

    Yields:
        The addresses of the cloud.

    Raises:
        CloudProcessError: the cloud ended before it was ready or during the run, or it did not
            print its addresses. If the cloud ended, the text includes what it wrote on standard
            error.
    """
    command = [
        *(sys.executable, "-P", "-m", "nestling_cloud.cli", "serve", "--json"),
        *("--repository", str(repository), "--state", str(state)),
        *("--port", "0", "--broker-port", "0", "--broker-kind", broker_kind),
        *(("--console-port", "0") if console else ("--no-console",)),
    ]
    # In its own session, so that Ctrl-C reaches only the simulation, which first disconnects its
    # devices.
    with (
        tempfile.TemporaryFile("w+") as log,  # a pipe would fill up, because nothing reads it
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
                raise CloudProcessError(f"the cloud ended during the run: {_text(log)}")
        finally:
            _stop(process)


def _ready(process: subprocess.Popen[str], log: IO[str]) -> Addresses:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait()
        raise CloudProcessError(f"the cloud did not start: {_text(log)}")
    try:
        event = parse_json(line)
    except UnreadableError as err:
        raise CloudProcessError(
            f"the cloud printed {line[:200]!r} instead of its addresses"
        ) from err
    return Addresses(
        grpc=event["grpc"],
        broker=event["broker"],
        console=event.get("console"),
        console_password=event.get("console_password"),
    )


def _text(log: IO[str]) -> str:
    log.seek(0)
    return log.read().strip() or "it wrote nothing"


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
