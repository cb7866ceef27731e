"""Defines the command-line options for the targets of routing."""

import argparse

from nestling_device.commands.setting_flags import add_setting


def add_targets(group: argparse._ActionsContainer) -> None:
    """Add the options for the targets of the average input, and for asking the cloud later."""
    add_setting(
        group,
        "--offload-share",
        "budget",
        "offload_share",
        metavar="SHARE",
        text="target share of inputs sent to the cloud, 0 to 1",
    )
    add_setting(
        group,
        "--target-window",
        "budget",
        "target_window",
        metavar="INPUTS",
        text="keep the average at the target over this many inputs; 0 uses a fixed "
        "threshold, so that the actual share rises with hard inputs and falls with easy ones",
    )
    add_setting(
        group,
        "--tolerated-risk",
        "budget",
        "tolerated_risk",
        metavar="RISK",
        text="instead of a share: how many of the answers that stay on the device the "
        "cloud may change, 0 to 1; 0 is off",
    )
    add_setting(
        group,
        "--energy-per-input-mj",
        "budget",
        "energy_per_input_mj",
        metavar="MJ",
        text="instead of a share: target average energy of an input; 0 is off",
    )
    add_setting(
        group,
        "--latency-per-input-ms",
        "budget",
        "latency_per_input_ms",
        metavar="MS",
        text="instead of a share: target average latency of an input; 0 is off",
    )
    _add_follow_ups(group)


def _add_follow_ups(group: argparse._ActionsContainer) -> None:
    add_setting(
        group,
        "--audit-share",
        "budget",
        "audit_share",
        metavar="SHARE",
        text="share of the answers kept by choice that are sent to the cloud too, to learn "
        "how often it changes them, 0 to 1",
    )
    add_setting(
        group,
        "--defer",
        "budget",
        "defer",
        metavar="{true,false}",
        text="let hard inputs wait if the cloud cannot be asked, and revise their answers "
        "when it has answered",
    )
