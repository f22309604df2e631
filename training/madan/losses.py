"""MADAN's own losses as pure functions. Legend: `B` batch, `C` classes, `H W` pixels, `M` sources, `h w` map positions.

The plain adversarial and cycle losses, (1) to (3) of the paper, stand in `training.adversarial`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from isthmus.training.adversarial import least_squares


def cycle_loss(reconstructed: Tensor, image: Tensor) -> Tensor:
    """Cycle consistency: mean absolute difference of a round trip, 0..1.

    *Equation*: (3) of MADAN, arXiv:1910.12181; one of its two sides. *Deviations*: a mean over values instead of a
    norm, so that its weight does not depend on the size; images are in [0, 1], where the released code has [-1, 1].

    Args:
        reconstructed: [B,3,H,W], there and back.
        image: [B,3,H,W] as it was.
    """
    return (reconstructed - image).abs().mean()


def semantic_consistency(logits_adapted: Tensor, probs_source: Tensor, valid: Tensor) -> Tensor:
    """Dynamic semantic consistency: KL(F_i(x_i) ‖ F_A(G_i(x_i))), mean over valid pixels, nats, 0 and up.

    *Equation*: (4) of MADAN, arXiv:1910.12181. *Deviations*: the paper prints KL(adapted ‖ source); this is the
    direction of its released code, cross-entropy to a fixed soft target less that target's entropy. Mean over the
    pixels that have a label instead of a sum over all.

    Args:
        logits_adapted: [B,C,H,W] of F_A on the adapted image.
        probs_source: [B,C,H,W] of F_i on the source image; no gradient goes there.
        valid: [B,H,W] bool, where a source's label is one of the classes; none valid gives 0.
    """
    divergence = functional.kl_div(logits_adapted.log_softmax(1), probs_source.detach(), reduction="none").sum(1)
    return (divergence * valid).sum() / valid.sum().clamp_min(1)


def aggregation_loss_paper(verdicts: list[Tensor], source: int) -> Tensor:
    """Sub-domain aggregation for one source's generator: be taken for the others by every discriminator.

    D_A^i says 0 to source i's adapted images and 1 to all others'. The generator of source i wants 1 from its own and
    0 from each other one, which counts 1 / (M-1).

    *Equation*: (5) of MADAN, arXiv:1910.12181, with least squares in the logarithm's place. The released code has one
    discriminator and pulls one source only.

    Args:
        verdicts: Those of D_A^1 … D_A^M on source `source`'s adapted images.
        source: Index i.
    """
    others = [least_squares(verdict, real=False) for k, verdict in enumerate(verdicts) if k != source]
    return least_squares(verdicts[source], real=True) + sum(others) / len(others)


def aggregation_verdict_loss_paper(own: Tensor, others: list[Tensor]) -> Tensor:
    """What D_A^i minimises: 0 on its own source's adapted images, 1 on the others', halved.

    *Equation*: (5) of MADAN, arXiv:1910.12181.

    Args:
        own: D_A^i on source i's adapted images.
        others: D_A^i on each other source's.
    """
    theirs = sum(least_squares(verdict, real=True) for verdict in others) / len(others)
    return 0.5 * (least_squares(own, real=False) + theirs)


def aggregation_loss(logits: Tensor) -> Tensor:
    """Sub-domain aggregation with one M-way discriminator: cross-entropy to "any source alike", nats, 0 and up.

    0 where the discriminator gives each source the same probability. *Deviations* from (5) of MADAN: one classifier
    instead of M discriminators, symmetric in the sources; and another game with M = 2 as well. This is KL(U ‖ p) of the
    discriminator's answer p, whose gradient in the logits, p - U, vanishes at chance: generators are content once
    nobody can tell. The paper's form pulls there as well, until they are taken for the others.

    Args:
        logits: [B,M,h,w] of D_A on adapted images of any source.
    """
    return -logits.log_softmax(1).mean() - math.log(logits.shape[1])


def aggregation_verdict_loss(logits: Tensor, source: int) -> Tensor:
    """What the M-way discriminator minimises: cross-entropy to the true source, mean over patches, nats.

    Args:
        logits: [B,M,h,w] of D_A on source `source`'s adapted images.
        source: Index i.
    """
    truth = torch.full_like(logits[:, 0], source, dtype=torch.long)
    return functional.cross_entropy(logits, truth)


def cross_cycle_loss(verdicts: Sequence[Tensor], num_sources: int, *, drawn: bool) -> Tensor:
    """Cross-domain cycle for one source's generator: its images, carried on to other sources, are taken for theirs.

    *Equation*: (6) of MADAN, arXiv:1910.12181, with least squares in the logarithm's place: 1 / (M-1) times the sum
    over all other sources. *Deviations*: where pairs are drawn, each D_j judges one other source's images a step, each
    with probability 1 / (M-1), and counts whole: over the draws, the mean of all sources' sum is the paper's.

    Args:
        verdicts: Those of D_j on G'_j(G_i(x_i)), for every source j that judges source i's images at this step; at
            least one.
        num_sources: M, two and more.
        drawn: Whether pairs are drawn; else `verdicts` are all M-1.
    """
    share = 1.0 if drawn else 1.0 / (num_sources - 1)
    return torch.stack([least_squares(verdict, real=True) for verdict in verdicts]).sum() * share


def category_shares(labels: Tensor, num_classes: int, grid_hw: tuple[int, int]) -> Tensor:
    """How much of each class lies in each cell of a grid: ℵ of MADAN+, [B,C,h,w], each class's cells sum to 1 or 0.

    *Equation*: category-level alignment of MADAN's journal version, arXiv:2003.00820.

    Args:
        labels: [B,H,W] int64 train ids, 255 counts nowhere: true for adapted sources, predicted for the target.
        num_classes: C.
        grid_hw: Cells (h, w); each averages the pixels that it covers.
    """
    valid = labels < num_classes
    one_hot = functional.one_hot(torch.where(valid, labels, 0), num_classes).permute(0, 3, 1, 2) * valid[:, None]
    shares = functional.adaptive_avg_pool2d(one_hot.float(), grid_hw)
    return shares / shares.sum((2, 3), keepdim=True).clamp_min(1e-12) * (shares.sum((2, 3), keepdim=True) > 0)


def category_loss(logits: Tensor, shares: Tensor, *, adapted: bool) -> Tensor:
    """Category-level alignment: each class's own discriminator against one domain, where that class lies; nats.

    *Equation*: L_CLA of MADAN+, arXiv:2003.00820, one of its two sides. *Deviations*: a mean over the classes that
    occur instead of a sum, so that its weight does not depend on how many do.

    Args:
        logits: [B,C,h,w], one discriminator a class.
        shares: [B,C,h,w] of `category_shares`.
        adapted: Which domain they should have said.
    """
    truth = torch.full_like(logits, float(adapted))
    per_cell = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    occurring = (shares.sum((2, 3)) > 0).sum().clamp_min(1)
    return (per_cell * shares).sum() / occurring
