"""Reads what a node and a host sent, for the statements of the specification."""

import itertools
from collections.abc import Callable

from nestling import sparkplug_metrics, topics
from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import metric_value
from tests.support.mqtt_tap import Connect, Packet, Publish
from tests.support.reporting_device import DEVICE
from tests.support.sparkplug_talk import STRANGER, Talk

NBIRTH, NDATA, NDEATH, NCMD = (
    topics.sparkplug(kind, DEVICE) for kind in ("NBIRTH", "NDATA", "NDEATH", "NCMD")
)
# Of 2020 and of 2100: what lies between is a time of a clock in UTC milliseconds.
EPOCH_MS, END_MS = 1_577_836_800_000, 4_102_444_800_000

Check = Callable[[Talk], bool]


def plain(talk: Talk, kind: str) -> bool:
    """Whether there are such messages, all with QoS 0 and not retained."""
    sent = talk.sent(kind)
    return bool(sent) and all((one.qos, one.retain) == (0, False) for one in sent)


def dated(talk: Talk, kind: str) -> bool:
    """Whether there are such messages, all with a time of now."""
    found = talk.payloads(kind)
    return bool(found) and all(EPOCH_MS < one.timestamp < END_MS for one in found)


def birth(talk: Talk) -> payload_pb2.Payload:
    """The first birth certificate."""
    return talk.payloads("NBIRTH")[0]


def named(payload: payload_pb2.Payload, name: str) -> sparkplug_metrics.Metric:
    """A metric of a certificate."""
    (found,) = (entry for entry in payload.metrics if entry.name == name)
    return found


def will(talk: Talk) -> payload_pb2.Payload:
    """What the device's Will says."""
    return payload_pb2.Payload.FromString(talk.node_will.payload)


def bd_seq(payload: payload_pb2.Payload) -> int:
    """Birth-death number of a certificate."""
    return named(payload, sparkplug_metrics.BD_SEQ).long_value


def seqs(talk: Talk) -> list[int]:
    """Numbers of births and data, in their order."""
    sent = [one for one in talk.node if isinstance(one, Publish) and one.topic in {NBIRTH, NDATA}]
    return [payload_pb2.Payload.FromString(one.payload).seq for one in sent]


def counts_up(found: list[int]) -> bool:
    """Whether each number but a birth's is one more than the one before, modulo 256."""
    pairs = itertools.pairwise(found)
    return found[0] == 0 and all(later in {0, (earlier + 1) % 256} for earlier, later in pairs)


def rebirth_request(talk: Talk) -> sparkplug_metrics.Metric:
    """The host's question to the node whose birth it never heard."""
    (sent,) = (one for one in talk.sent("NCMD") if one.topic.endswith(STRANGER))
    (entry,) = payload_pb2.Payload.FromString(sent.payload).metrics
    return entry


def commands(talk: Talk) -> list[sparkplug_metrics.Metric]:
    """What the host wrote to the device that was born."""
    sent = [one for one in talk.sent("NCMD") if one.topic == NCMD]
    return [e for one in sent for e in payload_pb2.Payload.FromString(one.payload).metrics]


def position(packets: list[Packet], topic: str) -> int:
    """Where a topic is published first."""
    return next(
        index
        for index, one in enumerate(packets)
        if isinstance(one, Publish) and one.topic == topic
    )


def first_message(packets: list[Packet]) -> Publish:
    """What a connection publishes first."""
    return next(one for one in packets if isinstance(one, Publish))


def clean(packets: list[Packet]) -> bool:
    """Whether every session is a clean one."""
    found = [one for one in packets if isinstance(one, Connect)]
    return bool(found) and all(one.clean_session for one in found)


def retained_once(talk: Talk, *, online: bool) -> bool:
    """Whether every such STATE is retained, with QoS 1, under the host's id."""
    found = zip(talk.sent_states, talk.states, strict=True)
    sent = [one for one, state in found if state.online is online]
    return bool(sent) and all((one.qos, one.retain) == (1, True) for one in sent)


def is_rebirth(entry: sparkplug_metrics.Metric) -> bool:
    return (entry.name, entry.boolean_value) == (sparkplug_metrics.REBIRTH, True)


def repeats_only_receipts(talk: Talk) -> bool:
    """Whether no gauge is told again within a session without having changed."""
    known: dict[int, object] = {}
    for one in (p for p in talk.node if isinstance(p, Publish) and p.topic in {NBIRTH, NDATA}):
        payload = payload_pb2.Payload.FromString(one.payload)
        for entry in payload.metrics:
            same = entry.alias in known and known[entry.alias] == metric_value(entry)
            if one.topic == NDATA and same:
                return False
            known[entry.alias] = metric_value(entry)
    return True


def subscribes_first(talk: Talk) -> bool:
    """Whether the host asks for its own STATE and the fleet's messages before it says anything."""
    before = talk.host[: position(talk.host, topics.HOST_STATE)]
    wanted = {topics.HOST_STATE, *(topics.sparkplug(k, "+") for k in ("NBIRTH", "NDATA", "NDEATH"))}
    return wanted <= talk.subscribed(before).keys()


def alias_of(talk: Talk, name: str) -> int:
    return named(birth(talk), name).alias


def reports(talk: Talk, name: str) -> list[object]:
    """What the device said of a metric in data messages."""
    wanted = alias_of(talk, name)
    return [metric_value(entry) for entry in talk.entries("NDATA") if entry.alias == wanted]


def is_state_birth(talk: Talk) -> bool:
    return talk.states[0].online and EPOCH_MS < talk.states[0].timestamp_ms < END_MS
