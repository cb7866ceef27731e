"""The cloud of a simulation: `nestling-cloud serve` in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling_cloud.broker import BrokerKind
from nestling_cloud.leash import leashed
from nestling_cloud.service import Addresses
from nestling_sim.errors import SimError

_STOP_S = 5.0


class CloudProcessError(SimError):
    """A cloud that did not start."""


@contextmanager
def cloud_process(
    repository: Path, store: Path, *, broker_kind: BrokerKind = "auto"
) -> Iterator[Addresses]:
    """Run a cloud with a broker of its own, on free ports of this machine.

    Args:
        repository: folder of the releases.
        store: SQLite file of the receipts.
        broker_kind: which broker it starts.

    Raises:
        CloudProcessError: it ended before it was ready; the text is its own.
    """
    command = [
        *(sys.executable, "-P", "-m", "nestling_cloud.cli", "serve", "--json"),
        *("--repository", str(repository), "--store", str(store)),
        *("--port", "0", "--broker-port", "0", "--broker-kind", broker_kind),
    ]
    # A session of its own: Ctrl-C reaches the simulation first, which lets its devices say goodbye.
    with subprocess.Popen(
        leashed(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield _ready(process)
        finally:
            _stop(process)


def _ready(process: subprocess.Popen[str]) -> Addresses:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise CloudProcessError(f"the cloud did not start: {process.stderr.read().strip()}")
    event = json.loads(line)
    return Addresses(grpc=event["grpc"], broker=event["broker"])


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
