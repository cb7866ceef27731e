"""Eclipse Sparkplug 3.0, statement by statement, on what our node and our host really send.

Ids are those of the specification's statements, without "tck-id-". Those that do not apply to us
are listed with the reason, so that none is forgotten.
"""

import pytest

from tests.support.sparkplug_host_statements import HOST
from tests.support.sparkplug_node_statements import NODE
from tests.support.sparkplug_talk import Talk, hold_talk

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
