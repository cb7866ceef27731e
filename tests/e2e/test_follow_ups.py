"""A device whose cloud is gone answers by itself, and revises these answers when it is back."""

import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestling.v1.receipt_pb2 import FOLLOW_UP_DEFERRED, Receipt
from nestling_core.network.address import Address
from nestling_device.telemetry.outbox import Outbox
from nestling_sim.fleet.links import CuttableLink
from tests.support import cloud_process
from tests.support.cloud_process import Cloud
from tests.support.device_process import Answer, DeviceProcess
from tests.support.hand_bundle import HARD, hand_repository
from tests.support.processes import DEADLINE_S, until

# Two of three golden inputs are hard.
DEFERRING = ("--defer", "true", "--offload-share", "0.5", "--target-window", "0")

StartDevice = Callable[..., DeviceProcess]


@pytest.fixture
def cloud(tmp_path: Path, tiny_teacher: bytes) -> Iterator[Cloud]:
    """Start a cloud over the hand-made release."""
    hand_repository(tmp_path / "repository", tiny_teacher)
    log = tmp_path / "cloud.log"
    command = cloud_process.command(tmp_path / "repository", tmp_path / "receipts.sqlite", "--json")
    with log.open("a") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    with process:
        yield cloud_process.start(process, tmp_path / "receipts.sqlite", log)
        process.kill()
    sys.stderr.write(log.read_text())  # shown if the test failed


@pytest.fixture
def link(cloud: Cloud) -> Iterator[CuttableLink]:
    """Put a link between the devices and their cloud."""
    address = Address.parse(cloud.grpc)
    with CuttableLink("device-1", address.host, address.port) as opened:
        yield opened


@pytest.fixture
def silent_broker(cloud: Cloud) -> Iterator[str]:
    """Return the address of a broker that is out of reach, so that outboxes keep everything."""
    with CuttableLink("broker", cloud.broker.host, cloud.broker.port) as opened:
        opened.cut()
        yield str(opened.address)


@pytest.fixture
def start_device(tmp_path: Path, link: CuttableLink, silent_broker: str) -> Iterator[StartDevice]:
    """Return a function that starts devices on one state folder; kill them afterwards."""
    with ExitStack() as stack:

        def start(*arguments: str, routing: Sequence[str] = DEFERRING) -> DeviceProcess:
            device = DeviceProcess(
                tmp_path / "device",
                cloud=str(link.address),
                broker=silent_broker,
                arguments=("--interval", "0.01", *routing, *arguments),
            )
            return stack.enter_context(device)

        yield start


def waiting(tmp_path: Path) -> int:
    """Return the number of inputs that the device still has to ask about."""
    with Outbox(tmp_path / "device") as outbox:
        return outbox.pending_count()


def stored(tmp_path: Path) -> list[Receipt]:
    """Return all receipts that the device has written, and check that there are no gaps."""
    found, after = list[Receipt](), 0
    with Outbox(tmp_path / "device") as outbox:
        last = outbox.marks().last
        while after < last:
            batch, first, after, _ = outbox.batch(last, after=after)
            assert not batch.gaps
            assert first == len(found) + 1
            sequences = [receipt.sequence for receipt in batch.receipts]
            assert sequences == [*range(sequences[0], sequences[0] + len(sequences))]
            found.extend(batch.receipts)
    assert len(found) == last
    return found


def settled_once(receipts: list[Receipt]) -> Counter[int]:
    """Check that each deferred input has one follow-up; return the revised inputs' indices."""
    first = {one.fingerprint: one for one in receipts if not one.HasField("follows")}
    follow_ups = [one for one in receipts if one.HasField("follows")]
    deferred = [one for one in first.values() if one.follow_up == FOLLOW_UP_DEFERRED]
    assert len(first) + len(follow_ups) == len(receipts)
    assert sorted(one.follows for one in follow_ups) == sorted(one.fingerprint for one in deferred)
    for one in follow_ups:
        original = first[one.follows]
        assert receipts.index(original) < receipts.index(one)
        assert (one.input_index, one.device_answer) == (original.input_index, original.answer)
    return Counter(one.input_index for one in follow_ups)


def revisions(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if "revises" in answer]


def read_until(device: DeviceProcess, condition: Callable[[], bool]) -> None:
    """Read answers until a condition holds."""

    def holds() -> bool:
        device.take(1)
        return condition()

    until(holds)


def test_every_deferred_input_is_revised_once_when_the_cloud_is_back(
    link: CuttableLink, start_device: StartDevice, tmp_path: Path
) -> None:
    device = start_device()
    device.take(5)
    link.cut()
    device.take_until("unreachable")
    device.take(40)
    while_gone = len(device.answers)
    assert not revisions(device.answers)
    assert waiting(tmp_path) > 16  # more than are sent together

    link.restore()
    read_until(device, lambda: not waiting(tmp_path))
    device.end(signal.SIGKILL)

    receipts = stored(tmp_path)
    revised = settled_once(receipts)
    printed = revisions(device.answers)
    assert {(one["route"], one["reason"]) for one in printed} == {("cloud", "deferred")}
    # The kill may have come before the newest ones were printed.
    assert Counter(one["input"] for one in printed) <= revised
    early = {one["input"] for one in device.answers[:while_gone]}
    assert {index for index in revised if index in early} <= {one["input"] for one in printed}
    assert all(later["later_ms"] > 0 for later in printed)
    answers = {one["input"]: one["answer"] for one in device.answers if "revises" not in one}
    assert all(one["revises"] == answers[one["input"]] for one in printed)


def test_audited_answers_that_the_cloud_changes_are_revised(
    start_device: StartDevice, tmp_path: Path
) -> None:
    device = start_device(routing=("--offload-share", "0", "--audit-share", "1"))

    read_until(device, lambda: len(revisions(device.answers)) >= 3)
    device.end(signal.SIGKILL)

    audited = {
        one.input_index: one.answer != one.device_answer
        for one in stored(tmp_path)
        if one.HasField("follows")
    }
    printed = {one["input"]: one for one in revisions(device.answers)}
    assert {one["reason"] for one in printed.values()} == {"audited"}
    assert all(audited[index] for index in printed)
    assert all(one["answer"] != one["revises"] for one in printed.values())


def test_status_tells_how_many_inputs_wait_and_doctor_does_not_mind(
    link: CuttableLink, cloud: Cloud, start_device: StartDevice, tmp_path: Path
) -> None:
    device = start_device()
    device.take(1)
    link.cut()
    device.take_until("unreachable")
    device.take(10)
    device.end(signal.SIGKILL)

    def ask(command: str, *arguments: str) -> tuple[int, str]:
        line = [sys.executable, "-P", "-m", "nestling_device.cli", command, *arguments]
        done = subprocess.run(
            [*line, "--state", str(tmp_path / "device")],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    count = waiting(tmp_path)
    assert count > 3
    code, text = ask("status")
    assert (code, f"; {count} inputs to ask the cloud about" in text) == (3, True)
    status = json.loads(ask("status", "--json")[1])
    assert status["outbox"]["inputs_to_ask_about"] == count
    addresses = ("--cloud", cloud.grpc, "--broker", str(cloud.broker))
    checks = json.loads(ask("doctor", "--json", *addresses)[1])["checks"]
    (outbox,) = [one for one in checks if one["check"] == "outbox"]
    assert outbox["level"] == "ok"
    assert waiting(tmp_path) == count


def test_no_kill_makes_a_device_ask_twice_or_forget_to_ask(
    link: CuttableLink, start_device: StartDevice, tmp_path: Path
) -> None:
    rng = np.random.default_rng(11)
    printed: Counter[int] = Counter()
    installed = start_device()
    installed.take(1)
    installed.end(signal.SIGKILL)
    for _ in range(5):
        device = start_device()
        link.cut()
        device.take(int(rng.integers(1, 30)))
        link.restore()
        device.take(int(rng.integers(1, 12)))
        device.end(signal.SIGKILL)
        printed.update(one["input"] for one in revisions(device.answers))
        stored(tmp_path)

    last = start_device()
    read_until(last, lambda: not waiting(tmp_path))
    last.end(signal.SIGKILL)
    printed.update(one["input"] for one in revisions(last.answers))

    revised = settled_once(stored(tmp_path))
    assert revised.total() > 20
    assert printed <= revised


def test_producer_on_a_socket_gets_each_revision_with_its_id(
    link: CuttableLink, start_device: StartDevice, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.sock"
    device = start_device("--source", f"socket:{path}")
    until(path.exists)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as producer:
        producer.settimeout(DEADLINE_S)
        producer.connect(str(path))
        lines = producer.makefile("r")

        def send(name: str = "") -> None:
            data, ident = HARD.astype("<f4").tobytes(), name.encode()
            if name:
                producer.sendall((1 << 31 | len(ident)).to_bytes(4, "little") + ident)
            producer.sendall(len(data).to_bytes(4, "little") + data)

        def receive() -> dict[str, Any]:
            line: dict[str, Any] = json.loads(lines.readline())
            return line

        link.cut()
        names = [f"w-{number}" for number in range(6)]
        first = []
        for name in names:
            send(name)
            first.append(receive())
        link.restore()
        found: list[dict[str, Any]] = []
        while len(revisions(found)) < len(names):
            assert len(found) < 50
            send()  # each input shortens the pause after the failures
            found.append(receive())
            while "revises" in found[-1]:  # they come before the answer to the next input
                found.append(receive())
        lines.close()

    assert [(one["id"], one["route"]) for one in first] == [(name, "capacity-3") for name in names]
    later = revisions(found)
    assert [one["id"] for one in later] == names
    assert [one["revises"] for one in later] == [one["answer"] for one in first]
    assert all("id" not in one for one in found if "revises" not in one)
    device.end(signal.SIGKILL)
    settled_once(stored(tmp_path))
