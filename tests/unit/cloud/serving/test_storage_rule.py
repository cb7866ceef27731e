"""What the cloud may store is decided by the task, and by the operator if that forbids more."""

import pytest

from nestling.v1.bundle_pb2 import Manifest
from nestling_cloud.serving.storage_rule import StorageRule
from nestling_cloud.store.hard_inputs import HardInput


def given(*, audited: bool) -> HardInput:
    return HardInput(
        device="pi-1",
        task="",
        received_at_ms=1,
        input_index=0,
        values=b"",
        shape=(0,),
        device_answer=None,
        cloud_answer=0,
        audited=audited,
    )


HARD, AUDITED = given(audited=False), given(audited=True)


@pytest.mark.parametrize(
    ("keep", "allowed"),
    [
        ("none", []),
        ("hard", [False]),
        ("audited", [True]),
        ("", []),
        ("everything", []),
    ],
)
def test_only_inputs_of_the_kind_that_the_bundle_names_are_stored(
    keep: str, allowed: list[bool]
) -> None:
    rule = StorageRule.of(Manifest(task="hand", keep_inputs=keep))

    assert [one.audited for one in rule.allowed([HARD, AUDITED])] == allowed


@pytest.mark.parametrize("keep", ["none", "hard", "audited"])
def test_operator_can_only_forbid(keep: str) -> None:
    rule = StorageRule.of(Manifest(task="hand", keep_inputs=keep), forbidden=True)

    assert rule.allowed([HARD, AUDITED]) == []


def test_stored_input_belongs_to_the_released_task() -> None:
    rule = StorageRule.of(Manifest(task="hand", keep_inputs="hard"))

    assert [one.task for one in rule.allowed([HARD])] == ["hand"]
