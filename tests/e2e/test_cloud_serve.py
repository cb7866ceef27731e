import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from nestling.inference.v2 import inference_pb2, inference_pb2_grpc
from nestling_cloud.bundles.repository import Repository

_DEADLINE_S = 20.0

StartCloud = Callable[..., Any]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_cloud_and_broker(start_cloud: StartCloud, number: signal.Signals) -> None:
    cloud = start_cloud()
    (broker,) = _children(cloud.process.pid)

    assert cloud.stop(number) == 0

    assert not _alive(broker)


def test_kill_9_leaves_no_broker(start_cloud: StartCloud) -> None:
    cloud = start_cloud()
    (broker,) = _children(cloud.process.pid)

    cloud.stop(signal.SIGKILL)

    _until(lambda: not _alive(broker))


def test_cloud_without_its_broker_ends_with_an_error(start_cloud: StartCloud) -> None:
    cloud = start_cloud()
    (broker,) = _children(cloud.process.pid)

    os.kill(broker, signal.SIGKILL)

    assert cloud.process.wait(_DEADLINE_S) == 1


def test_two_clouds_share_a_broker_but_not_a_port(start_cloud: StartCloud) -> None:
    first = start_cloud()
    second = start_cloud("--broker", f"{first.broker_host}:{first.broker_port}")

    assert second.grpc != first.grpc
    assert _children(second.process.pid) == []
    assert second.stop() == 0


def test_cloud_runs_on_amqtt_too(start_cloud: StartCloud) -> None:
    if not (Path(sys.prefix) / "broker" / "bin" / "amqtt").exists():
        pytest.skip("make setup has not made amqtt's environment")
    cloud = start_cloud("--broker-kind", "amqtt")

    with grpc.insecure_channel(cloud.grpc) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(inference_pb2.ServerLiveRequest()).live
    assert cloud.stop() == 0


@pytest.mark.parametrize("option", ["--port", "--broker-port"])
def test_taken_port_exits_with_1_and_words(released: Path, tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": "0", "--broker-port": "0", option: str(taken.getsockname()[1])}

        ended = _serve(released, tmp_path, *(word for pair in ports.items() for word in pair))

    assert ended.returncode == 1
    assert re.search(r"nestling-cloud: cannot listen on .*choose another", ended.stderr)
    assert "Traceback" not in ended.stderr


def test_no_broker_exits_with_1_and_how_to_get_one(released: Path, tmp_path: Path) -> None:
    if Path("/usr/sbin/mosquitto").exists():
        ended = _serve(released, tmp_path, "--broker-kind", "amqtt", prefix=str(tmp_path))
    else:
        ended = _serve(released, tmp_path, prefix=str(tmp_path))

    assert ended.returncode == 1
    assert "make setup" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_missing_teacher_exits_with_1(released: Path, tmp_path: Path) -> None:
    Repository(released).model_path("tiny-teacher").unlink()

    ended = _serve(released, tmp_path)

    assert ended.returncode == 1
    assert "no cloud model 'tiny-teacher'" in ended.stderr


def test_store_that_cannot_be_opened_exits_with_1(released: Path, tmp_path: Path) -> None:
    ended = _serve(released, tmp_path, "--store", str(tmp_path / "no" / "folder" / "x.sqlite"))

    assert ended.returncode == 1
    assert "cannot open the receipt store" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_people_are_told_where_it_listens_and_how_to_start_a_device(
    released: Path, tmp_path: Path
) -> None:
    command = _command(released, tmp_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.terminate()

    assert process.returncode == 0
    device = r"  nestling-device run --cloud 127\.0\.0\.1:\d+ --broker 127\.0\.0\.1:\d+\n"
    assert re.fullmatch(device, lines[3])


def _command(released: Path, tmp_path: Path, *arguments: str) -> list[str]:
    options = ["--repository", str(released), "--store", str(tmp_path / "store.sqlite")]
    ports = ["--port", "0", "--broker-port", "0"]
    module = [sys.executable, "-P", "-m", "nestling_cloud.cli"]
    return [*module, "serve", *options, *ports, *arguments]


def _serve(
    released: Path, tmp_path: Path, *arguments: str, prefix: str = ""
) -> subprocess.CompletedProcess[str]:
    command = _command(released, tmp_path, *arguments)
    if prefix:  # as if this were another environment, with no broker in it
        program = (
            f"import sys; sys.prefix = {prefix!r}; from nestling_cloud.cli import main; "
            "sys.exit(main(sys.argv[1:]))"
        )
        command[2:4] = ["-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # nobody may be there to reap an orphan


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    poll = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        poll.wait(0.02)
