"""Starts a device on an empty state folder and ends it during its first download, many times.

The cloud is a real process over a hand-made release. The signal comes at a random moment after the
device has locked its state folder: while it dials, asks, downloads, tests the bundle or answers.

    python -P benchmarks/stopping.py --repository DIR --starts 500 --at-once 3
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nestling_cloud.temporary import temporary_folder

# What a start may take until the folder is locked, and an end until the process is gone.
_PATIENCE_S = 60.0
_POLL_S = 0.002
# Imports are over by then; the first answers come within this time on an idle machine.
_WINDOW_S = 0.4


@dataclass(frozen=True, kw_only=True)
class End:
    """How one device ended.

    Attributes:
        status: exit status; None if it had to be killed.
        took_s: from the signal to the end.
        installed: whether the bundle was in use by then.
        stderr: what it wrote.
    """

    status: int | None
    took_s: float
    installed: bool
    stderr: str


def start_and_end(cloud: str, broker: str, state: Path, *, delay_s: float) -> End:
    """Start one device, and send SIGTERM some time after it has locked its state folder."""
    command = [sys.executable, "-P", "-m", "nestling_device.cli", "run"]
    command += ["--cloud", cloud, "--broker", broker, "--state", str(state), "--interval", "0.01"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        _wait_for(state / "lock", process)
        time.sleep(delay_s)
        process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        status: int | None
        try:
            stderr = process.communicate(timeout=_PATIENCE_S)[1]
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            stderr, status = process.communicate()[1], None
    return End(
        status=status,
        took_s=time.monotonic() - sent,
        installed=" runs " in stderr,
        stderr=stderr,
    )


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"the device did not come as far as {path}")
        time.sleep(_POLL_S)


def many(
    cloud: str, broker: str, folder: Path, *, starts: int, at_once: int, seed: int
) -> Iterator[End]:
    """Start and end devices, each on a state folder of its own that is removed afterwards."""
    rng = random.Random(seed)
    delays = [rng.uniform(0, _WINDOW_S) for _ in range(starts)]

    def one(number: int) -> End:
        state = folder / f"device-{number}"
        try:
            return start_and_end(cloud, broker, state, delay_s=delays[number])
        finally:
            shutil.rmtree(state, ignore_errors=True)

    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(one, range(starts))


@contextmanager
def serving(repository: Path, state: Path) -> Iterator[tuple[str, str]]:
    """Serve a repository; yields the addresses of gRPC and of the broker."""
    command = [sys.executable, "-P", "-m", "nestling_cloud.cli", "serve", "--json", "--no-console"]
    command += ["--repository", str(repository), "--state", str(state)]
    command += ["--port", "0", "--broker-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield ready["grpc"], ready["broker"]
        finally:
            process.terminate()


def main() -> int:
    """Print how the devices ended; 1 if one of them did not end by itself with status 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, required=True, help="folder of a release")
    parser.add_argument("--starts", type=int, default=500, help="default: %(default)s")
    parser.add_argument("--at-once", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    options = parser.parse_args()
    ends = []
    with (
        temporary_folder(".nestling-bench-") as folder,
        serving(options.repository, folder / "cloud") as (cloud, broker),
    ):
        run = many(
            cloud,
            broker,
            folder,
            starts=options.starts,
            at_once=options.at_once,
            seed=options.seed,
        )
        for end in run:
            ends.append(end)
            if len(ends) % 50 == 0:
                print(f"{len(ends)} of {options.starts}", file=sys.stderr, flush=True)
    report(ends)
    return int(any(end.status != 0 for end in ends))


def report(ends: list[End]) -> None:
    """Print what came of every start."""
    took = sorted(end.took_s for end in ends)
    print(f"{len(ends)} starts, {sum(end.installed for end in ends)} of them came to answers")
    for status, count in Counter(end.status for end in ends).most_common():
        print(f"status {status}: {count}")
    print(f"from signal to end: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
    for end in ends:
        if end.status != 0:
            print(f"status {end.status} after {end.took_s:.1f} s: {end.stderr.strip()[-600:]}")


if __name__ == "__main__":
    sys.exit(main())
