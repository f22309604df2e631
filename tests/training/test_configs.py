"""Every YAML file under configs/ loads; the number keeps a file from being forgotten."""

import pytest

from isthmus.configuration import load_config, parse_config, to_yaml
from isthmus.errors import ConfigurationError
from isthmus.training.config import TrainingConfig

CONFIGS = {
    "madan": (
        "demo",
        "gta5_synthia_to_bdd100k",
        "gta5_synthia_to_cityscapes",
        "gta5_synthia_to_cityscapes_segformer",
        "tiny",
        "worlds_to_camvid",
        "worlds_to_street",
    ),
    "randomization": (
        "demo",
        "gta5_to_many",
        "gta5_to_many_segformer",
        "synthia_to_many",
        "tiny",
        "worlds_to_many",
    ),
    "source_only": (
        "arcade_to_street",
        "camvid_oracle",
        "demo",
        "gta5_synthia_to_cityscapes",
        "gta5_to_cityscapes",
        "gta5_to_cityscapes_segformer",
        "street_oracle",
        "studio_to_street",
        "tiny",
        "worlds_to_camvid",
        "worlds_to_street",
    ),
    "target_statistics": ("tiny", "worlds_to_camvid", "worlds_to_street"),
}
FILES = [(method, stem) for method, stems in CONFIGS.items() for stem in stems]


def test_all_are_known(repository):
    found = {method: tuple(sorted(p.stem for p in (repository / "configs" / method).iterdir())) for method in CONFIGS}
    assert found == CONFIGS
    assert {path.name for path in (repository / "configs").iterdir()} == {*CONFIGS, "gate"}


@pytest.mark.parametrize(("method", "stem"), FILES)
def test_loads_and_comes_back_from_its_own_yaml(repository, method, stem):
    config = load_config(repository / "configs" / method / f"{stem}.yaml", TrainingConfig)
    assert parse_config(to_yaml(config), TrainingConfig) == config
    assert config.method.name == method
    # The best checkpoint is never chosen on a set that the run is judged on.
    assert config.validation not in config.evaluated_on


def test_names_are_different(repository):
    names = {load_config(repository / "configs" / m / f"{s}.yaml", TrainingConfig).name for m, s in FILES}
    assert len(names) == len(FILES)


def test_validation_must_be_stated(repository):
    text = (repository / "configs" / "source_only" / "tiny.yaml").read_text(encoding="utf-8")
    without = "\n".join(line for line in text.splitlines() if not line.startswith("validation:"))
    with pytest.raises(ConfigurationError, match="validation: required"):
        parse_config(without, TrainingConfig)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sources=[]", "name at least one"),
        ("loop.steps=0", "steps is 0"),
        ("schedule.warmup_steps=8", "warmup_steps is 8: write less than loop.steps, 8"),
        ("optimiser.learning_rate=0.0", "learning_rate is 0.0: write a number above 0"),
        ("optimiser.head_multiplier=-1.0", "head_multiplier is -1.0"),
        ("optimiser.gradient_clip_norm=0.0", "gradient_clip_norm is 0.0"),
        ("evaluation.resolution_hw=[0, 64]", r"resolution_hw is \[0, 64\]"),
        ("loop.stepz=3", r"loop\.stepz: unknown key.*stepz is probably steps"),
        ("learning_rate=0.1", r"learning_rate is probably method\.learning_rate or optimiser\.learning_rate"),
        ("method.batch_size=1", r"method\.batch_size: unknown.*probably loop\.batch_size or evaluation\.batch_size"),
        ("sources.0.rot=x", "rot is probably root"),
        ("method.class_wights=none", "class_wights is probably class_weights"),
        ("loop.qqqq=1", r"Remove or rename the unknown key\.$"),
        ("method={name: madan, ema_decay: 2.0, generator: {}, discriminator: {}}", "method: ema_decay is 2.0"),
        ("evaluation.mode=sliding", "needs window_hw and stride_hw"),
        ("optimiser.optimiser=lion", "optimiser"),
        ("target={dataset: camvid, root: x, split: val}", "never looks at one"),
    ],
)
def test_wrong_values_are_named(tiny_config, override, message):
    with pytest.raises(ConfigurationError, match=message):
        tiny_config(override)


@pytest.mark.parametrize("decoder", ["deeplabv3plus", "upernet"])
def test_a_decoder_that_normalises_single_pixels_needs_two_frames(tiny_config, decoder):
    with pytest.raises(ConfigurationError, match=f"decoder {decoder} normalises over the batch"):
        tiny_config(
            f"segmenter.decoder={decoder}", "loop.batch_size=1", "sources=[{dataset: gta5, root: x, split: all}]"
        )
    tiny_config(f"segmenter.decoder={decoder}", "loop.batch_size=1")  # two sources are two frames


def test_datasets_lists_each_set_once(tiny_config, tiny_data):
    again = "{dataset: gta5, root: " + str(tiny_data / "gta5") + ", split: all, part: fit}"
    config = tiny_config(f"evaluated_on=[{again}, {{dataset: camvid, root: x, split: val}}]")
    assert [dataset.title for dataset in config.datasets] == [
        "gta5/all:fit",
        "synthia/all",
        "gta5/all:holdout",
        "camvid/val",
    ]


def test_two_judged_sets_must_be_told_apart(tiny_config):
    rain = "{dataset: camvid, root: rain, split: val"
    sun = "{dataset: camvid, root: sun, split: val}"
    with pytest.raises(ConfigurationError, match="two judged sets are called camvid/val: give one of them a name"):
        tiny_config(f"evaluated_on=[{rain}}}, {sun}]")
    config = tiny_config(f"evaluated_on=[{rain}, name: camvid-rain}}, {sun}]")
    assert [dataset.title for dataset in config.evaluated_on] == ["camvid-rain", "camvid/val"]


def test_a_name_must_go_into_tags_and_files(tiny_config):
    with pytest.raises(ConfigurationError, match="name is 'a/b'"):
        tiny_config("validation.name=a/b")
