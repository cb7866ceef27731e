"""Holds routers from the literature, reimplemented behind one interface.

For inputs that a capacity has answered, each router computes how urgently they should go to the
cloud. The most urgent inputs are then sent, up to a given offload share. At a share of 0, every
router sends no input, and at a share of 1 every input, so these two cases need no routers of their
own. This package may import `correctness_labels` and `data` from `routing`, `learning.loop`, and
the cloud's `recipes`.
"""

from nestling_cloud.learning.routing.rivals import confidence, heads, without_logits
from nestling_cloud.learning.routing.rivals.trial import (
    Resources,
    Rival,
    Trial,
    Urgency,
    without_fitting,
)

RIVALS = (
    Rival(name="random", source="KubeEdge Sedna, Random", fit=without_logits.at_random),
    Rival(
        name="max-softmax",
        source="Hendrycks & Gimpel 2017, arXiv 1610.02136; Sedna's IBT and Threshold are this rule",
        fit=without_fitting(confidence.max_softmax),
    ),
    Rival(
        name="margin",
        source="Scheffer et al. 2001, Active hidden Markov models",
        fit=without_fitting(confidence.margin),
    ),
    Rival(
        name="entropy",
        source="Teerapittayanon et al. 2016, BranchyNet, arXiv 1709.01686",
        fit=without_fitting(confidence.entropy),
    ),
    Rival(
        name="Sedna cross entropy",
        source="KubeEdge Sedna, CrossEntropyFilter",
        fit=without_fitting(confidence.sedna_cross_entropy),
    ),
    Rival(
        name="scaled softmax",
        source="Guo et al. 2017, arXiv 1706.04599",
        fit=confidence.temperature_scaled,
    ),
    Rival(
        name="deferral MLP",
        source="Jitkrittum et al. 2023, arXiv 2307.02764, Diff-01",
        fit=heads.deferral_mlp,
    ),
    Rival(
        name="AppealNet head",
        source="Li et al. 2021, AppealNet, arXiv 2105.04104",
        fit=heads.appeal_head,
    ),
    Rival(
        name="resource-sensitive",
        source="KubeEdge Ianvs, ResourceSensitiveRouter",
        fit=without_fitting(without_logits.resource_sensitive),
    ),
    Rival(
        name="oracle",
        source="KubeEdge Ianvs, OracleRouter; it knows who is right",
        fit=without_fitting(without_logits.oracle),
    ),
)

__all__ = ["RIVALS", "Resources", "Rival", "Trial", "Urgency", "without_fitting"]
