"""Stored inputs are listed, fetched and labeled through the API of a running cloud."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from nestling_cloud.store.store import Store, store_url
from tests.support.console_fleet import Fleet, serving
from tests.support.processes import DEADLINE_S
from tests.support.stored_inputs import NOON_MS, store_inputs, stored_input

WINDOW = np.array([[0.25, -1, 2], [3, 4, 5]], np.float32)
LEVELS = np.arange(3 * 4 * 5).reshape(3, 4, 5) * 4
PICTURE = (LEVELS / 255).astype(np.float32)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: bytes) -> Iterator[Fleet]:
    """Run a cloud with four stored inputs, the last of another task."""
    folder = tmp_path_factory.mktemp("inputs")
    with serving(folder, tiny_teacher) as made:
        with Store(store_url(str(made.cloud.store))) as store:
            store_inputs(
                store,
                [
                    stored_input(WINDOW, index=1, agrees=False),
                    stored_input(PICTURE, device="roof", index=2, at_ms=NOON_MS + 1),
                    stored_input(WINDOW, index=3, at_ms=NOON_MS + 2, answers=(None, 3)),
                    stored_input(WINDOW, index=4, at_ms=NOON_MS + 3, task="other"),
                ],
            )
        yield made


def listed(fleet: Fleet, **query: Any) -> list[dict[str, Any]]:
    response = fleet.get("inputs", **query)
    assert response.status_code == 200
    found: list[dict[str, Any]] = response.json()["inputs"]
    return found


def number_of(fleet: Fleet, index: int) -> int:
    (found,) = [one["id"] for one in listed(fleet) if one["input_index"] == index]
    return int(found)


def test_inputs_are_listed_newest_first_with_the_names_of_classes(fleet: Fleet) -> None:
    found = listed(fleet)

    assert [one["input_index"] for one in found] == [4, 3, 2, 1]
    assert found[3] == {
        "id": number_of(fleet, 1),
        "device": "porch",
        "task": "hand",
        "received_at_ms": NOON_MS,
        "input_index": 1,
        "audited": False,
        "shape": [2, 3],
        "device_answer": {"text": "a", "label": "a", "code": 0, "values": []},
        "cloud_answer": {"text": "c", "label": "c", "code": 2, "values": []},
        "agrees": False,
        "label": None,
        "labeled_by": None,
        "labeled_at_ms": None,
    }
    assert found[1]["device_answer"] is found[1]["agrees"] is None
    assert [one["cloud_answer"]["text"] for one in found] == [None, "d", "c", "c"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"device": "roof"}, [2]),
        ({"task": "hand"}, [3, 2, 1]),
        ({"since_ms": NOON_MS + 1, "until_ms": NOON_MS + 3}, [3, 2]),
        ({"device": "nobody"}, []),
    ],
)
def test_inputs_are_filtered(fleet: Fleet, query: dict[str, Any], expected: list[int]) -> None:
    assert [one["input_index"] for one in listed(fleet, **query)] == expected


def test_pages_follow_one_another(fleet: Fleet) -> None:
    first = fleet.get("inputs", limit=3).json()
    second = fleet.get("inputs", limit=3, before=first["next"]).json()

    assert [len(page["inputs"]) for page in (first, second)] == [3, 1]
    assert second["next"] is None


def test_picture_is_a_png_and_other_inputs_are_npy(fleet: Fleet) -> None:
    picture = fleet.get(f"inputs/{number_of(fleet, 2)}/content")
    window = fleet.get(f"inputs/{number_of(fleet, 1)}/content")

    assert picture.headers["content-type"] == "image/png"
    pixels = np.asarray(Image.open(io.BytesIO(picture.content)))
    assert np.array_equal(pixels, LEVELS.transpose(1, 2, 0))
    assert window.headers["content-type"] == "application/octet-stream"
    assert np.array_equal(np.load(io.BytesIO(window.content)), WINDOW)


def test_label_is_given_read_filtered_and_removed(fleet: Fleet) -> None:
    number = number_of(fleet, 1)

    given = fleet.put(f"inputs/{number}/label", {"label": "b"})
    again = fleet.put(f"inputs/{number}/label", {"label": "b"})

    assert given.status_code == again.status_code == 200
    assert given.json() == again.json() == fleet.get(f"inputs/{number}/label").json()
    assert given.json()["label"] == "b"
    assert given.json()["labeled_by"] == "token test"
    assert isinstance(given.json()["labeled_at_ms"], int)
    assert [one["id"] for one in listed(fleet, labeled=True)] == [number]
    assert number not in [one["id"] for one in listed(fleet, labeled=False)]

    for _ in range(2):
        removed = fleet.delete(f"inputs/{number}/label")
        assert (removed.status_code, removed.json()["label"]) == (200, None)
    assert listed(fleet, labeled=True) == []


@pytest.mark.parametrize("label", ["e", "", None, 1, ["a"], {"class": "a"}, True, "x" * 100_000])
def test_unknown_class_is_refused_with_the_names_of_the_classes(fleet: Fleet, label: Any) -> None:
    response = fleet.put(f"inputs/{number_of(fleet, 1)}/label", {"label": label})

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert '"a", "b", "c", "d"' in response.json()["detail"]
    assert len(response.text) < 1000


@pytest.mark.parametrize("body", [{}, None, {"label": "a", "by": "me"}, "a"])
def test_body_that_is_no_label_is_refused(fleet: Fleet, body: Any) -> None:
    assert fleet.put(f"inputs/{number_of(fleet, 1)}/label", body).status_code == 422


def test_input_of_another_task_cannot_be_labeled(fleet: Fleet) -> None:
    response = fleet.put(f"inputs/{number_of(fleet, 4)}/label", {"label": "a"})

    assert response.status_code == 422
    assert "belongs to the task 'other'" in response.json()["detail"]


@pytest.mark.parametrize("number", [10**6, 2**53])
def test_unknown_input_is_not_found(fleet: Fleet, number: int) -> None:
    answers = [
        fleet.get(f"inputs/{number}"),
        fleet.get(f"inputs/{number}/content"),
        fleet.get(f"inputs/{number}/label"),
        fleet.put(f"inputs/{number}/label", {"label": "a"}),
        fleet.delete(f"inputs/{number}/label"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert "/api/v1/inputs lists" in answers[0].json()["detail"]


@pytest.mark.parametrize("number", ["x", "0", "-1", str(2**53 + 1), "1.5"])
def test_id_that_is_none_is_refused(fleet: Fleet, number: str) -> None:
    assert fleet.get(f"inputs/{number}").status_code == 422


def test_labels_given_at_once_are_all_answered_and_one_counts(fleet: Fleet) -> None:
    number = number_of(fleet, 3)

    with ThreadPoolExecutor(8) as pool:
        given = list(
            pool.map(
                lambda label: fleet.put(f"inputs/{number}/label", {"label": label}), "abcd" * 4
            )
        )

    assert {answer.status_code for answer in given} == {200}
    assert fleet.get(f"inputs/{number}").json()["label"] in set("abcd")
    fleet.delete(f"inputs/{number}/label")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nobody_labels_without_a_token(fleet: Fleet, method: str) -> None:
    url = f"{fleet.cloud.console}/api/v1/inputs/1/label"

    answer = httpx.request(method, url, json={"label": "a"}, timeout=DEADLINE_S)

    assert answer.status_code == 401
