"""Reads the messages of a node and a host, to check the statements of the specification."""

import itertools
from collections.abc import Callable

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import metric_value
from tests.support.mqtt_tap import Connect, Packet, Publish
from tests.support.reporting_device import DEVICE
from tests.support.sparkplug_exchange import UNBORN, Exchange

NBIRTH, NDATA, NDEATH, NCMD = (
    topics.sparkplug(kind, DEVICE) for kind in ("NBIRTH", "NDATA", "NDEATH", "NCMD")
)
# 2020 and 2100: a number between them is plausible as a time in UTC milliseconds.
EPOCH_MS, END_MS = 1_577_836_800_000, 4_102_444_800_000

Check = Callable[[Exchange], bool]


def plain(exchange: Exchange, kind: str) -> bool:
    """Return whether messages of a kind exist, all with QoS 0 and not retained."""
    sent = exchange.sent(kind)
    return bool(sent) and all((one.qos, one.retain) == (0, False) for one in sent)


def dated(exchange: Exchange, kind: str) -> bool:
    """Return whether messages of a kind exist, all with a plausible time."""
    found = exchange.payloads(kind)
    return bool(found) and all(EPOCH_MS < one.timestamp < END_MS for one in found)


def birth(exchange: Exchange) -> payload_pb2.Payload:
    """Return the first birth certificate."""
    return exchange.payloads("NBIRTH")[0]


def named(payload: payload_pb2.Payload, name: str) -> sparkplug_metrics.Metric:
    """Return a metric of a payload by its name."""
    (found,) = (entry for entry in payload.metrics if entry.name == name)
    return found


def will(exchange: Exchange) -> payload_pb2.Payload:
    """Return the payload of the device's Will."""
    return payload_pb2.Payload.FromString(exchange.node_will.payload)


def bd_seq(payload: payload_pb2.Payload) -> int:
    """Return the birth-death sequence number of a certificate."""
    return named(payload, sparkplug_metrics.BD_SEQ).long_value


def seqs(exchange: Exchange) -> list[int]:
    """Return the sequence numbers of births and data, in order."""
    sent = [
        one for one in exchange.node if isinstance(one, Publish) and one.topic in {NBIRTH, NDATA}
    ]
    return [payload_pb2.Payload.FromString(one.payload).seq for one in sent]


def counts_up(found: list[int]) -> bool:
    """Return whether each number except a birth's is one more than the last, modulo 256."""
    pairs = itertools.pairwise(found)
    return found[0] == 0 and all(later in {0, (earlier + 1) % 256} for earlier, later in pairs)


def rebirth_request(exchange: Exchange) -> sparkplug_metrics.Metric:
    """Return the host's rebirth request to the node whose birth it did not receive."""
    (sent,) = (one for one in exchange.sent("NCMD") if one.topic.endswith(UNBORN))
    (entry,) = payload_pb2.Payload.FromString(sent.payload).metrics
    return entry


def commands(exchange: Exchange) -> list[sparkplug_metrics.Metric]:
    """Return the metrics of the host's commands to the device."""
    sent = [one for one in exchange.sent("NCMD") if one.topic == NCMD]
    return [e for one in sent for e in payload_pb2.Payload.FromString(one.payload).metrics]


def position(packets: list[Packet], topic: str) -> int:
    """Return the index of the first message on a topic."""
    return next(
        index
        for index, one in enumerate(packets)
        if isinstance(one, Publish) and one.topic == topic
    )


def first_message(packets: list[Packet]) -> Publish:
    """Return the first message of a connection."""
    return next(one for one in packets if isinstance(one, Publish))


def clean(packets: list[Packet]) -> bool:
    """Return whether every connection uses a clean session."""
    found = [one for one in packets if isinstance(one, Connect)]
    return bool(found) and all(one.clean_session for one in found)


def retained_once(exchange: Exchange, *, online: bool) -> bool:
    """Return whether every STATE with this value of `online` is retained, with QoS 1."""
    found = zip(exchange.sent_states, exchange.states, strict=True)
    sent = [one for one, state in found if state.online is online]
    return bool(sent) and all((one.qos, one.retain) == (1, True) for one in sent)


def is_rebirth(entry: sparkplug_metrics.Metric) -> bool:
    return (entry.name, entry.boolean_value) == (sparkplug_metrics.REBIRTH, True)


def repeats_only_receipts(exchange: Exchange) -> bool:
    """Return whether no gauge is reported again within a session without a change."""
    known: dict[int, object] = {}
    for one in (p for p in exchange.node if isinstance(p, Publish) and p.topic in {NBIRTH, NDATA}):
        payload = payload_pb2.Payload.FromString(one.payload)
        for entry in payload.metrics:
            same = entry.alias in known and known[entry.alias] == metric_value(entry)
            if one.topic == NDATA and same:
                return False
            known[entry.alias] = metric_value(entry)
    return True


def subscribes_first(exchange: Exchange) -> bool:
    """Return whether the host subscribes to STATE and the fleet's messages before publishing."""
    before = exchange.host[: position(exchange.host, topics.HOST_STATE)]
    wanted = {topics.HOST_STATE, *(topics.sparkplug(k, "+") for k in ("NBIRTH", "NDATA", "NDEATH"))}
    return wanted <= exchange.subscribed(before).keys()


def alias_of(exchange: Exchange, name: str) -> int:
    return named(birth(exchange), name).alias


def reports(exchange: Exchange, name: str) -> list[object]:
    """Return the values of a metric in the device's data messages."""
    wanted = alias_of(exchange, name)
    return [metric_value(entry) for entry in exchange.entries("NDATA") if entry.alias == wanted]


def is_state_birth(exchange: Exchange) -> bool:
    return exchange.states[0].online and EPOCH_MS < exchange.states[0].timestamp_ms < END_MS
