"""Semantic alignment losses between the residuals of two modalities (SAO, S-CMRL Eq. 17)."""

from torch import Tensor
from torch.nn import functional

from pipelines.ann.precision import widened


def instance_alignment(audio: Tensor, visual: Tensor, temperature: float) -> Tensor:
    """Return InfoNCE between instances at each time step, mean over steps (S-CMRL Eq. 17).

    audio, visual: residuals (T, B, N, D); they are averaged over N. As printed, both indices in
    Eq. 17's denominator are i, which has no gradient; it is read as x^a_i · x^v_j. Scalar.
    """
    # float32 under autocast too: similarity / 0.1 goes into an exponential
    a, v = widened(audio).mean(2), widened(visual).mean(2)  # (T, B, D)
    similarity = a @ v.transpose(1, 2) / temperature  # (T, B, B)
    # clip i is its own positive, all other clips of the batch are its negatives
    return -similarity.log_softmax(-1).diagonal(dim1=1, dim2=2).mean()


def supervised_alignment(
    audio: Tensor, visual: Tensor, labels: Tensor, temperature: float, *, per_positive: bool = False
) -> Tensor:
    """Return the sum of -log p over all pairs of one class, over B^2 (the S-CMRL authors' code).

    audio, visual: (T, B, N, D), averaged over N and T, not normalised. labels: (B,). Only
    audio to visual. The public code takes the mean over all j, whatever their class, and then over
    i; so a pair counts the less the larger the batch. per_positive: each clip's sum is divided by
    the number of its positives instead, so that neither the batch nor the frequency of a class
    counts (Khosla et al. 2020, Eq. 2). Scalar.
    """
    a, v = widened(audio).mean((0, 2)), widened(visual).mean((0, 2))  # (B, D)
    log_p = functional.log_softmax(a @ v.T / temperature, dim=-1)
    # (B, B); the authors' code multiplies by it and does not select: the mean is over all pairs
    positive = labels[:, None] == labels[None, :]
    if per_positive:  # a clip is its own positive: there is at least one
        return -((log_p * positive).sum(-1) / positive.sum(-1)).mean()
    return -(log_p * positive).mean()
