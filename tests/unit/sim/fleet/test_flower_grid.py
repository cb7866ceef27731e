from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict

from nestling_sim.fleet.flower_grid import LocalGrid

NODES: list[dict[str, str | int | float]] = [{"id": "porch"}, {"id": "attic"}]


def ask(node: int) -> Message:
    return Message(RecordDict(), node, MessageType.QUERY, group_id="1")


def reply_id(message: Message, context: Context) -> Message:
    count = int(str(context.state.config_records.get("count", {"n": 0})["n"])) + 1
    context.state["count"] = ConfigRecord({"n": count})
    config = ConfigRecord({"id": str(context.node_config["id"]), "times": count})
    return Message(RecordDict({"config": config}), reply_to=message)


def answers(replies: object) -> list[tuple[int, str, int]]:
    return [
        (
            reply.metadata.src_node_id,
            reply.content.config_records["config"]["id"],
            reply.content.config_records["config"]["times"],
        )
        for reply in replies  # type: ignore[attr-defined]  # messages
    ]


def test_nodes_reply_in_order_each_with_a_persistent_context() -> None:
    grid = LocalGrid(reply_id, NODES)
    first, second = grid.get_node_ids()

    replies = grid.send_and_receive([ask(second), ask(first), ask(second)])

    assert answers(replies) == [(second, "attic", 1), (first, "porch", 1), (second, "attic", 2)]


def test_pulled_reply_is_removed() -> None:
    grid = LocalGrid(reply_id, NODES)
    sent = list(grid.push_messages([ask(2)]))

    assert len(list(grid.pull_messages(sent))) == 1
    assert list(grid.pull_messages(sent)) == []


def test_failure_of_a_client_becomes_its_reply() -> None:
    def fail(message: Message, context: Context) -> Message:
        if context.node_config["id"] == "porch":
            raise RuntimeError("the battery is empty")
        return reply_id(message, context)

    bad, good = LocalGrid(fail, NODES).send_and_receive([ask(2), ask(3)])

    assert bad.has_error()
    assert bad.error.reason == "the battery is empty"
    assert not good.has_error()
