import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import grpc
import pytest

from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_cloud.mqtt.broker_process import BrokerKind
from tests.support import cloud_process
from tests.support.cloud_process import StartCloud
from tests.support.processes import DEADLINE_S, alive, children, until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_cloud_and_broker(start_cloud: StartCloud, number: signal.Signals) -> None:
    cloud = start_cloud()
    (broker,) = children(cloud.process.pid)

    assert cloud.stop(number) == 0

    assert not alive(broker)


def test_kill_9_leaves_no_broker(start_cloud: StartCloud) -> None:
    cloud = start_cloud()
    (broker,) = children(cloud.process.pid)

    cloud.stop(signal.SIGKILL)

    until(lambda: not alive(broker))


def test_cloud_without_its_broker_ends_with_an_error(start_cloud: StartCloud) -> None:
    cloud = start_cloud()
    (broker,) = children(cloud.process.pid)

    os.kill(broker, signal.SIGKILL)

    assert cloud.process.wait(DEADLINE_S) == 1


def test_two_clouds_share_a_broker_but_not_a_port(start_cloud: StartCloud) -> None:
    first = start_cloud()
    second = start_cloud("--broker", str(first.broker))

    assert second.grpc != first.grpc
    assert children(second.process.pid) == []
    assert second.stop() == 0


def test_cloud_runs_on_every_broker(start_cloud: StartCloud, broker_kind: BrokerKind) -> None:
    cloud = start_cloud("--broker-kind", broker_kind)

    with grpc.insecure_channel(cloud.grpc) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(inference_pb2.ServerLiveRequest()).live
    assert cloud.stop() == 0


@pytest.mark.parametrize("option", ["--port", "--broker-port"])
def test_taken_port_exits_with_1_and_advice(released: Path, tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": "0", "--broker-port": "0", option: str(taken.getsockname()[1])}

        ended = _serve(released, tmp_path, *(word for pair in ports.items() for word in pair))

    assert ended.returncode == 1
    assert re.search(r"nestling-cloud: cannot listen on .*choose another", ended.stderr)
    assert "Traceback" not in ended.stderr
    assert "never awaited" not in ended.stderr


def test_second_cloud_does_not_share_the_port_of_the_first(
    start_cloud: StartCloud, released: Path, tmp_path: Path
) -> None:
    first = start_cloud()

    ended = _serve(released, tmp_path, "--port", first.grpc.rpartition(":")[2])

    assert ended.returncode == 1
    assert "choose another" in ended.stderr


def test_missing_broker_exits_with_1_and_how_to_get_one(released: Path, tmp_path: Path) -> None:
    command = cloud_process.command(released, tmp_path / "store.sqlite", "--broker-kind", "iotcore")
    program = (
        "import sys; sys.modules['iotcore'] = None; from nestling_cloud.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    command[2:4] = ["-c", program]  # as if iotcore were not installed

    ended = _run(command)

    assert ended.returncode == 1
    assert "no iotcore on this machine: pip install iotcore" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_missing_teacher_exits_with_1(released: Path, tmp_path: Path) -> None:
    (teacher,) = (released / "models").iterdir()
    teacher.unlink()

    ended = _serve(released, tmp_path)

    assert ended.returncode == 1
    assert "cloud model 'tiny-teacher' is missing" in ended.stderr


def test_store_that_cannot_be_opened_exits_with_1(released: Path, tmp_path: Path) -> None:
    ended = _serve(released, tmp_path, "--store", str(tmp_path / "no" / "folder" / "x.sqlite"))

    assert ended.returncode == 1
    assert "cannot open the receipt store" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_console_output_shows_addresses_and_how_to_start_a_device(
    released: Path, tmp_path: Path
) -> None:
    command = cloud_process.command(released, tmp_path / "store.sqlite")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.terminate()

    assert process.returncode == 0
    device = r"  nestling-device run --cloud 127\.0\.0\.1:\d+ --broker 127\.0\.0\.1:\d+\n"
    assert re.fullmatch(device, lines[3])


def _serve(released: Path, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(cloud_process.command(released, tmp_path / "store.sqlite", *arguments))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
