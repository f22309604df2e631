import json

import numpy as np
import pytest

from isthmus.errors import ContractError
from isthmus.training.gate.evidence import Evidence, Judgement


@pytest.mark.parametrize("with_champion", [True, False])
def test_judgement_survives_json(gate_examples, with_champion: bool):
    judgement = gate_examples.example_judgement(with_champion=with_champion)
    trees = json.loads(json.dumps([judgement.report.to_tree(), judgement.evidence_tree()]))
    assert Judgement.from_trees(*trees) == judgement


def test_frames_confusions_are_kept_sparsely(gate_examples):
    target = gate_examples.labelled_target(0.8)
    counts = target.frame_counts()
    assert counts.shape == (2, 11, 12)
    assert counts[1, 0, 0] == 800
    assert counts[1, 10, 0] == 200
    assert np.array_equal(counts.sum(0), target.confusion)
    assert gate_examples.unlabelled_target(0.8).frame_counts() is None


def test_targets_are_found_by_title(gate_examples):
    evidence = gate_examples.example_evidence(version=1, sha256="1" * 64, right=0.8)
    assert evidence.on("street").labelled is False
    assert evidence.on("camvid/val").num_frames == 2
    assert evidence.on("elsewhere") is None


def test_other_trees_are_refused(gate_examples):
    judgement = gate_examples.example_judgement()
    evidence, report = judgement.evidence_tree(), judgement.report.to_tree()
    with pytest.raises(ContractError, match="mood: unknown key"):
        Evidence.from_tree({**evidence["challenger"], "mood": "good"})
    with pytest.raises(ContractError, match=r"evidence\.json: no evidence of a gate"):
        Judgement.from_trees(report, {"challenger": evidence["challenger"]}, where="evidence.json")
