"""One suite over every source of inputs; the sensors are played by simulated ones."""

import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.processes import until
from tests.simulated_bus import SimulatedBus

from nestling_device.sources.camera import Camera
from nestling_device.sources.cursor import Cursor
from nestling_device.sources.imu import Imu
from nestling_device.sources.recorded import Replay
from nestling_device.sources.source import Source, SourceError, Windows
from nestling_device.sources.unix_socket import UnixSocket
from nestling_device.sources.watched import WatchedFolder

SHAPE = (2, 3)
PATIENCE_S = 20.0
LINE = '{"answer": "a"}'


def window(number: int) -> Windows:
    return np.full(SHAPE, number, np.float32)


class Fed(Protocol):
    """A source, and what feeds it."""

    source: Source

    @property
    def shape(self) -> tuple[int, ...]: ...

    def feed(self, number: int) -> Windows:
        """Make an input of that number come next, and say what it will be."""
        ...


class SourceContract:
    def test_inputs_come_in_order_and_as_they_are(self, fed: Fed) -> None:
        for number in range(1, 5):
            wanted = fed.feed(number)
            taken = fed.source.take(PATIENCE_S)
            assert taken is not None
            assert taken.dtype == np.float32
            assert taken.shape == fed.shape
            np.testing.assert_allclose(taken, wanted, rtol=1e-5)
            fed.source.settle(LINE)

    def test_live_source_without_an_input_gives_none_in_time(self, fed: Fed) -> None:
        if fed.source.live:
            assert fed.source.take(0.01) is None
        else:
            assert fed.source.take(0.01) is not None

    def test_closing_twice_is_no_error(self, fed: Fed) -> None:
        fed.source.close()
        fed.source.close()


class FedReplay:
    shape = SHAPE

    def __init__(self) -> None:
        self.source: Source = Replay(np.stack([window(number) for number in range(1, 5)]))

    def feed(self, number: int) -> Windows:
        return window(number)


class TestReplay(SourceContract):
    @pytest.fixture
    def fed(self) -> Fed:
        return FedReplay()


class FedFolder:
    shape = SHAPE

    def __init__(self, folder: Path, *, settle_s: float = 0.0, keep_answered: bool = True) -> None:
        self.folder = folder / "inputs"
        self.folder.mkdir(exist_ok=True)
        self.state = folder / "state"
        self.written = 0
        self.source = WatchedFolder(
            self.folder,
            SHAPE,
            cursor=Cursor(self.state),
            written=lambda: self.written,
            settle_s=settle_s,
            keep_answered=keep_answered,
        )

    def feed(self, number: int) -> Windows:
        self.save(f"{number:03d}.npy", window(number))
        return window(number)

    def save(self, name: str, array: NDArray[Any]) -> None:
        np.save(self.folder / name, array)

    def answer(self) -> float:
        """Take one, write its receipt, settle; returns what it was full of."""
        taken = self.source.take(PATIENCE_S)
        assert taken is not None
        self.written += 1
        self.source.settle(LINE)
        return float(taken[0, 0])

    def names(self, kind: str = ".") -> set[str]:
        return {path.name for path in (self.folder / kind).glob("*.npy")}


class TestWatchedFolder(SourceContract):
    @pytest.fixture
    def fed(self, tmp_path: Path) -> Iterator[FedFolder]:
        fed = FedFolder(tmp_path)
        yield fed
        fed.source.close()

    def test_files_are_answered_by_name_and_moved_when_done(self, fed: FedFolder) -> None:
        fed.save("b.npy", window(3))
        fed.save("a.npy", np.stack([window(1), window(2)]))

        assert [fed.answer() for _ in range(3)] == [1, 2, 3]
        assert (fed.names(), fed.names("answered")) == (set(), {"a.npy", "b.npy"})

    def test_answered_files_are_deleted_where_nobody_wants_them(self, tmp_path: Path) -> None:
        fed = FedFolder(tmp_path, keep_answered=False)
        fed.feed(1)
        fed.answer()

        assert (fed.names(), fed.names("answered")) == (set(), set())
        fed.source.close()

    def test_name_that_comes_again_replaces_nothing(self, fed: FedFolder) -> None:
        for number in (1, 2):
            fed.save("a.npy", window(number))
            fed.answer()

        assert fed.names("answered") == {"a.npy", "a-1.npy"}

    @pytest.mark.parametrize("name", [".a.npy", "a.npy.part", "a.txt"])
    def test_other_names_are_left_alone(self, fed: FedFolder, name: str) -> None:
        (fed.folder / name).write_bytes(b"not for us")

        assert fed.source.take(0.01) is None
        assert (fed.folder / name).exists()

    def test_half_written_file_is_waited_for(self, tmp_path: Path) -> None:
        fed = FedFolder(tmp_path, settle_s=PATIENCE_S)
        fed.save("a.npy", window(1))
        whole = (fed.folder / "a.npy").read_bytes()
        for length in (0, 5, 60, len(whole) - 1):
            (fed.folder / "a.npy").write_bytes(whole[:length])
            assert fed.source.take(0.01) is None
        (fed.folder / "a.npy").write_bytes(whole)

        assert fed.answer() == 1
        assert fed.names("rejected") == set()
        fed.source.close()

    def test_file_behind_a_half_written_one_does_not_wait(self, tmp_path: Path) -> None:
        fed = FedFolder(tmp_path, settle_s=PATIENCE_S)
        (fed.folder / "a.npy").write_bytes(b"")
        fed.save("b.npy", window(2))

        assert fed.answer() == 2
        fed.source.close()

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((1, 3, 2), np.float32),
            np.zeros(SHAPE, np.float64),
            np.full(SHAPE, np.nan, np.float32),
            np.zeros((0, *SHAPE), np.float32),
            np.array([{"a": 1}], object),
        ],
        ids=["shape", "type", "nan", "none", "pickle"],
    )
    def test_bad_file_is_moved_aside_with_words_and_the_next_one_answered(
        self, fed: FedFolder, array: NDArray[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        fed.save("a.npy", array)
        fed.save("b.npy", window(2))

        assert fed.answer() == 2
        until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
        assert "a.npy" in caplog.text

    def test_header_that_promises_more_than_memory_holds_is_a_bad_file(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 2, 3), }\n"
        magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        (fed.folder / "a.npy").write_bytes(magic + header)

        until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
        assert "not a readable .npy file" in caplog.text

    def test_file_larger_than_is_held_in_memory_is_moved_aside(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        with (fed.folder / "a.npy").open("wb") as file:
            file.truncate((64 << 20) + 1)

        until(lambda: fed.source.take(0.01) is None and fed.names("rejected") == {"a.npy"})
        assert "cut it up" in caplog.text

    @pytest.mark.parametrize("receipt_written", [True, False])
    def test_restart_after_a_kill_answers_what_has_no_receipt_and_nothing_else(
        self, fed: FedFolder, tmp_path: Path, receipt_written: bool
    ) -> None:
        fed.save("a.npy", np.stack([window(1), window(2), window(3)]))
        assert fed.answer() == 1
        assert fed.source.take(PATIENCE_S) is not None  # and the process dies, answering the 2
        fed.source.close()

        again = FedFolder(tmp_path)
        again.written = 2 if receipt_written else 1
        left = [again.answer() for _ in range(1 if receipt_written else 2)]

        assert left == ([3] if receipt_written else [2, 3])
        assert again.source.take(0.01) is None
        again.source.close()

    def test_kill_between_the_last_answer_and_the_move_answers_nothing_twice(
        self, fed: FedFolder, tmp_path: Path
    ) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.close()

        again = FedFolder(tmp_path)
        again.written = 1

        assert again.source.take(0.01) is None
        assert again.names("answered") == {"001.npy"}
        again.source.close()

    def test_another_file_under_a_begun_name_is_answered_from_its_start(
        self, fed: FedFolder, tmp_path: Path
    ) -> None:
        fed.save("a.npy", np.stack([window(1), window(2)]))
        assert fed.answer() == 1
        fed.source.close()
        fed.save("a.npy", np.stack([window(7), window(8), window(9)]))

        again = FedFolder(tmp_path)
        again.written = 1

        assert [again.answer() for _ in range(3)] == [7, 8, 9]
        again.source.close()

    def test_file_taken_away_while_it_is_answered_is_no_error(
        self, fed: FedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        (fed.folder / "001.npy").unlink()
        fed.source.settle(LINE)

        assert fed.source.take(0.01) is None
        assert "taken away" in caplog.text

    def test_folder_that_goes_away_may_come_back(self, fed: FedFolder) -> None:
        fed.folder.rename(fed.folder.with_name("gone"))
        assert fed.source.take(0.01) is None
        fed.folder.with_name("gone").rename(fed.folder)
        fed.feed(1)

        assert fed.answer() == 1

    def test_folder_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        cursor = Cursor(tmp_path / "state")
        with pytest.raises(SourceError, match="may move files"):
            WatchedFolder(tmp_path / "none", SHAPE, cursor=cursor, written=lambda: 0)
        cursor.close()


class FedSocket:
    shape = SHAPE

    def __init__(self, path: Path, *, patience_s: float = PATIENCE_S) -> None:
        self.path = path
        self.source = UnixSocket(path, SHAPE, patience_s=patience_s)
        self.producer = self.connect()

    def connect(self) -> socket.socket:
        producer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        producer.settimeout(PATIENCE_S)
        producer.connect(str(self.path))
        return producer

    def feed(self, number: int) -> Windows:
        self.producer.sendall(frame(window(number)))
        return window(number)

    def close(self) -> None:
        self.producer.close()
        self.source.close()


def frame(values: NDArray[np.float32]) -> bytes:
    data = values.astype("<f4").tobytes()
    return len(data).to_bytes(4, "little") + data


def line_from(producer: socket.socket) -> dict[str, Any]:
    with producer.makefile("rb") as file:
        line: dict[str, Any] = json.loads(file.readline())
    return line


class TestUnixSocket(SourceContract):
    @pytest.fixture
    def fed(self, tmp_path: Path) -> Iterator[FedSocket]:
        fed = FedSocket(tmp_path / "inputs")
        yield fed
        fed.close()

    def test_only_owner_and_group_may_connect(self, fed: FedSocket) -> None:
        assert fed.path.stat().st_mode & 0o777 == 0o660

    def test_answer_goes_back_to_the_producer(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.source.settle(LINE)

        assert line_from(fed.producer) == {"answer": "a"}

    def test_frames_in_pieces_and_frames_at_once_are_the_same_to_it(self, fed: FedSocket) -> None:
        both = frame(window(1)) + frame(window(2))
        taken = []
        for piece in (both[:3], both[3:20], both[20:50], both[50:]):
            fed.producer.sendall(piece)
            taken.append(fed.source.take(0.0))
        taken.append(fed.source.take(0.0))

        assert [None if found is None else found[0, 0] for found in taken] == [
            None,
            None,
            1,
            2,
            None,
        ]

    def test_second_producer_is_told_and_the_first_goes_on(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        with fed.connect() as second:
            assert fed.source.take(0.05) is None
            assert "one at a time" in line_from(second)["error"]
            assert second.recv(1) == b""
        fed.feed(2)

        assert fed.source.take(PATIENCE_S) is not None

    def test_producer_that_dies_in_mid_frame_makes_room_for_the_next(self, fed: FedSocket) -> None:
        fed.producer.sendall(frame(window(1))[:-1])
        fed.source.take(0.05)
        fed.producer.close()
        fed.source.take(0.05)
        fed.producer = fed.connect()
        fed.feed(2)

        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        assert taken[0, 0] == 2

    def test_answer_to_a_producer_that_is_gone_is_dropped(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        fed.producer.close()

        fed.source.settle(LINE)

        assert fed.source.take(0.05) is None

    def test_producer_that_does_not_read_its_answers_never_holds_the_agent_up(
        self, fed: FedSocket
    ) -> None:
        for _ in range(3):
            fed.feed(1)
            assert fed.source.take(PATIENCE_S) is not None
            fed.source.settle("x" * 1_000_000)

    def test_producer_that_lags_loses_whole_lines(self, fed: FedSocket) -> None:
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None
        first = "a" * 1_000_000  # more than a socket's buffer holds
        fed.source.settle(first)
        fed.source.settle("lost")
        received = bytearray()

        def latest_came() -> bool:
            fed.source.settle("latest")
            received.extend(fed.producer.recv(1_000_000))
            return received.endswith(b"latest\n")

        until(latest_came)

        lines = received.decode().splitlines()
        assert lines[0] == first
        assert set(lines[1:]) == {"latest"}

    @pytest.mark.parametrize("length", [0, 20, 28, 2**32 - 1])
    def test_frame_of_another_size_is_refused_and_the_producer_hung_up_on(
        self, fed: FedSocket, length: int
    ) -> None:
        fed.producer.sendall(length.to_bytes(4, "little"))

        assert fed.source.take(0.05) is None
        assert "float32 (2, 3) is 24 bytes" in line_from(fed.producer)["error"]
        assert fed.producer.recv(1) == b""

    def test_window_that_is_not_finite_is_refused_and_the_next_one_taken(
        self, fed: FedSocket
    ) -> None:
        fed.producer.sendall(frame(np.full(SHAPE, np.inf, np.float32)))
        fed.feed(2)

        taken = fed.source.take(PATIENCE_S)
        assert taken is not None
        assert taken[0, 0] == 2
        assert "not finite" in line_from(fed.producer)["error"]

    def test_producer_that_stops_in_mid_frame_is_hung_up_on(self, tmp_path: Path) -> None:
        fed = FedSocket(tmp_path / "slow", patience_s=0.01)
        fed.producer.sendall(b"\x18")
        until(lambda: fed.source.take(0.05) is None and fed.source._producer is None)

        assert "did not end in time" in line_from(fed.producer)["error"]
        fed.close()

    def test_socket_that_a_killed_process_left_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "left"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
            left.bind(str(path))

        FedSocket(path).close()

    def test_socket_in_use_is_refused(self, fed: FedSocket) -> None:
        with pytest.raises(SourceError, match="another program listens there"):
            UnixSocket(fed.path, SHAPE)
        fed.feed(1)
        assert fed.source.take(PATIENCE_S) is not None

    def test_file_in_the_way_is_refused_and_stays(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("precious")

        with pytest.raises(SourceError, match="no socket has this name"):
            UnixSocket(tmp_path / "file", SHAPE)
        assert (tmp_path / "file").read_text() == "precious"

    def test_path_too_long_for_a_socket_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="too long"):
            UnixSocket(tmp_path / ("x" * 120), SHAPE)


def imu_bus(readings: Callable[[], bytes]) -> SimulatedBus:
    bus = SimulatedBus(0x68, {0x75: b"\x68"})
    bus.live[0x3B] = readings
    return bus


def imu(bus: SimulatedBus, **changes: Any) -> Imu:
    options: dict[str, Any] = {
        "address": 0x68,
        "rate_hz": 500.0,
        "length": 3,
        "channels": ["ax", "wz"],
        "units": ["m/s^2", "rad/s"],
    }
    return Imu(bus, **{**options, **changes})


class FedImu:
    """A sensor that moves only when told to: windows are full of the number fed last."""

    shape = SHAPE

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.counts = 0
        self.bus = imu_bus(self._reading)
        self.source = imu(self.bus)

    def _reading(self) -> bytes:
        # At the end the semaphore lets everything through, so that the thread can end.
        assert self.go.acquire(timeout=PATIENCE_S)
        words = [self.counts * 2048, 0, 0, -1234, 0, 0, self.counts * 164]
        return b"".join(word.to_bytes(2, "big", signed=True) for word in words)

    def feed(self, number: int) -> Windows:
        self.counts = number
        self.go.release(3)
        wanted = [[9.80665 * number] * 3, [np.pi / 18 * number] * 3]
        return np.array(wanted, np.float32)


class TestImu(SourceContract):
    @pytest.fixture
    def fed(self) -> Iterator[FedImu]:
        fed = FedImu()
        yield fed
        fed.go.release(10_000)
        fed.source.close()

    def test_closing_twice_is_no_error(self, fed: Fed) -> None:
        assert isinstance(fed, FedImu)
        fed.go.release(10_000)
        super().test_closing_twice_is_no_error(fed)
        assert fed.bus.closed

    def test_sensor_is_woken_and_set_to_16_g_and_2000_degrees(self, fed: FedImu) -> None:
        assert fed.bus.written == [(0x6B, b"\x01"), (0x19, b"\x00\x03\x18\x18")]


def test_sensor_that_falls_silent_begins_its_window_anew() -> None:
    calls = itertools.count()

    def reading() -> bytes:
        if next(calls) == 2:
            raise OSError(121, "Remote I/O error")
        return bytes(14)

    source = imu(imu_bus(reading), rate_hz=500.0)
    assert source.take(PATIENCE_S) is not None
    source.close()
    assert next(calls) >= 6  # two before the fault, and three for a whole window after it


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": 0x69}, "no answer at I2C address 0x69"),
        ({"channels": ["ax", "pressure"]}, "'pressure' in 'rad/s' is none that the IMU gives"),
        ({"units": ["g", "g"]}, "'wz' in 'g' is none"),
    ],
)
def test_sensor_that_is_not_there_or_does_not_fit_the_task_is_refused(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        imu(imu_bus(lambda: bytes(14)), **change)


def test_another_chip_at_the_address_is_refused() -> None:
    with pytest.raises(SourceError, match="calls itself 0x40"):
        imu(SimulatedBus(0x68, {0x75: b"\x40"}))


class SimulatedCamera:
    """Stands for picamera2: pictures of one colour, rows and columns padded as the ISP does."""

    def __init__(self) -> None:
        self.colour = (0, 0, 0)
        self.size = (0, 0)
        self.format = ""
        self.closed = 0

    def create_video_configuration(self, *, main: dict[str, Any]) -> dict[str, Any]:
        return main

    def configure(self, camera_config: dict[str, Any]) -> None:
        self.size, self.format = camera_config["size"], camera_config["format"]

    def start(self) -> None:
        pass

    def capture_array(self, name: str = "main") -> NDArray[np.uint8]:
        width, height = self.size
        picture = np.zeros((height, width + 2, 3), np.uint8)
        picture[:, :width] = self.colour
        return picture

    def close(self) -> None:
        self.closed += 1


class FedCamera:
    shape = (3, 4, 8)

    def __init__(self) -> None:
        self.camera = SimulatedCamera()
        self.source: Source = Camera(self.camera, self.shape)

    def feed(self, number: int) -> Windows:
        self.camera.colour = (51 * number, 0, 255)
        return np.stack([np.full((4, 8), value, np.float32) for value in (number / 5, 0, 1)])


class TestCamera(SourceContract):
    @pytest.fixture
    def fed(self) -> Fed:
        return FedCamera()


def test_grey_picture_weighs_colours_as_the_eye_does() -> None:
    camera = SimulatedCamera()
    camera.colour = (255, 0, 0)

    taken = Camera(camera, (1, 28, 28)).take(0)

    assert taken is not None
    np.testing.assert_allclose(taken, np.full((1, 28, 28), 0.299), rtol=1e-5)


def test_camera_scales_by_a_whole_factor_and_averages_the_rest() -> None:
    camera = SimulatedCamera()
    Camera(camera, (1, 28, 28))

    assert camera.size == (84, 84)
    assert camera.format == "BGR888"


@pytest.mark.parametrize("shape", [(6, 100), (2, 28, 28)])
def test_task_that_takes_no_pictures_is_refused_and_the_camera_let_go(
    shape: tuple[int, ...],
) -> None:
    camera = SimulatedCamera()

    with pytest.raises(SourceError, match="a camera gives"):
        Camera(camera, shape)
    assert camera.closed == 1
