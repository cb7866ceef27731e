"""The search order of a task's files; the download itself is tested end to end."""

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
    """Look for two files in places below `tmp_path`, and download from nowhere."""
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
    """Puts both files into a folder below `tmp_path`."""

    def write(folder: str) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True)
        for name, data in CONTENT.items():
            (path / name).write_bytes(data)
        return path

    return write


def test_folder_that_is_given_comes_first_then_the_variables_then_the_packages_then_the_cache(
    files: DataFiles, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, named = put("given"), put("named")
    system, cache = put("system"), put("cache/nestling/letters")
    monkeypatch.setenv(VARIABLE, str(named))

    assert files.find(given) == {name: given / name for name in CONTENT}
    assert files.find(None) == {name: named / name for name in CONTENT}
    monkeypatch.delenv(VARIABLE)
    assert files.find(None) == {name: system / name for name in CONTENT}
    (system / "a.gz").unlink()  # half of the files is none of them
    assert files.find(None) == {name: cache / name for name in CONTENT}


def test_empty_variable_counts_as_none(
    files: DataFiles, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = put("system")
    monkeypatch.setenv(VARIABLE, "")

    assert files.find(None)["a.gz"] == system / "a.gz"


def test_named_folder_may_have_other_content(files: DataFiles, put: Put) -> None:
    given = put("given")
    (given / "a.gz").write_bytes(b"a part of the whole")

    assert files.find(given)["a.gz"] == given / "a.gz"


@pytest.mark.parametrize("content", [b"secund", b""])
@pytest.mark.parametrize("folder", ["system", "cache/nestling/letters"])
def test_damaged_file_that_nobody_named_is_refused_where_nothing_can_be_downloaded(
    files: DataFiles, put: Put, folder: str, content: bytes
) -> None:
    (put(folder) / "b.gz").write_bytes(content)

    with pytest.raises(DataMissingError, match=r"b\.gz is damaged: its SHA-256"):
        files.find(None)


def test_damaged_file_of_the_package_is_passed_over_for_the_cache(
    files: DataFiles, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    (put("system") / "b.gz").write_bytes(b"secund")
    cache = put("cache/nestling/letters")

    assert files.find(None)["b.gz"] == cache / "b.gz"


def test_named_folder_without_the_files_is_not_searched_around(
    files: DataFiles, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("system")
    given = put("given")
    (given / "b.gz").unlink()

    with pytest.raises(DataMissingError, match=r"given has no b\.gz"):
        files.find(given)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(DataMissingError, match=r"absent has no a\.gz, b\.gz"):
        files.find(None)


def test_missing_data_is_answered_with_every_place_that_was_searched(
    files: DataFiles, tmp_path: Path
) -> None:
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
