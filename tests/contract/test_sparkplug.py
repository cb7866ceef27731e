"""What our node and our host send conforms to Eclipse Sparkplug 3.0, statement by statement.

Ids are those of the specification's statements, without "tck-id-". Statements that do not apply to
us are listed with the reason, so that none is overlooked.
"""

import pytest

from tests.support.sparkplug_exchange import Exchange, run_exchange
from tests.support.sparkplug_host_statements import HOST
from tests.support.sparkplug_node_statements import NODE

# Beginnings of ids that do not apply, with the reason.
NOT_OURS = {
    "intro-device-id-": "no devices behind a node: a node is itself the device",
    "intro-edge-node-id-uniqueness": "certificates keep ids apart; without TLS the owner has to",
    "topic-structure-namespace-unique-edge-node-descriptor": "certificates keep ids apart",
    "payloads-nbirth-edge-node-descriptor": "certificates keep ids apart",
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
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-": "no devices",
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
    "message-flow-edge-node-birth-publish-phid-": "a node does not wait for a host before its "
    "birth; while the host is offline it keeps its receipts",
    "operational-behavior-edge-node-termination-host-offline": "a node stays connected then",
    "operational-behavior-edge-node-termination-host-offline-reconnect": "one broker",
    "operational-behavior-edge-node-birth-sequence-wait": "one broker, and no wait for a host",
    "operational-behavior-primary-application-state-with-multiple-servers-s": "one broker",
    "operational-behavior-primary-application-state-with-multiple-servers-walk": "one broker",
    "operational-behavior-host-application-multi-server-timestamp": "one broker",
    "operational-behavior-host-application-host-id": "up to the owner; a second cloud does no harm",
    "operational-behavior-host-reordering-param": "brokers keep one client's order",
    "operational-behavior-host-reordering-start": "brokers keep one client's order",
    "operational-behavior-host-reordering-success": "brokers keep one client's order",
    "case-sensitivity-": "up to the owner: ids and names differ in more than case",
    "conformance-mqtt-": "for brokers",
}


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    """One life of a node and a host."""
    return run_exchange(tmp_path_factory.mktemp("exchange"))


@pytest.mark.parametrize("statement", [*NODE, *HOST])
def test_statement_holds(exchange: Exchange, statement: str) -> None:
    assert {**NODE, **HOST}[statement](exchange)


def test_no_statement_is_both_checked_and_excluded() -> None:
    held = {**NODE, **HOST}

    # A beginning may exclude a family of which one member is checked nevertheless.
    assert not held.keys() & NOT_OURS.keys()
    assert len(held) == len(NODE) + len(HOST)
