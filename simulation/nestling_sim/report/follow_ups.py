"""Describes in words what became of a run's deferred inputs and audits."""

from collections.abc import Mapping
from typing import Any

from nestling_sim.report.tables import percent


def asked_later(follow_ups: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a name and a text for each fact about follow-ups.

    Facts whose number of inputs is 0 are left out.

    Args:
        follow_ups: summary.json's entry on follow-ups.
    """
    found = []
    if follow_ups["deferred"]:
        text = (
            f"{follow_ups['revised']} of {follow_ups['deferred']} deferred inputs, "
            f"{follow_ups['changed']} answers changed; accuracy with them "
            f"{percent(follow_ups['accuracy'])}"
        )
        found.append(("asked later", text))
    if follow_ups["audits"]:
        text = (
            f"the cloud agrees with {follow_ups['agreeing']} of {follow_ups['audits']} kept answers"
        )
        found.append(("audits", text))
    if follow_ups["expired"]:
        found.append(("expired", f"no answer of the cloud to {follow_ups['expired']} inputs"))
    if follow_ups["waiting"]:
        found.append(("still waiting", f"{follow_ups['waiting']} inputs at the end of the run"))
    return found
