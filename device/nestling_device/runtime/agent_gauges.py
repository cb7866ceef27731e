"""Collects the gauges that a device reports about its agent."""

from nestling.v1.budget_pb2 import Budget
from nestling_device.inference.agent import Agent
from nestling_device.inference.target_controller import share_in_force
from nestling_device.telemetry.sparkplug_node import Gauges


def gauges_of(agent: Agent, budget: Budget, *, profile: str, resident: int) -> Gauges:
    """Return the current gauges.

    Args:
        agent: the agent.
        budget: the limits and targets in force.
        profile: the name of the board.
        resident: the largest loaded capacity.
    """
    guarantee = agent.guarantee
    return Gauges(
        profile=profile,
        bundle_version=agent.bundle.version,
        capacity=resident,
        battery=budget.battery,
        offload_share=share_in_force(budget),
        drifting=agent.drifting,
        pending=agent.pending,
        tolerated_risk=budget.tolerated_risk or None,
        guaranteed_since_ms=guarantee.since_ms if guarantee else None,
        inputs_to_go=guarantee.inputs_to_go if guarantee else None,
        guarantee_alarms=guarantee.alarms if guarantee else None,
    )
