"""Pictures and sounds in a watched folder."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.datasets.picture_graph import picture_graph
from nestling_core.media.front_end import PictureFrontEnd
from nestling_core.media.pictures import decode_picture
from nestling_device.sources import media_reader
from nestling_device.sources.cursor import Cursor
from nestling_device.sources.media_reader import MediaReader
from nestling_device.sources.source import SourceError
from nestling_device.sources.watched_folder import WatchedFolder
from tests.support.folders import RATE_HZ, picture, tone
from tests.support.processes import until

PICTURES = Signature(shape=[3, 8, 8], media="picture")
SOUNDS = Signature(shape=[1, 800], media="sound", rate_hz=RATE_HZ)
PATIENCE_S = 20.0


@pytest.fixture
def front_end() -> PictureFrontEnd:
    return PictureFrontEnd(picture_graph(PICTURES), PICTURES)


@pytest.fixture
def watch(
    tmp_path: Path, front_end: PictureFrontEnd, request: pytest.FixtureRequest
) -> Callable[[Signature], WatchedFolder]:
    (tmp_path / "inputs").mkdir()

    def opened(signature: Signature) -> WatchedFolder:
        source = WatchedFolder(
            tmp_path / "inputs",
            tuple(signature.shape),
            cursor=Cursor(tmp_path / "state"),
            written=lambda: 0,
            settle_s=0.0,
            media=MediaReader(signature, lambda: front_end),
        )
        request.addfinalizer(source.close)
        return source

    return opened


def test_pictures_and_arrays_are_answered_by_name(
    tmp_path: Path, watch: Callable[[Signature], WatchedFolder], front_end: PictureFrontEnd
) -> None:
    folder = tmp_path / "inputs"
    picture("red", 1).save(folder / "a.JPG", "JPEG")
    np.save(folder / "b.npy", np.ones((3, 8, 8), np.float32))
    picture("blue", 2).save(folder / "c.png")
    (folder / "notes.wav").write_bytes(b"not of this task")
    expected = {
        name: front_end.input_of(decode_picture((folder / name).read_bytes()))
        for name in ("a.JPG", "c.png")
    } | {"b.npy": np.ones((3, 8, 8))}
    source = watch(PICTURES)

    for name in ("a.JPG", "b.npy", "c.png"):
        taken = source.take(PATIENCE_S)
        assert taken is not None
        assert taken.origin.file == name
        np.testing.assert_array_equal(taken.window, expected[name])
        source.settle("{}")

    assert {path.name for path in (folder / "answered").iterdir()} == set(expected)
    assert (folder / "notes.wav").exists()


def test_bad_picture_is_rejected_with_its_reason_and_the_next_one_is_answered(
    tmp_path: Path,
    watch: Callable[[Signature], WatchedFolder],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "inputs"
    picture("red", 1).save(folder / "b.png")
    whole = (folder / "b.png").read_bytes()
    (folder / "a.png").write_bytes(whole[: len(whole) // 2])
    source = watch(PICTURES)

    taken = source.take(PATIENCE_S)
    assert taken is not None
    assert taken.origin.file == "b.png"
    source.settle("{}")

    with caplog.at_level(logging.WARNING):
        until(lambda: source.take(0.01) is None and not (folder / "a.png").exists())
    reason = (folder / "rejected" / "a.png.txt").read_text()
    assert "a.png is damaged" in reason
    assert reason.strip() in caplog.text


def test_second_file_of_a_name_keeps_its_end(
    tmp_path: Path, watch: Callable[[Signature], WatchedFolder]
) -> None:
    folder, source = tmp_path / "inputs", watch(PICTURES)
    for _ in range(2):
        picture("red", 1).save(folder / "a.jpeg")
        assert source.take(PATIENCE_S) is not None
        source.settle("{}")

    assert {path.name for path in (folder / "answered").iterdir()} == {"a.jpeg", "a-1.jpeg"}


def test_sound_is_answered_and_one_of_another_rate_is_rejected(
    tmp_path: Path, watch: Callable[[Signature], WatchedFolder]
) -> None:
    folder = tmp_path / "inputs"
    (folder / "a.wav").write_bytes(tone(300, 0.2, 1, rate_hz=16000))
    (folder / "b.wav").write_bytes(tone(300, 0.2, 1))
    source = watch(SOUNDS)

    taken = source.take(PATIENCE_S)
    assert taken is not None
    assert (taken.origin.file, taken.window.shape) == ("b.wav", (1, 800))
    source.settle("{}")
    until(lambda: source.take(0.01) is None and not (folder / "a.wav").exists())
    assert "16000 samples a second" in (folder / "rejected" / "a.wav.txt").read_text()


def test_missing_pillow_is_said_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_reader, "has_pillow", lambda: False)

    with pytest.raises(SourceError) as raised:
        MediaReader(PICTURES, lambda: None)
    assert raised.value.advice == "pip install 'nestling[pictures]'"
    assert MediaReader(SOUNDS, lambda: None).suffixes == (".wav",)


def test_single_file_is_read_or_refused(tmp_path: Path, front_end: PictureFrontEnd) -> None:
    picture("red", 1).save(tmp_path / "a.png")
    reader = MediaReader(PICTURES, lambda: front_end)

    assert reader.read_file(tmp_path / "a.png").shape == (3, 8, 8)
    for name in ("none.png", "."):
        with pytest.raises(SourceError, match="cannot be opened: "):
            reader.read_file(tmp_path / name)
