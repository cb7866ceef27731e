"""The task of spoken digits, with recordings that the tests make."""

import io
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest

from nestling_cloud.tasks import DataMissingError, Task, TaskError, load_task
from nestling_cloud.tasks.spoken_digit_files import ARCHIVE, SPEAKERS, VARIABLE, find_recordings
from nestling_cloud.tasks.spoken_digits import LENGTH, TASK, fitted

FOLDER = "free-spoken-digit-dataset-1.0.10/recordings/"
NOWHERE = "nowhere://example.org/digits.tar.gz"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder that a downloaded archive would be in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    folder = tmp_path / "cache/nestling/spoken-digits"
    folder.mkdir(parents=True)
    return folder


def wav(level: int, length: int = 40, *, rate_hz: int = 8000, channels: int = 1) -> bytes:
    """Make a recording in which every sample has a level of -32768 to 32767."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(np.full(length * channels, level, "<i2").tobytes())
    return file.getvalue()


def level_of(speaker: int, digit: int, number: int) -> int:
    return 1000 * speaker + 60 * digit + number + 1


def recordings(each: int = 2) -> dict[str, bytes]:
    """Make recordings whose level tells the speaker, the digit and the number."""
    return {
        f"{digit}_{name}_{number}.wav": wav(level_of(speaker, digit, number))
        for speaker, name in enumerate(SPEAKERS)
        for digit in range(10)
        for number in range(each)
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    write(tmp_path / "clone/recordings", recordings())
    return tmp_path / "clone"


def test_parts_share_no_speaker_and_keep_their_labels(data_dir: Path) -> None:
    splits = TASK.load_checked(data_dir, 0)

    found = []
    for part in (splits.train, splits.calibration, *splits.test):
        levels = np.rint(part.inputs[:].max(axis=(1, 2)) * 32768).astype(int) - 1
        assert np.array_equal(levels % 1000 // 60, part.labels)
        found.append(set((levels // 1000).tolist()))
    train, calibration, *streams = found
    assert (len(train), len(calibration), len(set.union(*streams))) == (3, 1, 2)
    assert all(len(stream) == 1 for stream in streams)  # of one speaker each
    assert set.union(*found) == set(range(6))
    assert (len(splits.train), len(splits.calibration)) == (60, 20)


def test_seed_assigns_the_speakers(data_dir: Path) -> None:
    first, again, other = (TASK.load(data_dir, seed).train.inputs for seed in (0, 0, 3))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_recordings_get_a_second_around_their_middle(tmp_path: Path) -> None:
    files = {"1_a_0.wav": wav(5, 3), "2_a_0.wav": wav(7, LENGTH), "3_a_0.wav": wav(9, LENGTH + 101)}
    one, whole, long = find_recordings(write(tmp_path / "few", files))

    found = fitted(one)
    assert found.shape == (LENGTH,)
    assert np.flatnonzero(found).tolist() == [3998, 3999, 4000]
    assert np.array_equal(fitted(whole), whole.samples)
    assert np.array_equal(fitted(long), long.samples[50 : 50 + LENGTH])


def test_environment_variable_names_the_folder(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(data_dir))

    assert len(find_recordings(None)) == len(recordings())
    monkeypatch.setenv(VARIABLE, str(data_dir / "recordings"))
    assert len(find_recordings(None)) == len(recordings())


def test_archive_in_a_named_folder_is_read(tmp_path: Path) -> None:
    files = {FOLDER + name: data for name, data in recordings(1).items()}
    write_archive(tmp_path / ARCHIVE, {**files, "free-spoken-digit-dataset-1.0.10/LICENSE": b"x"})

    assert len(find_recordings(tmp_path)) == 60


def test_whole_archive_in_the_cache_is_read_without_a_download(cache: Path) -> None:
    write_archive(cache / ARCHIVE, {FOLDER + name: data for name, data in recordings(50).items()})

    found = find_recordings(None, NOWHERE)

    assert len(found) == 3000
    assert (found[0].speaker, found[0].digit, found[0].number) == ("george", 0, 0)


def test_archive_in_the_cache_that_lacks_recordings_is_refused(cache: Path) -> None:
    files = {FOLDER + name: data for name, data in recordings(50).items()}
    del files[FOLDER + "7_theo_3.wav"]
    write_archive(cache / ARCHIVE, files)

    with pytest.raises(TaskError, match="has 2999 recordings, and not 50 of each digit"):
        find_recordings(None, NOWHERE)


@pytest.mark.parametrize("content", [b"", b"no archive", "cut"], ids=["empty", "text", "cut"])
def test_damaged_archive_is_named(cache: Path, content: bytes | str) -> None:
    path = cache / ARCHIVE
    write_archive(path, {FOLDER + name: data for name, data in recordings(1).items()})
    whole = path.read_bytes()
    path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])

    with pytest.raises(TaskError, match="delete it, and it is downloaded again"):
        find_recordings(None, NOWHERE)
    # Nothing is downloaded into a folder that the user names.
    with pytest.raises(TaskError, match="replace it"):
        find_recordings(cache, NOWHERE)


def test_places_that_were_searched_are_named(cache: Path) -> None:
    with pytest.raises(DataMissingError) as raised:
        find_recordings(None, NOWHERE)

    text = str(raised.value)
    assert all(word in text for word in ("--data-dir", VARIABLE, str(cache), NOWHERE))


def test_folder_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match=r"has no recordings such as 7_jackson_32\.wav"):
        find_recordings(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a WAV file"),
        (b"RIFF\0\0\0\0WAVE", "is not a WAV file"),
        (wav(1)[:30], "is not a WAV file"),
        (wav(1, rate_hz=16_000), "at 8000 Hz"),
        (wav(1, channels=2), "of one channel"),
        (wav(1, 0), "samples of 16 bits"),
    ],
    ids=["empty", "head", "cut", "rate", "stereo", "no samples"],
)
def test_recording_that_does_not_fit_is_named(data_dir: Path, content: bytes, words: str) -> None:
    (data_dir / "recordings/0_theo_1.wav").write_bytes(content)

    with pytest.raises(TaskError, match=rf"0_theo_1\.wav .*{words}"):
        find_recordings(data_dir)


def test_too_few_speakers_are_refused(tmp_path: Path) -> None:
    few = {name: data for name, data in recordings().items() if "theo" in name or "lucas" in name}

    with pytest.raises(TaskError, match="recordings of 2 speakers are too few; give 5"):
        TASK.load(write(tmp_path / "few", few), 0)


def test_task_is_built_in_and_its_networks_read_samples() -> None:
    task: Task = load_task("spoken-digits")
    signature = task.signature

    assert (list(signature.shape), signature.media, signature.rate_hz) == ([1, 8000], "sound", 8000)
    assert task.student.front_end is not None
    assert task.student.read_shape(signature.shape) == (40, 61)
