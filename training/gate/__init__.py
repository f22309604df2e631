"""The promotion gate: what a challenger must show before it may serve, and what it showed.

    config       the rules of a gate and the frames it judges on
    measuring    models and frames to evidence
    rules        evidence to one answer a rule
    judge        all of it: models in, verdict and evidence out
    label_free   estimates of scores without labels, usable without a gate

Scores of challenger and champion are always measured here, on the same frames: numbers that a model card brings along
are not trusted.
"""

from isthmus.gate_report import Forced, GateReport, JudgedTarget, Outcome, RuleResult
from isthmus.training.gate.config import GateConfig
from isthmus.training.gate.evidence import Evidence, Judgement
from isthmus.training.gate.judge import judge
from isthmus.training.gate.measuring import spread

__all__ = [
    "Evidence",
    "Forced",
    "GateConfig",
    "GateReport",
    "JudgedTarget",
    "Judgement",
    "Outcome",
    "RuleResult",
    "judge",
    "spread",
]
