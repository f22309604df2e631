"""Domain randomization with pyramid consistency (Yue et al., ICCV 2019, arXiv:1909.00889)."""
