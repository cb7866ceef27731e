import dataclasses

import pytest
from google.protobuf.message import DecodeError

from nestling import sparkplug_metrics
from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import metric, metric_value
from nestling.v1 import receipt_pb2
from nestling_device.telemetry.sparkplug_node import (
    Gauges,
    ShareTarget,
    SparkplugNode,
    read_command,
)

NOW_MS = 1_700_000_000_000
GAUGES = Gauges(
    profile="pi-4b", bundle_version="small-1-abc", capacity=2, battery=0.5, drifting=False
)
BATCH = receipt_pb2.ReceiptBatch(outbox_id="box", receipts=[receipt_pb2.Receipt(sequence=1)])


def by_name(payload: payload_pb2.Payload) -> dict[str, object]:
    return {entry.name: metric_value(entry) for entry in payload.metrics}


def aliases(birth: payload_pb2.Payload) -> dict[int, str]:
    return {entry.alias: entry.name for entry in birth.metrics if entry.HasField("alias")}


def born() -> tuple[SparkplugNode, payload_pb2.Payload]:
    node = SparkplugNode(7)
    return node, node.birth(GAUGES, 3, now_ms=NOW_MS)


def sent(node: SparkplugNode, gauges: Gauges = GAUGES) -> payload_pb2.Payload:
    payload = node.data(gauges, 3, BATCH, now_ms=NOW_MS)
    assert payload is not None
    return payload


def test_death_carries_the_births_bd_seq_and_nothing_else() -> None:
    node, birth = born()

    death = node.death(now_ms=NOW_MS)

    assert by_name(death) == {sparkplug_metrics.BD_SEQ: 7}
    assert by_name(birth)[sparkplug_metrics.BD_SEQ] == 7
    assert not death.HasField("seq")


def test_birth_names_every_metric_and_offers_rebirth() -> None:
    _, birth = born()

    assert birth.seq == 0
    assert birth.HasField("seq")
    assert by_name(birth) == {
        sparkplug_metrics.BD_SEQ: 7,
        sparkplug_metrics.REBIRTH: False,
        sparkplug_metrics.RECEIPTS: None,
        sparkplug_metrics.ACKNOWLEDGED: None,
        sparkplug_metrics.PROFILE: "pi-4b",
        sparkplug_metrics.BUNDLE_VERSION: "small-1-abc",
        sparkplug_metrics.CAPACITY: 2,
        sparkplug_metrics.BATTERY: 0.5,
        sparkplug_metrics.OUTBOX_DEPTH: 3,
        sparkplug_metrics.DRIFTING: False,
        sparkplug_metrics.OFFLOAD_SHARE: None,
        sparkplug_metrics.OFFLOAD_TARGET: None,
        sparkplug_metrics.DESIRED_BUNDLE: None,
        sparkplug_metrics.PENDING: 0,
        sparkplug_metrics.TOLERATED_RISK: None,
        sparkplug_metrics.GUARANTEED_SINCE: None,
        sparkplug_metrics.INPUTS_TO_GO: None,
        sparkplug_metrics.GUARANTEE_ALARMS: None,
    }


def test_birth_reports_the_share_in_force_once_it_is_known() -> None:
    gauges = dataclasses.replace(GAUGES, offload_share=0.25)

    birth = SparkplugNode(7).birth(gauges, 3, now_ms=NOW_MS)

    assert by_name(birth)[sparkplug_metrics.OFFLOAD_SHARE] == pytest.approx(0.25)
    assert len(birth.metrics) == len({entry.name for entry in birth.metrics})


def test_gauge_that_becomes_unknown_is_reported_as_null() -> None:
    known = dataclasses.replace(GAUGES, offload_share=0.25, drifting=True)
    node = SparkplugNode(7)
    birth = node.birth(known, 3, now_ms=NOW_MS)

    payload = node.data(dataclasses.replace(GAUGES, drifting=None), 3, None, now_ms=NOW_MS)

    assert payload is not None
    names = aliases(birth)
    reported = {names[entry.alias]: metric_value(entry) for entry in payload.metrics}
    assert reported == {sparkplug_metrics.OFFLOAD_SHARE: None, sparkplug_metrics.DRIFTING: None}
    assert all(entry.is_null for entry in payload.metrics)


def test_aliases_are_unique_and_cover_all_metrics_except_rebirth() -> None:
    _, birth = born()

    without = [entry.name for entry in birth.metrics if not entry.HasField("alias")]
    assert without == [sparkplug_metrics.REBIRTH]
    assert len(aliases(birth)) == len(birth.metrics) - 1


def test_values_that_the_host_wrote_are_reported_back() -> None:
    node, birth = born()
    written = dataclasses.replace(GAUGES, offload_target=0.25, desired_bundle="small-2-def")

    payload = node.data(written, 3, None, now_ms=NOW_MS)

    assert payload is not None
    reported = {aliases(birth)[entry.alias]: metric_value(entry) for entry in payload.metrics}
    assert reported == {
        sparkplug_metrics.OFFLOAD_TARGET: 0.25,
        sparkplug_metrics.DESIRED_BUNDLE: "small-2-def",
    }
    assert not any(entry.HasField("datatype") for entry in payload.metrics)


def test_data_uses_aliases_and_reports_only_changes() -> None:
    node, birth = born()

    payload = sent(node, dataclasses.replace(GAUGES, capacity=1, battery=1.0))

    assert all(not entry.name for entry in payload.metrics)
    reported = {aliases(birth)[entry.alias]: metric_value(entry) for entry in payload.metrics}
    assert {
        sparkplug_metrics.CAPACITY: 1,
        sparkplug_metrics.BATTERY: 1.0,
        sparkplug_metrics.RECEIPTS: BATCH.SerializeToString(),
    } == reported


def test_seq_wraps_after_255_and_birth_resets_it() -> None:
    node, _ = born()

    assert [*range(1, 256), 0, 1] == [sent(node).seq for _ in range(257)]
    assert node.birth(GAUGES, 0, now_ms=NOW_MS).seq == 0
    assert sent(node).seq == 1


def test_no_message_and_no_seq_are_used_without_changes() -> None:
    node, _ = born()

    assert node.data(GAUGES, 3, None, now_ms=NOW_MS) is None
    assert (
        node.data(GAUGES, 99, None, now_ms=NOW_MS) is None
    )  # a change of depth alone is not reported
    assert sent(node).seq == 1


def test_only_historical_batches_are_marked() -> None:
    node, _ = born()

    fresh = sent(node)
    again = node.data(GAUGES, 3, BATCH, historical=True, now_ms=NOW_MS)

    assert again is not None
    assert not fresh.metrics[-1].is_historical
    assert again.metrics[-1].is_historical


@pytest.mark.parametrize("by_alias", [False, True])
def test_command_is_understood_by_name_and_by_alias(by_alias: bool) -> None:
    _, birth = born()
    known = {name: alias for alias, name in aliases(birth).items()}
    acknowledgement = receipt_pb2.OutboxAcknowledgement(outbox_id="box", sequence=5)
    payload = payload_pb2.Payload(
        metrics=[
            metric(sparkplug_metrics.REBIRTH, value=True, timestamp_ms=NOW_MS),
            sparkplug_metrics.update(
                acknowledgement.SerializeToString(),
                timestamp_ms=NOW_MS,
                name="" if by_alias else sparkplug_metrics.ACKNOWLEDGED,
                alias=known[sparkplug_metrics.ACKNOWLEDGED] if by_alias else None,
            ),
        ]
    )

    command = read_command(payload.SerializeToString())

    assert command.rebirth
    assert acknowledgement == command.acknowledgement
    assert (command.target, command.desired_bundle) == (None, None)


@pytest.mark.parametrize("share", [0.0, 0.35, 1.0])
def test_target_share_is_read_from_a_command(share: float) -> None:
    entry = metric(sparkplug_metrics.OFFLOAD_TARGET, share, timestamp_ms=NOW_MS)

    command = read_command(payload_pb2.Payload(metrics=[entry]).SerializeToString())

    assert ShareTarget(share) == command.target


def test_null_share_in_a_command_removes_the_target() -> None:
    entry = sparkplug_metrics.Metric(
        name=sparkplug_metrics.OFFLOAD_TARGET, datatype=payload_pb2.DATA_TYPE_DOUBLE, is_null=True
    )

    command = read_command(payload_pb2.Payload(metrics=[entry]).SerializeToString())

    assert ShareTarget(None) == command.target


def test_desired_bundle_is_read_from_a_command() -> None:
    entry = metric(sparkplug_metrics.DESIRED_BUNDLE, "small-2-def", timestamp_ms=NOW_MS)

    command = read_command(payload_pb2.Payload(metrics=[entry]).SerializeToString())

    assert command.desired_bundle == "small-2-def"


def test_unknown_metric_in_a_command_is_ignored() -> None:
    payload = payload_pb2.Payload(metrics=[metric("Reboot", value=True, timestamp_ms=NOW_MS)])

    command = read_command(payload.SerializeToString())

    assert (command.rebirth, command.acknowledgement) == (False, None)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff",
        payload_pb2.Payload(
            metrics=[metric(sparkplug_metrics.ACKNOWLEDGED, 5, timestamp_ms=NOW_MS)]
        ).SerializeToString(),
        payload_pb2.Payload(
            metrics=[metric(sparkplug_metrics.ACKNOWLEDGED, b"\xff\xff", timestamp_ms=NOW_MS)]
        ).SerializeToString(),
        *(
            payload_pb2.Payload(
                metrics=[metric(sparkplug_metrics.OFFLOAD_TARGET, share, timestamp_ms=NOW_MS)]
            ).SerializeToString()
            for share in (-0.1, 1.1, float("nan"), "half")
        ),
    ],
)
def test_unreadable_command_is_a_decode_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_command(data)
