"""A cloud and a device as two processes: `nestling-cloud serve` and `nestling-device run`."""

import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from nestling import topics
from nestling.v1 import bundle_pb2
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.metrics.queries import MetricQueries
from nestling_cloud.mqtt.client import BrokerAddress
from nestling_cloud.store.store import Store, store_url
from nestling_core.network.address import Address
from nestling_device.storage.state import State
from nestling_device.telemetry.outbox import Outbox
from tests.support import cloud_process
from tests.support.cloud_process import Cloud, StartCloud
from tests.support.device_process import DeviceProcess
from tests.support.hand_bundle import EASY, hand_repository
from tests.support.processes import until
from tests.support.stored import count_redelivered, losses
from tests.support.subscriber import subscribed

ALL_TO_THE_CLOUD = ("--offload-share", "1")
QUICK = ("--interval", "0.01")

StartDevice = Callable[..., DeviceProcess]


@pytest.fixture
def repository(request: pytest.FixtureRequest, tiny_teacher: bytes, tmp_path: Path) -> Path:
    """Make a release that tests may damage: by hand, or as a copy of the trained one."""
    folder = tmp_path / "repository"
    if getattr(request, "param", "hand") == "trained":
        shutil.copytree(request.getfixturevalue("trained").repository, folder)
    else:
        hand_repository(folder, tiny_teacher)
    return folder


@pytest.fixture
def start_cloud(repository: Path, tmp_path: Path) -> Iterator[StartCloud]:
    """Return a function that starts clouds over that repository."""
    log = tmp_path / "cloud.log"
    with ExitStack() as stack, log.open("a") as stderr:

        def start(*arguments: str, store: Path = tmp_path / "receipts.sqlite") -> Cloud:
            command = cloud_process.command(repository, store, "--json", *arguments)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return cloud_process.start(process, store, log)

        yield start
    sys.stderr.write(log.read_text())  # shown if the test failed


@pytest.fixture
def cloud(start_cloud: StartCloud) -> Cloud:
    return start_cloud()


@pytest.fixture
def start_device(tmp_path: Path) -> Iterator[StartDevice]:
    """Return a function that starts devices on one state folder; kill them afterwards."""
    with ExitStack() as stack:

        def start(cloud: Cloud, *arguments: str) -> DeviceProcess:
            device = DeviceProcess(
                tmp_path / "device",
                cloud=cloud.grpc,
                broker=str(cloud.broker),
                arguments=(*QUICK, *arguments),
            )
            return stack.enter_context(device)

        yield start


def restart(start_cloud: StartCloud, gone: Cloud, **options: Path) -> Cloud:
    """Start a cloud on the ports of a stopped one."""
    port = Address.parse(gone.grpc).port
    return start_cloud("--port", str(port), "--broker-port", str(gone.broker.port), **options)


def written(tmp_path: Path) -> int:
    """Return the number of receipts written to the device's outbox."""
    with Outbox(tmp_path / "device") as outbox:
        return outbox.marks().last


def acknowledged(tmp_path: Path) -> int:
    """Return the number of receipts that were acknowledged to the device."""
    with Outbox(tmp_path / "device") as outbox:
        return outbox.marks().acknowledged


def active_version(tmp_path: Path) -> str:
    with State(tmp_path / "device") as state:
        active = state.active()
        assert active is not None
        return active.version


def drifting(cloud: Cloud) -> bool:
    """Return whether a device has reported drift to the cloud."""
    with Store(store_url(str(cloud.store))) as store:
        rows, _ = MetricQueries(store).devices()
    return any(row.drifting for row in rows)


def sequences(cloud: Cloud) -> list[int]:
    """Return the stored sequences, numbered consecutively across the device's outboxes."""
    with Store(store_url(str(cloud.store))) as store:
        rows = sorted(store.receipts(), key=lambda row: (row.answered_at_ms, row.sequence))
    found: list[int] = []
    for outbox in dict.fromkeys(row.outbox_id for row in rows):
        before = max(found, default=0)
        found += sorted(before + row.sequence for row in rows if row.outbox_id == outbox)
    return found


def release(repository: Path, change: Callable[[bundle_pb2.Manifest], None] | None = None) -> str:
    """Release the same bundle under the next number, after a change, and return its version."""
    opened = Repository(repository)
    manifest = opened.manifest()
    manifest.release += 1
    if change is not None:
        change(manifest)
    return opened.release(manifest).bundle_version


def test_input_too_large_for_a_finite_answer_is_refused_and_the_device_continues(
    cloud: Cloud, start_device: StartDevice, tmp_path: Path
) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    np.save(folder / "a.npy", np.stack([EASY, np.full_like(EASY, 3e38), EASY]))
    np.save(folder / "b.npy", EASY)

    device = start_device(cloud, "--source", f"folder:{folder}", "--count", "4")

    assert device.end() == 0
    assert [answer["input"] for answer in device.answers] == [0, 2, 3]
    refused = [event for event in device.events if event["event"] == "refused"]
    assert [(event["input"], event["file"], event["window"]) for event in refused] == [
        (1, "a.npy", 1)
    ]
    assert "is too large" in refused[0]["reason"]
    assert {path.name for path in (folder / "rejected").iterdir()} == {"a.npy", "a.npy.txt"}
    assert sequences(cloud) == [1, 2, 3]
    assert "Traceback" not in device.stderr


@pytest.mark.parametrize("repository", ["hand", "trained"], indirect=True)
def test_every_answer_is_printed_and_its_receipt_stored_once(
    cloud: Cloud, start_device: StartDevice
) -> None:
    device = start_device(cloud, "--count", "30", "--offload-share", "0.5")

    assert device.end() == 0

    assert [answer["input"] for answer in device.answers] == list(range(30))
    assert {answer["energy_provenance"] for answer in device.answers} == {"modelled"}
    assert {answer["latency_provenance"] for answer in device.answers} == {"measured"}
    assert {"accepted"} < {answer["reason"] for answer in device.answers}
    with Store(store_url(str(cloud.store))) as store:
        rows = list(store.receipts("device-1"))
        assert (count_redelivered(store), losses(store).rejected) == (0, 0)
    assert [row.sequence for row in rows] == list(range(1, 31))
    assert [(row.route, row.reason, row.bundle_version) for row in rows] == [
        (answer["route"], answer["reason"], answer["bundle"]) for answer in device.answers
    ]


def test_device_gets_its_bundle_over_mqtt_too(cloud: Cloud, start_device: StartDevice) -> None:
    device = start_device(cloud, "--count", "3", "--delivery", "mqtt")

    assert device.end() == 0
    assert len(device.answers) == 3


def test_killed_device_continues_where_it_was_and_loses_nothing(
    cloud: Cloud, start_device: StartDevice, tmp_path: Path
) -> None:
    killed = start_device(cloud)
    killed.take(15)
    killed.end(signal.SIGKILL)

    restarted = start_device(cloud, "--count", "10")

    assert restarted.end() == 0
    assert sequences(cloud) == list(range(1, written(tmp_path) + 1))
    assert written(tmp_path) >= len(killed.answers) + len(restarted.answers)


def test_device_outlives_its_cloud_and_delivers_to_the_next_one(
    cloud: Cloud, start_cloud: StartCloud, start_device: StartDevice, tmp_path: Path
) -> None:
    device = start_device(cloud, *ALL_TO_THE_CLOUD)
    device.take_until("gated")
    cloud.stop(signal.SIGKILL)
    fallback = device.take_until("unreachable")
    assert fallback["route"].startswith("capacity-")
    device.take(10)

    restart(start_cloud, cloud)
    device.take_until("gated")

    assert device.end(signal.SIGTERM) == 0
    assert sequences(cloud) == list(range(1, written(tmp_path) + 1))


def test_cloud_with_a_wiped_store_continues_with_a_running_device(
    cloud: Cloud, start_cloud: StartCloud, start_device: StartDevice, tmp_path: Path
) -> None:
    device = start_device(cloud)
    device.take(10)
    until(lambda: acknowledged(tmp_path) >= 10)
    cloud.stop(signal.SIGKILL)

    other = restart(start_cloud, cloud, store=tmp_path / "new.sqlite")
    device.take(10)

    assert device.end(signal.SIGTERM) == 0
    assert "not stored" not in device.stderr
    with Store(store_url(str(other.store))) as store:
        first = losses(store).forgotten + 1
        assert first > 10  # acknowledged receipts are not sent again
    assert sequences(other) == list(range(first, written(tmp_path) + 1))


def test_device_restored_from_a_copy_delivers_its_new_answers(
    cloud: Cloud, start_device: StartDevice, tmp_path: Path
) -> None:
    assert start_device(cloud, "--count", "3").end() == 0
    shutil.copytree(tmp_path / "device", tmp_path / "copy")
    assert start_device(cloud, "--count", "20").end() == 0
    shutil.rmtree(tmp_path / "device")
    (tmp_path / "copy").rename(tmp_path / "device")

    restored = start_device(cloud, "--count", "4")

    assert restored.end() == 0
    assert "not stored" not in restored.stderr
    with Store(store_url(str(cloud.store))) as store:
        outboxes = [row.outbox_id for row in store.receipts()]
    assert sorted(outboxes.count(name) for name in set(outboxes)) == [3, 4, 20]


def test_cloud_that_hangs_costs_a_deadline_and_no_answer(
    cloud: Cloud, start_device: StartDevice, tmp_path: Path
) -> None:
    device = start_device(cloud, *ALL_TO_THE_CLOUD, "--latency-ms", "500")
    device.take_until("gated")

    cloud.process.send_signal(signal.SIGSTOP)
    try:
        missed = device.take_until("deadline_missed")
        assert missed["route"].startswith("capacity-")
        device.take(5)
    finally:
        cloud.process.send_signal(signal.SIGCONT)
    device.take_until("gated")

    assert device.end(signal.SIGTERM) == 0
    assert sequences(cloud) == list(range(1, written(tmp_path) + 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_device_cleanly(
    cloud: Cloud, start_device: StartDevice, tmp_path: Path, number: signal.Signals
) -> None:
    device = start_device(cloud)
    device.take(3)

    assert device.end(number) == 0
    assert "Traceback" not in device.stderr
    assert len(device.answers) == written(tmp_path) == len(sequences(cloud))


def test_signal_ends_a_device_that_waits_for_its_bundle(
    start_device: StartDevice, cloud: Cloud
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        nowhere = Cloud(
            process=cloud.process,
            grpc=f"127.0.0.1:{port}",
            broker=cloud.broker,
            enrolment="",
            store=cloud.store,
            log=cloud.log,
        )
        device = start_device(nowhere)
        dialled, _ = silent.accept()
        with dialled:
            assert device.end(signal.SIGTERM) == 0
    assert "Traceback" not in device.stderr


def test_restart_installs_a_new_release(
    cloud: Cloud, start_device: StartDevice, repository: Path
) -> None:
    first = start_device(cloud, "--count", "2")
    assert first.end() == 0

    version = release(repository)
    second = start_device(cloud, "--count", "2")

    assert second.end() == 0
    assert {answer["bundle"] for answer in second.answers} == {version}
    assert version not in {answer["bundle"] for answer in first.answers}


@pytest.mark.parametrize("damage", ["corrupted", "truncated", "wrong"])
def test_bundle_that_does_not_match_its_manifest_is_refused_and_the_old_one_stays(
    cloud: Cloud, start_device: StartDevice, repository: Path, tmp_path: Path, damage: str
) -> None:
    assert start_device(cloud, "--count", "1").end() == 0
    old = active_version(tmp_path)

    def swap_weights(manifest: bundle_pb2.Manifest) -> None:
        entry = manifest.capacities[1]
        weights = Repository(repository).read(entry.ring.sha256)
        entry.ring.CopyFrom(Repository(repository).add(weights[::-1]))

    release(repository, swap_weights)
    ring = Repository(repository).manifest().capacities[1].ring
    path = repository / "blobs" / ring.sha256
    if damage == "corrupted":
        path.write_bytes(bytes(ring.size))
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    device = start_device(cloud, "--count", "3")

    assert device.end() == 0
    assert {answer["bundle"] for answer in device.answers} == {old}
    assert active_version(tmp_path) == old
    assert f"continuing with bundle {old}" in device.stderr


def test_damaged_first_bundle_is_refused(
    cloud: Cloud, start_device: StartDevice, repository: Path
) -> None:
    ring = Repository(repository).manifest().capacities[0].ring
    (repository / "blobs" / ring.sha256).write_bytes(bytes(ring.size))

    device = start_device(cloud, "--count", "1")

    assert device.end() == 1
    assert "nestling-device: blob" in device.stderr
    assert "release the bundle again" in device.stderr
    assert "Traceback" not in device.stderr


def test_memory_that_admits_no_capacity_is_an_error_with_the_memory_needed(
    cloud: Cloud, start_device: StartDevice, repository: Path
) -> None:
    device = start_device(cloud, "--memory-kb", "0.5")

    assert device.end() == 1
    needed = Repository(repository).manifest().capacities[0].memory_bytes
    assert f"the smallest needs {needed} bytes; raise the memory budget" in device.stderr


def test_second_device_in_the_same_state_folder_is_refused(
    cloud: Cloud, start_device: StartDevice
) -> None:
    first = start_device(cloud)
    first.take(1)

    second = start_device(cloud, "--count", "1")

    assert second.end() == 1
    assert "another device runs in" in second.stderr
    assert first.end(signal.SIGTERM) == 0


def test_device_without_cloud_or_bundle_ends_with_an_error(
    start_device: StartDevice, cloud: Cloud
) -> None:
    cloud.stop(signal.SIGKILL)

    device = start_device(cloud, "--count", "1")

    assert device.end() == 1
    assert "check that the cloud runs" in device.stderr


def test_damaged_outbox_file_is_an_error_that_names_it(
    cloud: Cloud, start_device: StartDevice, tmp_path: Path
) -> None:
    assert start_device(cloud, "--count", "1").end() == 0
    (tmp_path / "device" / "outbox.db").write_bytes(b"not a database" * 100)

    device = start_device(cloud, "--count", "1")

    assert device.end() == 1
    assert "outbox.db" in device.stderr
    assert "Traceback" not in device.stderr


def test_receipts_stay_on_disk_while_there_is_no_broker(
    cloud: Cloud, start_cloud: StartCloud, start_device: StartDevice, tmp_path: Path
) -> None:
    assert start_device(cloud, "--count", "1").end() == 0
    cloud.stop()
    alone = start_device(cloud, "--count", "3")
    assert alone.end() == 0
    assert "the next run sends them" in alone.stderr

    restart(start_cloud, cloud)
    assert start_device(cloud, "--count", "1").end() == 0

    assert sequences(cloud) == [1, 2, 3, 4, 5]
    with sqlite3.connect(tmp_path / "device" / "outbox.db") as outbox:
        assert outbox.execute("SELECT count(*) FROM receipts").fetchone() == (0,)
    outbox.close()


def test_drift_is_reported_to_the_cloud(start_device: StartDevice, cloud: Cloud) -> None:
    # A third of the inputs is harder than any that the hand-made bundle was calibrated on.
    start_device(cloud)

    until(lambda: drifting(cloud))


def test_nothing_but_the_hosts_state_is_retained(cloud: Cloud, start_device: StartDevice) -> None:
    device = start_device(cloud, "--delivery", "mqtt")
    device.take(5)
    assert device.end(signal.SIGTERM) == 0

    assert retained_topics(cloud.broker) == [topics.HOST_STATE]


def retained_topics(broker: BrokerAddress) -> list[str]:
    """Return the topics of all messages that a broker has retained."""
    with subscribed(broker.host, broker.port, "#") as stranger:
        return [each.topic for each in stranger.rest()]
