"""Provides an in-process Flower Grid, in which every client replies at once."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from flwr.app import Context, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

# The error code with which Flower's own runtimes report that a ClientApp raised.
_CLIENT_APP_RAISED = 2
_RUN_ID = 1
_SERVER_NODE = 1


class LocalGrid(Grid):
    """A Flower Grid that runs a ClientApp for each node, in this process.

    Each node keeps its context from message to message. Nodes reply in the order in which the
    messages are pushed.
    """

    def __init__(
        self,
        client: Callable[[Message, Context], Message],
        node_configs: Sequence[Mapping[str, str | int | float]],
    ) -> None:
        """Create a grid with one node for each configuration.

        This also sets the sender of all Flower messages that are created in this process.

        Args:
            client: the ClientApp, or any callable with its signature.
            node_configs: the configuration of each node. Nodes are numbered from 2, after the
                server.
        """
        self._client = client
        self._replies: dict[str, Message] = {}
        self._sent = 0
        self._run = Run.create_empty(run_id=_RUN_ID)
        # Flower's messages read the identity of their sender from here.
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 0, _RUN_ID, _SERVER_NODE
        self._contexts = {
            node: Context(
                run_id=_RUN_ID,
                node_id=node,
                node_config=dict(config),
                state=RecordDict(),
                run_config={},
            )
            for node, config in enumerate(node_configs, start=_SERVER_NODE + 1)
        }

    @property
    def run(self) -> Run:
        """The only run of this grid."""
        return self._run

    def set_run(self, run: Run) -> None:
        """Replace the grid's only run with a copy of the given one."""
        self._run = dataclasses.replace(run)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a new message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of all nodes, in order."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Let the nodes handle the messages in order, and return the message ids.

        The ids are also set in the messages. The replies are stored until `pull_messages` returns
        them. If the ClientApp raises an exception, the reply is an error.
        """
        return [self._answer(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return and remove the replies to the messages with the given ids.

        Ids without a reply are left out.
        """
        return [self._replies.pop(name) for name in message_ids if name in self._replies]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Return the replies of the nodes to the given messages.

        All nodes reply at once, so `timeout` has no effect.
        """
        del timeout
        return self.pull_messages(self.push_messages(messages))

    def _answer(self, message: Message) -> str:
        self._sent += 1
        name = str(self._sent)
        message.metadata.__dict__["_message_id"] = name  # as Flower's own grids set it
        try:
            reply = self._client(message, self._contexts[message.metadata.dst_node_id])
        except Exception as err:  # noqa: BLE001 - a failure becomes a reply, as on a network
            reply = Message(Error(_CLIENT_APP_RAISED, f"{err}"), reply_to=message)
        self._replies[name] = reply
        return name
