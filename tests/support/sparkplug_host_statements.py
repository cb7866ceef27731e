"""Checks of the statements in Eclipse Sparkplug 3.0 about host applications.

The keys are the statements' ids without "tck-id-".
"""

from nestling import sparkplug_metrics, topics
from nestling.sparkplug_metrics import metric_value
from tests.support.sparkplug_exchange import ends_with_disconnect
from tests.support.sparkplug_reading import (
    NCMD,
    Check,
    alias_of,
    birth,
    clean,
    commands,
    dated,
    first_message,
    is_rebirth,
    is_state_birth,
    plain,
    rebirth_request,
    reports,
    retained_once,
    subscribes_first,
)

HOST: dict[str, Check] = {
    "intro-sparkplug-host-state": is_state_birth,
    "components-ph-state": is_state_birth,
    "conformance-primary-host": lambda t: [s.online for s in t.states] == [True, True, False],
    "topics-ncmd-topic": lambda t: NCMD in {one.topic for one in t.sent("NCMD")},
    "topics-ncmd-mqtt": lambda t: plain(t, "NCMD"),
    "topics-ncmd-timestamp": lambda t: dated(t, "NCMD"),
    "topics-ncmd-payload": lambda t: (
        alias_of(t, sparkplug_metrics.OFFLOAD_TARGET) in {e.alias for e in commands(t)}
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
        and ends_with_disconnect(t.host, topics.HOST_STATE)
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
    # All metrics of a node share one quality: the console shows the node as not connected.
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
    "operational-behavior-host-application-death-topic": lambda t: ends_with_disconnect(
        t.host, topics.HOST_STATE
    ),
    "operational-behavior-host-application-death-payload": lambda t: (
        b'"online": false' in t.sent_states[-1].payload
    ),
    "operational-behavior-host-application-death-qos": lambda t: t.sent_states[-1].qos == 1,
    "operational-behavior-host-application-death-retained": lambda t: t.sent_states[-1].retain,
    "operational-behavior-host-application-disconnect-intentional": lambda t: ends_with_disconnect(
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
        0.25 in reports(t, sparkplug_metrics.OFFLOAD_TARGET)
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
