"""Holds routers that train a small network on the student's outputs."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from nestling_cloud.learning.loop import train
from nestling_cloud.learning.routing.rivals.trial import Doubles, Trial, Urgency
from nestling_cloud.progress import SilentProgress
from nestling_cloud.recipes.recipe import Recipe

_RECIPE = Recipe(epochs=20, batch=256, learning_rate=5e-3, weight_decay=0.05, threads=1)
_HIDDEN = 64
# Weight of an appeal in AppealNet's loss; a larger one keeps more inputs on the device.
_APPEAL_WEIGHT = 0.1


def deferral_mlp(known: Trial, seed: int) -> Urgency:
    """Return a rule that ranks inputs by the cloud's predicted gain over the device.

    The gain is the difference in the probability of being right. It is predicted by regression on
    the device's sorted class probabilities, as in the post-hoc rule "Diff-01" of Jitkrittum et al.
    2023.

    Args:
        known: the inputs to fit on.
        seed: the random seed for initial weights and shuffling. It is also set as torch's global
            seed.
    """
    gain = torch.from_numpy(known.cloud.astype("float32") - known.device)
    head = _head(known, seed)

    def loss_of(indices: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(head(seen).squeeze(1), gain[indices])

    return _fitted(head, known, loss_of, seed)


def appeal_head(known: Trial, seed: int) -> Urgency:
    """Return a rule that ranks inputs by a learned probability q of keeping them on the device.

    The input with the smallest q is the most urgent. The head that predicts q is trained with
    AppealNet's loss, which is q * (cross entropy of the device) + (1 - q) * (cross entropy of the
    cloud) - 0.1 * log q. AppealNet also trains the device's network. Here, the student stays
    unchanged, as for every other router.

    Args:
        known: the inputs to fit on.
        seed: the random seed for initial weights and shuffling. It is also set as torch's global
            seed.
    """
    labels = torch.from_numpy(known.labels)
    own = functional.cross_entropy(torch.from_numpy(known.logits), labels, reduction="none")
    big = functional.cross_entropy(torch.from_numpy(known.cloud_logits), labels, reduction="none")
    head = _head(known, seed)

    def loss_of(indices: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        appeal = head(seen).squeeze(1)
        keep = torch.sigmoid(-appeal)
        mixed = keep * own[indices] + (1 - keep) * big[indices]
        return (mixed - _APPEAL_WEIGHT * functional.logsigmoid(-appeal)).mean()

    return _fitted(head, known, loss_of, seed)


def _head(known: Trial, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(known.logits.shape[1], _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1)
    )


def _fitted(
    head: nn.Module,
    known: Trial,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    seed: int,
) -> Urgency:
    seen = _sorted(known)

    def batch_loss(indices: torch.Tensor, epoch: int) -> torch.Tensor:
        del epoch
        return loss_of(indices, seen[indices])

    train(
        head,
        batch_loss,
        count=len(known),
        recipe=_RECIPE,
        generator=torch.Generator().manual_seed(seed),
        progress=SilentProgress(),
        what="rival",
    )

    @torch.no_grad()
    def urgency(trial: Trial) -> Doubles:
        found: Doubles = head(_sorted(trial)).squeeze(1).double().numpy()
        return found

    return urgency


def _sorted(trial: Trial) -> torch.Tensor:
    """Return the class probabilities of each input, the largest first, (N, classes)."""
    probabilities = functional.softmax(torch.from_numpy(trial.logits), dim=1)
    return probabilities.sort(dim=1, descending=True).values
