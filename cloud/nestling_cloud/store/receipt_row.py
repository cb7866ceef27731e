"""Defines the flat row in which a receipt is stored and exported, and the limits of its values."""

from dataclasses import dataclass

# SQL integers are signed 64-bit.
LARGEST_INTEGER = 2**63 - 1
# The year 287396: the largest integer that JavaScript represents exactly.
LATEST_MS = 2**53 - 1
# The year 2100. A device without a clock of its own may be years off, but not by centuries.
LATEST_ANSWER_MS = 4_102_444_800_000
LONGEST_TEXT = 200
# The provenance of an energy that was not reported.
NO_PROVENANCE = "none"
# Why the cloud is asked about an input that the device has answered already. `DEFERRED` is also the
# reason of the follow-up itself.
AUDIT, DEFERRED = "audit", "deferred"
# Further reasons that only follow-ups have.
AUDITED, EXPIRED = "audited", "expired"


@dataclass(frozen=True, kw_only=True)
class ReceiptRow:
    """The receipt of one answer, or of one follow-up, as it is stored and exported.

    A follow-up says what the cloud answered later to an input that the device had answered. It does
    not count as an answer: its `answer` is the revised answer, its `device_answer` is the answer
    that was given first, and its latency is the time between the two. If the cloud gave no answer
    and is no longer asked, the reason is "expired", and both fields hold the first answer.

    A reason is the name of its enum value in lower case, without the prefix REASON_. A provenance
    says how a figure is known: "measured", "calibrated" or "modelled". It is "none" if the device
    did not report the figure.

    Attributes:
        device: the id of the device.
        outbox_id: the id of the outbox that the receipt came from.
        sequence: the receipt's number in the outbox, from 1.
        input_index: the position of the input in the device's source.
        answered_at_ms: the Unix time of the answer by the device's clock.
        bundle_version: the version of the bundle that answered.
        route: the place where the input was answered, "capacity-<k>" or "cloud".
        reason: the reason why that route was taken.
        answer: the final answer: a class index; in a multi-label task a number in which bit i
            stands for class i; in an anomaly task 1 for an anomaly; in a regression task 0.
        device_answer: what the device would have answered by itself; None if no student ran.
        device_confidence: the probability that `device_answer` is right, as estimated by the device
            and corrected by the cloud's earlier answers, except under a tolerated risk; 0 if no
            student ran, or if the device does not report it.
        resident_capacity: the largest capacity in memory when the input arrived.
        latency_ms: the latency of the answer.
        latency_provenance: the provenance of the latency.
        wall_ms: the time that the answer took, as measured on the machine that ran the agent.
        energy_compute_mj: the compute energy of the answer.
        energy_compute_provenance: the provenance of the compute energy.
        energy_radio_mj: the radio energy of the answer.
        energy_radio_provenance: the provenance of the radio energy.
        energy_provenance: the least certain of the two energies' provenances.
        bytes_up: the number of bytes sent for the offload.
        bytes_down: the number of bytes received for the offload.
        budget_memory_bytes: the memory budget when the input arrived.
        budget_latency_ms: the latency budget of one answer.
        budget_energy_mj: the energy budget of one answer.
        budget_link_mbit_s: the throughput of the link.
        budget_link_rtt_ms: the round-trip time of the link.
        budget_battery: the charge left, from 0 to 1.
        budget_offload_share: the target share of offloads, from 0 to 1.
        success: the success probabilities of capacities 1 to K and the cloud, as predicted after
            the last capacity had run; empty if none ran.
        offload_energy_mj: the radio energy that sending this input to the cloud takes, whether it
            was sent or not.
        offload_energy_provenance: the provenance of the offload energy.
        offload_bytes: the number of bytes in both directions that sending this input to the cloud
            takes, whether it was sent or not.
        fingerprint: the hash of the receipt's content, see
            `nestling_core.telemetry.receipt_chain`.
        follow_up: the reason why the cloud is asked afterwards: "deferred" if the cloud was not an
            option or failed when a hard input arrived, "audit" if the input was drawn at random,
            and "" if the cloud is not asked. A first receipt announces the follow-up.
        follows: the fingerprint of the first receipt, in a follow-up; None in a first receipt.
        values: the values of the final answer in a regression task, or its score in an anomaly
            task; otherwise empty.
        device_values: the values or the score of the answer that the device would have given by
            itself; otherwise empty.
        agreement: the success, 0 to 1, of the device's own answer if the cloud's answer is taken to
            be the truth; None if one of the two is unknown.
    """

    device: str
    outbox_id: str
    sequence: int
    input_index: int
    answered_at_ms: int
    bundle_version: str
    route: str
    reason: str
    answer: int
    device_answer: int | None
    device_confidence: float = 0.0
    resident_capacity: int
    latency_ms: float
    latency_provenance: str
    wall_ms: float
    energy_compute_mj: float
    energy_compute_provenance: str
    energy_radio_mj: float
    energy_radio_provenance: str
    energy_provenance: str
    bytes_up: int
    bytes_down: int
    budget_memory_bytes: int
    budget_latency_ms: float
    budget_energy_mj: float
    budget_link_mbit_s: float
    budget_link_rtt_ms: float
    budget_battery: float
    budget_offload_share: float
    success: tuple[float, ...]
    offload_energy_mj: float
    offload_energy_provenance: str
    offload_bytes: int
    fingerprint: int = 0
    follow_up: str = ""
    follows: int | None = None
    values: tuple[float, ...] = ()
    device_values: tuple[float, ...] = ()
    agreement: float | None = None
