"""What the cloud may store is decided by the task, and by the operator if that forbids more."""

import pytest

from nestling.v1.bundle_pb2 import Manifest, Signature
from nestling_cloud.serving.offered_input import OfferedInput
from nestling_cloud.serving.storage_rule import StorageRule


def given(*, audited: bool) -> OfferedInput:
    return OfferedInput(
        device="pi-1",
        received_at_ms=1,
        input_index=0,
        values=b"",
        shape=(0,),
        device_answer=None,
        outputs=(0.0, 1.0),
        audited=audited,
    )


HARD, AUDITED = given(audited=False), given(audited=True)


def rule(keep: str, *, forbidden: bool = False) -> StorageRule:
    manifest = Manifest(task="hand", keep_inputs=keep, signature=Signature(classes=["a", "b"]))
    return StorageRule.of(manifest, forbidden=forbidden)


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
    assert [one.audited for one in rule(keep).hard_inputs([HARD, AUDITED])] == allowed


@pytest.mark.parametrize("keep", ["none", "hard", "audited"])
def test_operator_can_only_forbid(keep: str) -> None:
    assert rule(keep, forbidden=True).hard_inputs([HARD, AUDITED]) == []


def test_stored_input_belongs_to_the_released_task() -> None:
    assert [one.task for one in rule("hard").hard_inputs([HARD])] == ["hand"]
