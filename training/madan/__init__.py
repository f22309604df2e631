"""MADAN: multi-source adversarial domain aggregation (Zhao et al., NeurIPS 2019, arXiv:1910.12181)."""
