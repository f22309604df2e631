"""How MLflow lists the data sets of a run: by name, split and digest, without the data."""

import json
from typing import Any, Final

from isthmus.artifact import CardDataset

_DIGEST_LENGTH: Final = 36  # what MLflow keeps of a data set's digest


def dataset_input(one: CardDataset) -> Any:
    """A data set of a model's card as an input of a run; the whole digest is in its source."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    identity = dataset_identity(one)
    entity = Dataset(
        name=identity["dataset_name"],
        digest=identity["dataset_digest"],
        source_type="code",
        source=json.dumps({"tags": {"dataset": one.dataset, "split": one.split, "sha256": one.digest}}),
        profile=json.dumps({"num_frames": one.num_frames}),
    )
    return DatasetInput(dataset=entity, tags=[InputTag("mlflow.data.context", one.role)])


def dataset_identity(one: CardDataset) -> dict[str, str]:
    """What ties a metric to a data set."""
    return {"dataset_name": f"{one.dataset}-{one.split}", "dataset_digest": one.digest[:_DIGEST_LENGTH]}
