from nestling import sparkplug_metrics
from nestling.sparkplug.v1 import payload_pb2
from nestling_cloud.telemetry.sparkplug_host import REBIRTH_INTERVAL_MS, SparkplugHost

ALIAS = 7


def birth(*, bd_seq: int = 0, seq: int = 0) -> payload_pb2.Payload:
    made = [
        sparkplug_metrics.metric(sparkplug_metrics.BD_SEQ, bd_seq, timestamp_ms=1),
        sparkplug_metrics.metric(sparkplug_metrics.RECEIPTS, b"", timestamp_ms=1, alias=ALIAS),
    ]
    return payload_pb2.Payload(seq=seq, metrics=made)


def data(seq: int, *, alias: int = ALIAS) -> payload_pb2.Payload:
    entry = sparkplug_metrics.update(b"batch", timestamp_ms=1, alias=alias)
    return payload_pb2.Payload(seq=seq, metrics=[entry])


def death(bd_seq: int) -> payload_pb2.Payload:
    return payload_pb2.Payload(
        metrics=[sparkplug_metrics.metric(sparkplug_metrics.BD_SEQ, bd_seq, timestamp_ms=1)]
    )


def test_alias_in_data_is_resolved_by_the_birth() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth())

    content = host.data("pi-1", data(1), now_ms=0)

    assert content.values == {sparkplug_metrics.RECEIPTS: b"batch"}
    assert not content.ask_rebirth


def test_sequence_wraps_after_255() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth())

    asked = [host.data("pi-1", data(n % 256), now_ms=0).ask_rebirth for n in range(1, 600)]

    assert not any(asked)


def test_data_after_a_missed_message_is_read_and_asks_for_a_rebirth() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth())

    content = host.data("pi-1", data(2), now_ms=0)

    assert content.ask_rebirth
    assert content.values == {sparkplug_metrics.RECEIPTS: b"batch"}


def test_unknown_node_is_asked_for_its_birth() -> None:
    content = SparkplugHost().data("pi-1", data(5), now_ms=0)

    assert content.ask_rebirth
    assert content.values == {}


def test_named_metric_of_an_unknown_node_is_read() -> None:
    payload = payload_pb2.Payload(seq=5)
    payload.metrics.append(
        sparkplug_metrics.metric(sparkplug_metrics.RECEIPTS, b"batch", timestamp_ms=1)
    )

    content = SparkplugHost().data("pi-1", payload, now_ms=0)

    assert content.values == {sparkplug_metrics.RECEIPTS: b"batch"}


def test_unknown_alias_asks_for_a_rebirth() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth())

    assert host.data("pi-1", data(1, alias=99), now_ms=0).ask_rebirth


def test_rebirth_request_is_repeated_only_after_an_interval() -> None:
    host = SparkplugHost()

    asked = [
        host.data("pi-1", data(n), now_ms=now).ask_rebirth
        for n, now in enumerate([0, 1, REBIRTH_INTERVAL_MS - 1, REBIRTH_INTERVAL_MS])
    ]

    assert asked == [True, False, False, True]


def test_data_after_a_rebirth_asks_for_nothing() -> None:
    host = SparkplugHost()
    host.data("pi-1", data(9), now_ms=0)

    host.birth("pi-1", birth())

    assert not host.data("pi-1", data(1), now_ms=1).ask_rebirth


def test_data_after_death_asks_for_a_birth() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth(bd_seq=3))
    host.death("pi-1", death(3))

    assert host.online() == []
    assert host.data("pi-1", data(1), now_ms=0).ask_rebirth


def test_late_death_of_an_earlier_connection_changes_nothing() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth(bd_seq=4))

    host.death("pi-1", death(3))

    assert host.online() == ["pi-1"]


def test_content_reports_births_and_deaths() -> None:
    host = SparkplugHost()

    assert host.birth("pi-1", birth(bd_seq=3)).online is True
    assert host.data("pi-1", data(1), now_ms=0).online is None
    assert host.death("pi-1", death(2)).online is None
    assert host.death("pi-1", death(3)).online is False


def test_reconnected_host_asks_sending_nodes_for_a_birth() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth())

    host.end_all()

    assert host.online() == []
    content = host.data("pi-1", data(1), now_ms=0)
    assert content.ask_rebirth
    assert content.values == {sparkplug_metrics.RECEIPTS: b"batch"}


def test_death_of_an_unknown_node_changes_nothing() -> None:
    host = SparkplugHost()

    host.death("pi-1", death(0))

    assert host.online() == []


def test_null_metric_becomes_none() -> None:
    host = SparkplugHost()
    payload = birth()
    payload.metrics[1].is_null = True

    assert host.birth("pi-1", payload).values == {
        sparkplug_metrics.BD_SEQ: 0,
        sparkplug_metrics.RECEIPTS: None,
    }


def test_death_without_a_bd_seq_does_not_end_a_birth_with_one() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth(bd_seq=1))

    host.death("pi-1", payload_pb2.Payload())
    truth = sparkplug_metrics.metric(sparkplug_metrics.BD_SEQ, value=True, timestamp_ms=1)
    host.death("pi-1", payload_pb2.Payload(metrics=[truth]))

    assert host.online() == ["pi-1"]


def test_command_uses_the_alias_of_the_birth_or_else_the_name() -> None:
    host = SparkplugHost()
    host.birth("pi-1", birth())

    command = host.command(
        "pi-1", {sparkplug_metrics.RECEIPTS: b"x", sparkplug_metrics.BATTERY: None}, now_ms=5
    )

    by_alias, by_name = command.metrics
    assert (by_alias.alias, by_alias.HasField("name")) == (ALIAS, False)
    assert (by_name.name, by_name.HasField("alias"), by_name.is_null) == (
        sparkplug_metrics.BATTERY,
        False,
        True,
    )
    assert not command.HasField("seq")
    assert not any(entry.HasField("datatype") for entry in command.metrics)


def test_node_is_not_asked_for_its_birth_again_at_once() -> None:
    host = SparkplugHost()

    asked = host.rebirth("pi-1", now_ms=0)

    assert [(entry.name, entry.boolean_value) for entry in asked.metrics] == [
        (sparkplug_metrics.REBIRTH, True)
    ]
    assert not host.data("pi-1", data(5), now_ms=1).ask_rebirth
    assert host.data("pi-1", data(6), now_ms=REBIRTH_INTERVAL_MS).ask_rebirth


def test_node_is_online_from_its_birth_to_its_death() -> None:
    host = SparkplugHost()
    seen = [host.is_online("pi-1")]

    host.birth("pi-1", birth(bd_seq=3))
    seen.append(host.is_online("pi-1"))
    host.end_all()
    seen.append(host.is_online("pi-1"))

    assert seen == [False, True, False]
