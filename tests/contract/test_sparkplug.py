"""Eclipse Sparkplug 3.0, statement by statement, on what our node and our host really send.

Ids are those of the specification's statements, without "tck-id-". Those that do not apply to us
are listed with the reason, so that none is forgotten.
"""

import itertools
from collections.abc import Callable

import pytest
from tests.mqtt_tap import Connect, Packet, Publish
from tests.reporting_device import DEVICE
from tests.sparkplug_talk import RECEIPTS, STRANGER, Talk, ends_with_goodbye, hold_talk

from nestling import metrics, topics
from nestling.metrics import metric_value
from nestling.sparkplug.v1 import payload_pb2

NBIRTH, NDATA, NDEATH, NCMD = (
    topics.sparkplug(kind, DEVICE) for kind in ("NBIRTH", "NDATA", "NDEATH", "NCMD")
)
# Of 2020 and of 2100: what lies between is a time of a clock in UTC milliseconds.
_EPOCH_MS, _END_MS = 1_577_836_800_000, 4_102_444_800_000

Check = Callable[[Talk], bool]


def plain(talk: Talk, kind: str) -> bool:
    """Whether there are such messages, all with QoS 0 and not retained."""
    sent = talk.sent(kind)
    return bool(sent) and all((one.qos, one.retain) == (0, False) for one in sent)


def dated(talk: Talk, kind: str) -> bool:
    """Whether there are such messages, all with a time of now."""
    found = talk.payloads(kind)
    return bool(found) and all(_EPOCH_MS < one.timestamp < _END_MS for one in found)


def birth(talk: Talk) -> payload_pb2.Payload:
    """The first birth certificate."""
    return talk.payloads("NBIRTH")[0]


def named(payload: payload_pb2.Payload, name: str) -> metrics.Metric:
    """A metric of a certificate."""
    (found,) = (entry for entry in payload.metrics if entry.name == name)
    return found


def will(talk: Talk) -> payload_pb2.Payload:
    """What the device's Will says."""
    return payload_pb2.Payload.FromString(talk.node_will.payload)


def bd_seq(payload: payload_pb2.Payload) -> int:
    """Birth-death number of a certificate."""
    return named(payload, metrics.BD_SEQ).long_value


def seqs(talk: Talk) -> list[int]:
    """Numbers of births and data, in their order."""
    sent = [one for one in talk.node if isinstance(one, Publish) and one.topic in {NBIRTH, NDATA}]
    return [payload_pb2.Payload.FromString(one.payload).seq for one in sent]


def counts_up(found: list[int]) -> bool:
    """Whether each number but a birth's is one more than the one before, modulo 256."""
    pairs = itertools.pairwise(found)
    return found[0] == 0 and all(later in {0, (earlier + 1) % 256} for earlier, later in pairs)


def rebirth_request(talk: Talk) -> metrics.Metric:
    """The host's question to the node whose birth it never heard."""
    (sent,) = (one for one in talk.sent("NCMD") if one.topic.endswith(STRANGER))
    (entry,) = payload_pb2.Payload.FromString(sent.payload).metrics
    return entry


def commands(talk: Talk) -> list[metrics.Metric]:
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


def is_rebirth(entry: metrics.Metric) -> bool:
    return (entry.name, entry.boolean_value) == (metrics.REBIRTH, True)


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
    return talk.states[0].online and _EPOCH_MS < talk.states[0].timestamp_ms < _END_MS


NODE: dict[str, Check] = {
    "intro-group-id-string": lambda t: t.sent("NBIRTH")[0].topic.split("/")[1] == "nestling",
    "intro-group-id-chars": lambda t: not set("+/#") & set(t.sent("NBIRTH")[0].topic.split("/")[1]),
    "intro-edge-node-id-string": lambda t: t.sent("NBIRTH")[0].topic.split("/")[3] == DEVICE,
    "intro-edge-node-id-chars": lambda t: (
        not set("+/#") & set(t.sent("NBIRTH")[0].topic.split("/")[3])
    ),
    "principles-birth-certificates-order": lambda t: first_message(t.node).topic == NBIRTH,
    "principles-persistence-clean-session-311": lambda t: clean(t.node),
    "principles-rbe-recommended": repeats_only_receipts,
    "topic-structure": lambda t: all(len(p.topic.split("/")) == 4 for p in t.sent("NDATA")),
    "topic-structure-namespace-a": lambda t: (
        NBIRTH.split("/")[0] == "spBv1.0" and bool(t.sent("NBIRTH"))
    ),
    "topic-structure-namespace-valid-group-id": lambda t: t.sent("NDATA")[0].topic == NDATA,
    "topic-structure-namespace-valid-edge-node-id": lambda t: t.sent("NDATA")[0].topic == NDATA,
    "topic-structure-namespace-device-id-associated-message-types": lambda t: all(
        one.topic in {NBIRTH, NDATA, NDEATH} for one in t.node if isinstance(one, Publish)
    ),
    "topics-nbirth-topic": lambda t: {one.topic for one in t.sent("NBIRTH")} == {NBIRTH},
    "topics-nbirth-mqtt": lambda t: plain(t, "NBIRTH"),
    "topics-nbirth-seq-num": lambda t: all(
        p.HasField("seq") and p.seq == 0 for p in t.payloads("NBIRTH")
    ),
    "topics-nbirth-timestamp": lambda t: dated(t, "NBIRTH"),
    "topics-nbirth-metric-reqs": lambda t: (
        {e.alias for e in t.entries("NDATA")} <= {e.alias for e in birth(t).metrics}
    ),
    "topics-nbirth-metrics": lambda t: all(e.name and e.datatype for e in t.entries("NBIRTH")),
    "topics-nbirth-bdseq-included": lambda t: named(birth(t), metrics.BD_SEQ).HasField(
        "long_value"
    ),
    "topics-nbirth-bdseq-matching": lambda t: bd_seq(birth(t)) == bd_seq(will(t)),
    "topics-nbirth-bdseq-increment": lambda t: bd_seq(birth(t)) == 0,
    "topics-nbirth-rebirth-metric": lambda t: (
        named(birth(t), metrics.REBIRTH).boolean_value is False
    ),
    "topics-ndata-topic": lambda t: {one.topic for one in t.sent("NDATA")} == {NDATA},
    "topics-ndata-mqtt": lambda t: plain(t, "NDATA"),
    "topics-ndata-seq-num": lambda t: counts_up(seqs(t)),
    "topics-ndata-timestamp": lambda t: dated(t, "NDATA"),
    "topics-ndata-payload": lambda t: "pi-5" in reports(t, metrics.PROFILE),
    "topics-ndeath-topic": lambda t: t.node_will.topic == NDEATH,
    "topics-ndeath-payload": lambda t: [e.name for e in will(t).metrics] == [metrics.BD_SEQ],
    "topics-ndeath-seq": lambda t: not will(t).HasField("seq"),
    "message-flow-edge-node-ncmd-subscribe": lambda t: t.subscribed(t.node)[NCMD] == 1,
    "message-flow-edge-node-birth-publish-connect": lambda t: isinstance(t.node[0], Connect),
    "message-flow-edge-node-birth-publish-will-message": lambda t: bool(t.node_will.payload),
    "message-flow-edge-node-birth-publish-will-message-topic": lambda t: (
        t.node_will.topic == NDEATH
    ),
    "message-flow-edge-node-birth-publish-will-message-payload": lambda t: bool(will(t).metrics),
    "message-flow-edge-node-birth-publish-will-message-payload-bdSeq": lambda t: (
        named(will(t), metrics.BD_SEQ).datatype == payload_pb2.DATA_TYPE_INT64
        and bd_seq(will(t)) <= 255
    ),
    "message-flow-edge-node-birth-publish-will-message-qos": lambda t: t.node_will.qos == 1,
    "message-flow-edge-node-birth-publish-will-message-will-retained": lambda t: (
        not t.node_will.retain
    ),
    "message-flow-edge-node-birth-publish-nbirth-topic": lambda t: (
        t.sent("NBIRTH")[0].topic == NBIRTH
    ),
    "message-flow-edge-node-birth-publish-nbirth-payload": lambda t: bool(birth(t).metrics),
    "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq": lambda t: (
        named(birth(t), metrics.BD_SEQ).datatype == payload_pb2.DATA_TYPE_INT64
    ),
    "message-flow-edge-node-birth-publish-nbirth-qos": lambda t: t.sent("NBIRTH")[0].qos == 0,
    "message-flow-edge-node-birth-publish-nbirth-retained": lambda t: (
        not t.sent("NBIRTH")[0].retain
    ),
    "message-flow-edge-node-birth-publish-nbirth-payload-seq": lambda t: birth(t).seq == 0,
    "operational-behavior-edge-node-intentional-disconnect-ndeath": lambda t: ends_with_goodbye(
        t.node, NDEATH
    ),
    "operational-behavior-edge-node-intentional-disconnect-packet": lambda t: ends_with_goodbye(
        t.node, NDEATH
    ),
    # Said to be older, the death of the host kept nothing back: see test_host_state.py as well.
    "operational-behavior-edge-node-termination-host-offline-timestamp": lambda t: (
        t.stored == RECEIPTS + 2
    ),
    "operational-behavior-data-publish-nbirth": lambda t: (
        {e.alias for e in t.entries("NDATA")} <= {e.alias for e in birth(t).metrics}
    ),
    "operational-behavior-data-publish-nbirth-values": lambda t: all(
        e.is_null or e.WhichOneof("value") for e in t.entries("NBIRTH")
    ),
    "operational-behavior-data-publish-nbirth-change": repeats_only_receipts,
    "operational-behavior-data-publish-nbirth-order": lambda t: all(
        [e.timestamp for e in p.metrics] == sorted(e.timestamp for e in p.metrics)
        for p in [*t.payloads("NBIRTH"), *t.payloads("NDATA")]
    ),
    "operational-behavior-data-commands-rebirth-name": lambda t: bool(
        named(birth(t), metrics.REBIRTH).name
    ),
    "operational-behavior-data-commands-rebirth-name-aliases": lambda t: (
        not named(birth(t), metrics.REBIRTH).HasField("alias")
    ),
    "operational-behavior-data-commands-rebirth-datatype": lambda t: (
        named(birth(t), metrics.REBIRTH).datatype == payload_pb2.DATA_TYPE_BOOLEAN
    ),
    "operational-behavior-data-commands-rebirth-value": lambda t: (
        metric_value(named(birth(t), metrics.REBIRTH)) is False
    ),
    "operational-behavior-data-commands-rebirth-action-1": lambda t: (
        seqs(t).count(0) >= len(t.sent("NBIRTH")) == 2
    ),
    "operational-behavior-data-commands-rebirth-action-2": lambda t: (
        len(t.payloads("NBIRTH")[1].metrics) == len(birth(t).metrics)
    ),
    "operational-behavior-data-commands-rebirth-action-3": lambda t: (
        bd_seq(t.payloads("NBIRTH")[1]) == bd_seq(will(t))
    ),
    "payloads-timestamp-in-UTC": lambda t: (
        dated(t, "NBIRTH") and dated(t, "NDATA") and dated(t, "NDEATH")
    ),
    "payloads-sequence-num-always-included": lambda t: all(
        p.HasField("seq") for p in t.payloads("NDATA")
    ),
    "payloads-sequence-num-zero-nbirth": lambda t: birth(t).seq == 0,
    "payloads-sequence-num-incrementing": lambda t: counts_up(seqs(t)),
    "payloads-name-requirement": lambda t: all(
        e.name or e.alias for e in [*t.entries("NBIRTH"), *t.entries("NDATA")]
    ),
    "payloads-alias-uniqueness": lambda t: (
        len({e.alias for e in birth(t).metrics}) == len(birth(t).metrics)
    ),
    "payloads-alias-birth-requirement": lambda t: all(
        e.name and (e.HasField("alias") or e.name == metrics.REBIRTH) for e in birth(t).metrics
    ),
    "payloads-alias-data-cmd-requirement": lambda t: all(
        e.HasField("alias") and not e.HasField("name") for e in [*t.entries("NDATA"), *commands(t)]
    ),
    "payloads-name-birth-data-requirement": lambda t: all(
        e.HasField("timestamp") for e in [*t.entries("NBIRTH"), *t.entries("NDATA")]
    ),
    "payloads-metric-timestamp-in-UTC": lambda t: all(
        _EPOCH_MS < e.timestamp < _END_MS for e in [*t.entries("NBIRTH"), *t.entries("NDATA")]
    ),
    "payloads-metric-datatype-value-type": lambda t: all(
        e.HasField("datatype") for e in birth(t).metrics
    ),
    "payloads-metric-datatype-value": lambda t: all(
        e.datatype in payload_pb2.DataType.values() for e in birth(t).metrics
    ),
    "payloads-metric-datatype-req": lambda t: all(e.datatype for e in t.entries("NBIRTH")),
    "payloads-metric-datatype-not-req": lambda t: (
        not any(e.HasField("datatype") for e in [*t.entries("NDATA"), *t.entries("NCMD")])
    ),
    "payloads-nbirth-timestamp": lambda t: dated(t, "NBIRTH"),
    "payloads-nbirth-seq": lambda t: birth(t).HasField("seq"),
    "payloads-nbirth-bdseq": lambda t: named(birth(t), metrics.BD_SEQ).HasField("long_value"),
    "payloads-nbirth-bdseq-repeat": lambda t: bd_seq(birth(t)) == bd_seq(will(t)),
    "payloads-nbirth-rebirth-req": lambda t: named(birth(t), metrics.REBIRTH).HasField(
        "boolean_value"
    ),
    "payloads-nbirth-qos": lambda t: plain(t, "NBIRTH"),
    "payloads-nbirth-retain": lambda t: plain(t, "NBIRTH"),
    "payloads-ndata-timestamp": lambda t: dated(t, "NDATA"),
    "payloads-ndata-seq": lambda t: all(p.HasField("seq") for p in t.payloads("NDATA")),
    "payloads-ndata-seq-inc": lambda t: counts_up(seqs(t)),
    "payloads-ndata-order": lambda t: position(t.node, NBIRTH) < position(t.node, NDATA),
    "payloads-ndata-qos": lambda t: plain(t, "NDATA"),
    "payloads-ndata-retain": lambda t: plain(t, "NDATA"),
    "payloads-ndeath-seq": lambda t: not any(p.HasField("seq") for p in t.payloads("NDEATH")),
    "payloads-ndeath-will-message": lambda t: t.node_will.topic == NDEATH,
    "payloads-ndeath-will-message-qos": lambda t: t.node_will.qos == 1,
    "payloads-ndeath-will-message-retain": lambda t: not t.node_will.retain,
    "payloads-ndeath-bdseq": lambda t: bd_seq(t.payloads("NDEATH")[0]) == bd_seq(will(t)),
    "payloads-ndeath-will-message-publisher": lambda t: ends_with_goodbye(t.node, NDEATH),
    "payloads-ndeath-will-message-publisher-disconnect-mqtt311": lambda t: ends_with_goodbye(
        t.node, NDEATH
    ),
}

HOST: dict[str, Check] = {
    "intro-sparkplug-host-state": is_state_birth,
    "components-ph-state": is_state_birth,
    "conformance-primary-host": lambda t: [s.online for s in t.states] == [True, True, False],
    "topics-ncmd-topic": lambda t: NCMD in {one.topic for one in t.sent("NCMD")},
    "topics-ncmd-mqtt": lambda t: plain(t, "NCMD"),
    "topics-ncmd-timestamp": lambda t: dated(t, "NCMD"),
    "topics-ncmd-payload": lambda t: (
        alias_of(t, metrics.OFFLOAD_TARGET) in {e.alias for e in commands(t)}
    ),
    "host-topic-phid-birth-message": lambda t: first_message(t.host).topic == topics.HOST_STATE,
    "host-topic-phid-birth-qos": lambda t: retained_once(t, online=True),
    "host-topic-phid-birth-retain": lambda t: retained_once(t, online=True),
    "host-topic-phid-birth-topic": lambda t: (
        t.sent_states[0].topic == "spBv1.0/STATE/nestling-cloud"
    ),
    "host-topic-phid-birth-sub-required": subscribes_first,
    "host-topic-phid-birth-required": subscribes_first,
    "host-topic-phid-birth-payload": is_state_birth,
    "host-topic-phid-birth-payload-timestamp": lambda t: (
        t.host_will.payload == (b'{"online": false, "timestamp": %d}' % t.states[0].timestamp_ms)
    ),
    "host-topic-phid-death-qos": lambda t: t.host_will.qos == 1 and retained_once(t, online=False),
    "host-topic-phid-death-retain": lambda t: t.host_will.retain and retained_once(t, online=False),
    "host-topic-phid-death-topic": lambda t: t.host_will.topic == topics.HOST_STATE,
    "host-topic-phid-death-required": lambda t: bool(t.host_will.payload),
    "host-topic-phid-death-payload": lambda t: b'"online": false' in t.host_will.payload,
    "host-topic-phid-death-payload-connect": lambda t: t.host_will.payload.endswith(
        b" %d}" % t.states[0].timestamp_ms
    ),
    "host-topic-phid-death-payload-disconnect-clean": lambda t: (
        t.states[-1].timestamp_ms > t.states[0].timestamp_ms
        and ends_with_goodbye(t.host, topics.HOST_STATE)
    ),
    "message-flow-phid-sparkplug-clean-session-311": lambda t: clean(t.host),
    "message-flow-phid-sparkplug-subscription": subscribes_first,
    "message-flow-phid-sparkplug-state-publish": lambda t: t.states[0].online,
    "message-flow-phid-sparkplug-state-publish-payload": is_state_birth,
    "message-flow-phid-sparkplug-state-publish-payload-timestamp": lambda t: (
        str(t.states[0].timestamp_ms).encode() in t.host_will.payload
    ),
    "message-flow-hid-sparkplug-state-message-delivered": lambda t: t.states[1] == t.states[0],
    "operational-behavior-edge-node-termination-host-action-ndeath-node-offline": lambda t: (
        t.online == (True, False)
    ),
    # There is one quality for all that a node said: the console shows it as not connected.
    "operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale": lambda t: (
        t.online == (True, False)
    ),
    "operational-behavior-host-reordering-rebirth": lambda t: is_rebirth(rebirth_request(t)),
    "operational-behavior-primary-application-state-with-multiple-servers-state": lambda t: (
        first_message(t.host).topic == topics.HOST_STATE
    ),
    "operational-behavior-host-application-connect-will": lambda t: bool(t.host_will.payload),
    "operational-behavior-host-application-connect-will-topic": lambda t: (
        t.host_will.topic == topics.HOST_STATE
    ),
    "operational-behavior-host-application-connect-will-payload": lambda t: (
        b'"online": false' in t.host_will.payload
    ),
    "operational-behavior-host-application-connect-will-qos": lambda t: t.host_will.qos == 1,
    "operational-behavior-host-application-connect-will-retained": lambda t: t.host_will.retain,
    "operational-behavior-host-application-connect-birth": lambda t: t.states[0].online,
    "operational-behavior-host-application-connect-birth-topic": lambda t: (
        t.sent_states[0].topic == topics.HOST_STATE
    ),
    "operational-behavior-host-application-connect-birth-payload": is_state_birth,
    "operational-behavior-host-application-connect-birth-qos": lambda t: t.sent_states[0].qos == 1,
    "operational-behavior-host-application-connect-birth-retained": lambda t: (
        t.sent_states[0].retain
    ),
    "operational-behavior-host-application-termination": lambda t: not t.states[-1].online,
    "operational-behavior-host-application-death-topic": lambda t: ends_with_goodbye(
        t.host, topics.HOST_STATE
    ),
    "operational-behavior-host-application-death-payload": lambda t: (
        b'"online": false' in t.sent_states[-1].payload
    ),
    "operational-behavior-host-application-death-qos": lambda t: t.sent_states[-1].qos == 1,
    "operational-behavior-host-application-death-retained": lambda t: t.sent_states[-1].retain,
    "operational-behavior-host-application-disconnect-intentional": lambda t: ends_with_goodbye(
        t.host, topics.HOST_STATE
    ),
    "operational-behavior-data-commands-ncmd-rebirth-verb": lambda t: is_rebirth(
        rebirth_request(t)
    ),
    "operational-behavior-data-commands-ncmd-rebirth-name": lambda t: (
        rebirth_request(t).name == "Node Control/Rebirth"
    ),
    "operational-behavior-data-commands-ncmd-rebirth-value": lambda t: (
        metric_value(rebirth_request(t)) is True
    ),
    "operational-behavior-data-commands-ncmd-verb": lambda t: bool(commands(t)),
    "operational-behavior-data-commands-ncmd-metric-name": lambda t: (
        {e.alias for e in commands(t)} <= {e.alias for e in birth(t).metrics}
    ),
    "operational-behavior-data-commands-ncmd-metric-value": lambda t: (
        0.25 in reports(t, metrics.OFFLOAD_TARGET)
    ),
    "payloads-name-cmd-requirement": lambda t: all(
        e.HasField("timestamp") for e in t.entries("NCMD")
    ),
    "payloads-ncmd-timestamp": lambda t: dated(t, "NCMD"),
    "payloads-ncmd-seq": lambda t: not any(p.HasField("seq") for p in t.payloads("NCMD")),
    "payloads-ncmd-qos": lambda t: plain(t, "NCMD"),
    "payloads-ncmd-retain": lambda t: plain(t, "NCMD"),
    "payloads-state-will-message": lambda t: t.host_will.topic == topics.HOST_STATE,
    "payloads-state-will-message-qos": lambda t: t.host_will.qos == 1,
    "payloads-state-will-message-retain": lambda t: t.host_will.retain,
    "payloads-state-will-message-payload": lambda t: b'"online": false' in t.host_will.payload,
    "payloads-state-subscribe": subscribes_first,
    "payloads-state-birth": lambda t: retained_once(t, online=True),
    "payloads-state-birth-payload": is_state_birth,
}

# By the beginning of the id, and why.
NOT_OURS = {
    "intro-device-id-": "a node is a device by itself; none stands behind it",
    "intro-edge-node-id-uniqueness": "certificates keep ids apart; without TLS it is the owner's",
    "topic-structure-namespace-unique-edge-node-descriptor": "likewise",
    "payloads-nbirth-edge-node-descriptor": "likewise",
    "topic-structure-namespace-valid-device-id": "no devices behind a node",
    "topic-structure-namespace-unique-device-id": "no devices behind a node",
    "topic-structure-namespace-duplicate-device-id-": "no devices behind a node",
    "topics-dbirth-": "no devices behind a node",
    "topics-ddata-": "no devices behind a node",
    "topics-ddeath-": "no devices behind a node",
    "topics-dcmd-": "no devices behind a node",
    "message-flow-device-": "no devices behind a node",
    "operational-behavior-device-ddeath": "no devices behind a node",
    "operational-behavior-edge-node-termination-host-action-ddeath-": "no devices behind a node",
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-": "likewise",
    "operational-behavior-data-publish-dbirth": "no devices behind a node",
    "operational-behavior-data-commands-dcmd-": "no devices behind a node",
    "payloads-dbirth-": "no devices behind a node",
    "payloads-ddata-": "no devices behind a node",
    "payloads-ddeath-": "no devices behind a node",
    "payloads-dcmd-": "no devices behind a node",
    "topics-nbirth-templates": "no templates",
    "payloads-template-": "no templates",
    "payloads-dataset-": "no data sets",
    "payloads-propertyset-": "no properties",
    "payloads-metric-propertyvalue-": "no properties",
    "principles-persistence-clean-session-50": "MQTT 3.1.1 only",
    "message-flow-phid-sparkplug-clean-session-50": "MQTT 3.1.1 only",
    "payloads-ndeath-will-message-publisher-disconnect-mqtt50": "MQTT 3.1.1 only",
    "host-topic-phid-death-payload-disconnect-with-no-disconnect-packet": "we send DISCONNECT",
    "message-flow-edge-node-birth-publish-phid-": "a node waits for no host before its birth; "
    "while the host is offline it keeps its receipts",
    "operational-behavior-edge-node-termination-host-offline": "likewise: it stays connected",
    "operational-behavior-edge-node-termination-host-offline-reconnect": "one broker",
    "operational-behavior-edge-node-birth-sequence-wait": "one broker, and no wait for a host",
    "operational-behavior-primary-application-state-with-multiple-servers-s": "one broker",
    "operational-behavior-primary-application-state-with-multiple-servers-walk": "one broker",
    "operational-behavior-host-application-multi-server-timestamp": "one broker",
    "operational-behavior-host-application-host-id": "the owner's: a second cloud is survived",
    "operational-behavior-host-reordering-param": "brokers keep one client's order",
    "operational-behavior-host-reordering-start": "likewise: no time to wait for",
    "operational-behavior-host-reordering-success": "likewise",
    "case-sensitivity-": "the owner's: ids and names differ in more than case",
    "conformance-mqtt-": "of brokers",
}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """One life of a node and a host."""
    return hold_talk(tmp_path_factory.mktemp("talk"))


@pytest.mark.parametrize("statement", [*NODE, *HOST])
def test_statement_holds(talk: Talk, statement: str) -> None:
    assert {**NODE, **HOST}[statement](talk)


def test_no_statement_is_both_held_and_not_ours() -> None:
    held = {**NODE, **HOST}

    # A beginning may name a family of which one member is held all the same.
    assert not held.keys() & NOT_OURS.keys()
    assert len(held) == len(NODE) + len(HOST)
