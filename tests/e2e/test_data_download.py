"""A task's files are downloaded from a real web server on this machine."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestling_cloud.tasks import DataFiles, DataMissingError

CONTENT = b"letters"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # inherited name
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Run a server with the file `a.gz` and return its address."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "a.gz").write_bytes(CONTENT)
    handler = functools.partial(Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], name="files")
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that downloads go to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/nestling/letters"


def files_at(url: str, digest: str = hashlib.sha256(CONTENT).hexdigest()) -> DataFiles:
    return DataFiles(
        name="letters",
        sha256={"a.gz": (digest,)},
        variable="NESTLING_TEST_DATA",
        system_folder=Path("/nowhere"),
        package="dataset-letters",
        url=url,
    )


def test_missing_files_are_downloaded_once(url: str, cache: Path) -> None:
    found = files_at(url).find(None)

    assert found == {"a.gz": cache / "a.gz"}
    assert found["a.gz"].read_bytes() == CONTENT
    assert files_at("http://127.0.0.1:9/").find(None) == found  # no server: from the cache


def test_download_with_another_digest_is_rejected_and_deleted(url: str, cache: Path) -> None:
    with pytest.raises(DataMissingError, match=f"the download from {url} failed"):
        files_at(url, "0" * 64).find(None)

    assert not (cache / "a.gz").exists()


def test_missing_file_or_unreachable_server_is_reported(url: str, cache: Path) -> None:
    for address in (f"{url}elsewhere/", "http://127.0.0.1:9/"):
        with pytest.raises(DataMissingError, match=f"the download from {address} failed"):
            files_at(address).find(None)


@pytest.mark.parametrize("content", [b"", b"lett"])
def test_damaged_file_in_the_cache_is_downloaded_again_with_a_warning(
    url: str, cache: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    cache.mkdir(parents=True)
    (cache / "a.gz").write_bytes(content)

    found = files_at(url).find(None)

    assert found["a.gz"].read_bytes() == CONTENT
    assert "a.gz is damaged: its SHA-256 is unknown" in caplog.text
