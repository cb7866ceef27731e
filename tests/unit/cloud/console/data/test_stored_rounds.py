from dataclasses import replace
from pathlib import Path

from nestling_cloud.console.data.rounds import DroppedClient
from nestling_cloud.console.data.stored_rounds import StoredRounds
from nestling_cloud.federated.round_log import Exclusion, Participant, Round, RoundLog
from nestling_cloud.store.store import store_url


def participant(device: str, examples: int, node: str) -> Participant:
    return Participant(
        device=device,
        node=node,
        capacity=2,
        examples=examples,
        held_out=4,
        accuracy_before=0.5,
        accuracy_after=0.75,
    )


def ended(run: str, number: int, started_ms: int, *, released: str | None = None) -> Round:
    return Round(
        run=run,
        number=number,
        started_ms=started_ms,
        ended_ms=started_ms + 10,
        bundle_version="small-1-abc",
        participants=(participant("porch", 30, "1"), participant("attic", 12, "3")),
        dropped=(Exclusion(device="cellar", node="2", reason="no answer"),),
        bytes_down=100,
        bytes_up=50,
        accuracy=(0.6, 0.7),
        averaged=True,
        released=released,
    )


def test_rounds_are_numbered_by_run_and_sorted_oldest_first(tmp_path: Path) -> None:
    with RoundLog(store_url(str(tmp_path / "store.sqlite"))) as log:
        for one in (ended("a", 1, 100), ended("a", 2, 200, released="small-2-def")):
            log.put(one)
        log.put(ended("b", 1, 300))

        result = StoredRounds(log).latest(2)

    assert [(one.run, one.number, one.place) for one in result] == [("a", 2, 2), ("b", 1, 3)]
    assert [(one.ended_at_ms, one.bundle_version) for one in result] == [
        (210, "small-2-def"),
        (310, ""),
    ]


def test_round_counts_participants_and_lists_dropped_clients(tmp_path: Path) -> None:
    with RoundLog(store_url(str(tmp_path / "store.sqlite"))) as log:
        log.put(ended("a", 1, 100))

        (result,) = StoredRounds(log).latest(10)

    assert (result.invited, result.used, result.examples) == (3, 2, 42)
    assert result.calibration_accuracy == (0.6, 0.7)
    assert result.dropped == [DroppedClient(device="cellar", reason="no answer")]


def test_participant_that_fails_afterwards_counts_once_as_invited(tmp_path: Path) -> None:
    one = ended("a", 1, 100)
    lost = Exclusion(device="porch", node="1", reason="the comparison: no answer")
    with RoundLog(store_url(str(tmp_path / "store.sqlite"))) as log:
        log.put(replace(one, dropped=(*one.dropped, lost)))

        (result,) = StoredRounds(log).latest(10)

    assert (result.invited, result.used, len(result.dropped)) == (3, 2, 2)


def test_cloud_without_federated_rounds_shows_none(tmp_path: Path) -> None:
    with RoundLog(store_url(str(tmp_path / "store.sqlite"))) as log:
        assert StoredRounds(log).latest(10) == []
