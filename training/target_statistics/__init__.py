"""Adaptation without training: normalisation statistics of the target (AdaBN, arXiv:1603.04779)."""
