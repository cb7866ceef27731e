"""The search order of a task's files; the end-to-end tests cover the download."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from nestling_cloud.tasks import DataFiles, DataMissingError

CONTENT = {"a.gz": b"first", "b.gz": b"second"}
VARIABLE = "NESTLING_TEST_DATA"

Put = Callable[[str], Path]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFiles:
    """Describe two files that are searched below `tmp_path` and cannot be downloaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return DataFiles(
        name="letters",
        sha256={
            name: ("0" * 64, hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()
        },
        variable=VARIABLE,
        system_folder=tmp_path / "system",
        package="dataset-letters",
        url="nowhere://example.org/letters/",
    )


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Return a function that writes both files to a folder below `tmp_path`."""

    def write(folder: str) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True)
        for name, data in CONTENT.items():
            (path / name).write_bytes(data)
        return path

    return write


def test_search_order_is_given_folder_variable_package_cache(
    files: DataFiles, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, named = put("given"), put("named")
    system, cache = put("system"), put("cache/nestling/letters")
    monkeypatch.setenv(VARIABLE, str(named))

    assert files.find(folder) == {name: folder / name for name in CONTENT}
    assert files.find(None) == {name: named / name for name in CONTENT}
    monkeypatch.delenv(VARIABLE)
    assert files.find(None) == {name: system / name for name in CONTENT}
    (system / "a.gz").unlink()  # a folder with half of the files is skipped
    assert files.find(None) == {name: cache / name for name in CONTENT}


def test_empty_variable_is_ignored(
    files: DataFiles, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = put("system")
    monkeypatch.setenv(VARIABLE, "")

    assert files.find(None)["a.gz"] == system / "a.gz"


def test_named_folder_may_have_other_content(files: DataFiles, put: Put) -> None:
    folder = put("given")
    (folder / "a.gz").write_bytes(b"a part of the whole")

    assert files.find(folder)["a.gz"] == folder / "a.gz"


@pytest.mark.parametrize("content", [b"secund", b""])
@pytest.mark.parametrize("folder", ["system", "cache/nestling/letters"])
def test_damaged_file_is_refused_when_the_download_fails(
    files: DataFiles, put: Put, folder: str, content: bytes
) -> None:
    (put(folder) / "b.gz").write_bytes(content)

    with pytest.raises(DataMissingError, match=r"b\.gz is damaged: its SHA-256"):
        files.find(None)


def test_damaged_package_is_skipped_for_the_cache(
    files: DataFiles, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    (put("system") / "b.gz").write_bytes(b"secund")
    cache = put("cache/nestling/letters")

    assert files.find(None)["b.gz"] == cache / "b.gz"


def test_named_folder_without_the_files_ends_the_search(
    files: DataFiles, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("system")
    folder = put("given")
    (folder / "b.gz").unlink()

    with pytest.raises(DataMissingError, match=r"given has no b\.gz"):
        files.find(folder)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(DataMissingError, match=r"absent has no a\.gz, b\.gz"):
        files.find(None)


def test_missing_data_error_names_every_place(files: DataFiles, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError) as caught:
        files.find(None)

    places = (
        "--data-dir",
        f"${VARIABLE}",
        str(tmp_path / "system"),
        "apt install dataset-letters",
        str(tmp_path / "cache/nestling/letters"),
        "nowhere://example.org/letters/",
    )
    assert [place for place in places if place not in str(caught.value)] == []
