"""Checks of the statements in Eclipse Sparkplug 3.0 about edge nodes.

The keys are the statements' ids without "tck-id-".
"""

from nestling import sparkplug_metrics
from nestling.sparkplug.v1 import payload_pb2
from nestling.sparkplug_metrics import metric_value
from tests.support.mqtt_tap import Connect, Publish
from tests.support.reporting_device import DEVICE
from tests.support.sparkplug_exchange import RECEIPTS, ends_with_disconnect
from tests.support.sparkplug_reading import (
    END_MS,
    EPOCH_MS,
    NBIRTH,
    NCMD,
    NDATA,
    NDEATH,
    Check,
    bd_seq,
    birth,
    clean,
    commands,
    counts_up,
    dated,
    first_message,
    named,
    plain,
    position,
    repeats_only_receipts,
    reports,
    seqs,
    will,
)

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
    "topics-nbirth-bdseq-included": lambda t: named(birth(t), sparkplug_metrics.BD_SEQ).HasField(
        "long_value"
    ),
    "topics-nbirth-bdseq-matching": lambda t: bd_seq(birth(t)) == bd_seq(will(t)),
    "topics-nbirth-bdseq-increment": lambda t: bd_seq(birth(t)) == 0,
    "topics-nbirth-rebirth-metric": lambda t: (
        named(birth(t), sparkplug_metrics.REBIRTH).boolean_value is False
    ),
    "topics-ndata-topic": lambda t: {one.topic for one in t.sent("NDATA")} == {NDATA},
    "topics-ndata-mqtt": lambda t: plain(t, "NDATA"),
    "topics-ndata-seq-num": lambda t: counts_up(seqs(t)),
    "topics-ndata-timestamp": lambda t: dated(t, "NDATA"),
    "topics-ndata-payload": lambda t: "pi-5" in reports(t, sparkplug_metrics.PROFILE),
    "topics-ndeath-topic": lambda t: t.node_will.topic == NDEATH,
    "topics-ndeath-payload": lambda t: (
        [e.name for e in will(t).metrics] == [sparkplug_metrics.BD_SEQ]
    ),
    "topics-ndeath-seq": lambda t: not will(t).HasField("seq"),
    "message-flow-edge-node-ncmd-subscribe": lambda t: t.subscribed(t.node)[NCMD] == 1,
    "message-flow-edge-node-birth-publish-connect": lambda t: isinstance(t.node[0], Connect),
    "message-flow-edge-node-birth-publish-will-message": lambda t: bool(t.node_will.payload),
    "message-flow-edge-node-birth-publish-will-message-topic": lambda t: (
        t.node_will.topic == NDEATH
    ),
    "message-flow-edge-node-birth-publish-will-message-payload": lambda t: bool(will(t).metrics),
    "message-flow-edge-node-birth-publish-will-message-payload-bdSeq": lambda t: (
        named(will(t), sparkplug_metrics.BD_SEQ).datatype == payload_pb2.DATA_TYPE_INT64
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
        named(birth(t), sparkplug_metrics.BD_SEQ).datatype == payload_pb2.DATA_TYPE_INT64
    ),
    "message-flow-edge-node-birth-publish-nbirth-qos": lambda t: t.sent("NBIRTH")[0].qos == 0,
    "message-flow-edge-node-birth-publish-nbirth-retained": lambda t: (
        not t.sent("NBIRTH")[0].retain
    ),
    "message-flow-edge-node-birth-publish-nbirth-payload-seq": lambda t: birth(t).seq == 0,
    "operational-behavior-edge-node-intentional-disconnect-ndeath": lambda t: ends_with_disconnect(
        t.node, NDEATH
    ),
    "operational-behavior-edge-node-intentional-disconnect-packet": lambda t: ends_with_disconnect(
        t.node, NDEATH
    ),
    # The host's offline STATE had an older timestamp, so the device kept sending its receipts. See
    # also test_host_state.py.
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
        named(birth(t), sparkplug_metrics.REBIRTH).name
    ),
    "operational-behavior-data-commands-rebirth-name-aliases": lambda t: (
        not named(birth(t), sparkplug_metrics.REBIRTH).HasField("alias")
    ),
    "operational-behavior-data-commands-rebirth-datatype": lambda t: (
        named(birth(t), sparkplug_metrics.REBIRTH).datatype == payload_pb2.DATA_TYPE_BOOLEAN
    ),
    "operational-behavior-data-commands-rebirth-value": lambda t: (
        metric_value(named(birth(t), sparkplug_metrics.REBIRTH)) is False
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
        e.name and (e.HasField("alias") or e.name == sparkplug_metrics.REBIRTH)
        for e in birth(t).metrics
    ),
    "payloads-alias-data-cmd-requirement": lambda t: all(
        e.HasField("alias") and not e.HasField("name") for e in [*t.entries("NDATA"), *commands(t)]
    ),
    "payloads-name-birth-data-requirement": lambda t: all(
        e.HasField("timestamp") for e in [*t.entries("NBIRTH"), *t.entries("NDATA")]
    ),
    "payloads-metric-timestamp-in-UTC": lambda t: all(
        EPOCH_MS < e.timestamp < END_MS for e in [*t.entries("NBIRTH"), *t.entries("NDATA")]
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
    "payloads-nbirth-bdseq": lambda t: named(birth(t), sparkplug_metrics.BD_SEQ).HasField(
        "long_value"
    ),
    "payloads-nbirth-bdseq-repeat": lambda t: bd_seq(birth(t)) == bd_seq(will(t)),
    "payloads-nbirth-rebirth-req": lambda t: named(birth(t), sparkplug_metrics.REBIRTH).HasField(
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
    "payloads-ndeath-will-message-publisher": lambda t: ends_with_disconnect(t.node, NDEATH),
    "payloads-ndeath-will-message-publisher-disconnect-mqtt311": lambda t: ends_with_disconnect(
        t.node, NDEATH
    ),
}
