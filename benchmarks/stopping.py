"""Check that devices end cleanly when they are stopped soon after their first start.

Each device starts with an empty state folder. The cloud is a real process that serves a given
release. SIGTERM is sent at a random moment after the device has locked its state folder, when the
device may be connecting, downloading, testing the bundle or answering.

    python -m benchmarks.stopping --repository DIR --starts 500 --at-once 3
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cloud_process import serve
from nestling_cloud.temporary_files import temporary_folder

# Longest time until the state folder is locked, and from the signal until the process has ended.
_TIMEOUT_S = 60.0
_POLL_S = 0.002
# Longest delay of the signal: on an idle machine, the first answers come within this time.
_LONGEST_DELAY_S = 0.4


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The result of stopping one device.

    Attributes:
        status: the exit status of the device, or None if it had to be killed.
        took_s: the time from the signal to the end of the process, seconds.
        installed: whether the device reported, before it ended, that it runs a bundle.
        stderr: the text that the device wrote on standard error.
    """

    status: int | None
    took_s: float
    installed: bool
    stderr: str


def _start_and_stop(cloud: str, broker: str, state: Path, *, delay_s: float) -> Stop:
    """Start one device, stop it again, and return the result.

    Args:
        cloud: the gRPC address of the cloud.
        broker: the address of the broker.
        state: the state folder of the device, which does not exist yet.
        delay_s: the time from the lock of the device's state folder to SIGTERM, seconds.
    """
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
            stderr = process.communicate(timeout=_TIMEOUT_S)[1]
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            stderr, status = process.communicate()[1], None
    return Stop(
        status=status, took_s=time.monotonic() - sent, installed=" runs " in stderr, stderr=stderr
    )


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"the device ended, or ran for too long, before {path} existed")
        time.sleep(_POLL_S)


def start_and_stop_many(
    cloud: str, broker: str, folder: Path, *, starts: int, at_once: int, seed: int
) -> Iterator[Stop]:
    """Start and stop many devices, and yield the result of each.

    Each device has its own state folder, which is removed afterwards.

    Args:
        cloud: the gRPC address of the cloud.
        broker: the address of the broker.
        folder: the parent of the state folders.
        starts: the number of devices.
        at_once: the number of devices that run at the same time.
        seed: the seed of the random delays before the devices are stopped.
    """
    rng = random.Random(seed)
    delays = [rng.uniform(0, _LONGEST_DELAY_S) for _ in range(starts)]

    def run_device(number: int) -> Stop:
        state = folder / f"device-{number}"
        try:
            return _start_and_stop(cloud, broker, state, delay_s=delays[number])
        finally:
            shutil.rmtree(state, ignore_errors=True)

    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(run_device, range(starts))


def main() -> int:
    """Run the benchmark, and return 0 if every device ended with status 0, or 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, required=True, help="folder of the release")
    parser.add_argument("--starts", type=int, default=500, help="default: %(default)s")
    parser.add_argument("--at-once", type=int, default=3, help="devices (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the delays (default: 0)")
    options = parser.parse_args()
    stops = []
    with (
        temporary_folder(".nestling-bench-") as folder,
        serve(options.repository, folder / "cloud", "--no-console") as cloud,
    ):
        for stop in start_and_stop_many(
            cloud["grpc"],
            cloud["broker"],
            folder,
            starts=options.starts,
            at_once=options.at_once,
            seed=options.seed,
        ):
            stops.append(stop)
            if len(stops) % 50 == 0:
                print(f"{len(stops)} of {options.starts}", file=sys.stderr, flush=True)
    _report(stops)
    return int(any(stop.status != 0 for stop in stops))


def _report(stops: Sequence[Stop]) -> None:
    """Print how often each exit status occurred, and how long devices took to end after the signal.

    For each device that failed, the end of its output on standard error is printed too.
    """
    took = sorted(stop.took_s for stop in stops)
    print(f"{len(stops)} starts, {sum(stop.installed for stop in stops)} installed the bundle")
    for status, count in Counter(stop.status for stop in stops).most_common():
        print(f"status {status}: {count}")
    print(f"from signal to end: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
    for stop in stops:
        if stop.status != 0:
            print(f"status {stop.status} after {stop.took_s:.1f} s: {stop.stderr.strip()[-600:]}")


if __name__ == "__main__":
    sys.exit(main())
