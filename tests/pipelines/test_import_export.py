import json
import shutil

import pytest

from configs import export as export_config
from configs import import_checkpoint as import_config
from r1jax import config as configs
from r1jax.hub import safetensors
from r1jax.hub.artifacts import load_model
from r1jax.io.digests import digest
from r1jax.model import forward
from r1jax.pipelines.convert import export, import_checkpoint


def run(pipeline, kind, values, workdir, **changes):
    values.update(changes)
    pipeline.run(configs.build(kind, values.to_dict()), workdir)
    return json.loads((workdir / "summary.json").read_text())


def exported(model, workdir, **changes):
    values = export_config.get_config()
    run(export, export.ExportConfig, values, workdir, model=str(model), **changes)
    return workdir / "hugging_face"


def imported(model, workdir, **changes):
    values = import_config.get_config()
    values.execution.param_dtype = "float32"
    kind = import_checkpoint.ImportConfig
    return run(import_checkpoint, kind, values, workdir, model=str(model), **changes)


@pytest.fixture(scope="module")
def hugging_face(nano_base, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("out")
    return exported(nano_base, workdir / "export", dtype="float32", shard_megabytes=1)


def test_out_and_in_again_is_the_same_model(nano_base, hugging_face, tmp_path):
    summary = imported(hugging_face, tmp_path / "import")
    weights, model, tokenizer = load_model(str(nano_base))
    again, same_model, same_tokenizer = load_model(str(tmp_path / "import" / "model"))
    assert digest(again) == digest(weights) == summary["weights_sha256"]
    assert summary["parameters"] == forward.count_params(model) == forward.count_params(same_model)
    assert summary["bytes"] == 4 * summary["parameters"] and summary["bytes_per_second"] > 0
    assert same_tokenizer.encode("3 * 4 = 12") == tokenizer.encode("3 * 4 = 12")
    # what was imported goes out as it came
    second = exported(tmp_path / "import" / "model", tmp_path / "export", dtype="float32")
    for name, tensor in safetensors.find(hugging_face).items():
        assert (safetensors.read(safetensors.find(second)[name]) == safetensors.read(tensor)).all()


def damage(name: str, change):
    """Rewrites a file of a directory as JSON, or removes it."""

    def of(directory):
        path = directory / name
        document = json.loads(path.read_text()) if name.endswith(".json") else {}
        if change is None:
            for gone in (path, directory / "tokenizer.model"):  # the same tokenizer
                gone.unlink(missing_ok=True)
        else:
            path.write_text(json.dumps(change(document)))

    return of


def truncate(directory):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def pickled(directory):
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def without(name):
    return lambda d: {k: v for k, v in d.items() if k != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (truncate, r"model\.safetensors: model\..*: ends at byte .*truncated"),
        (pickled, r"only pickled weights \['pytorch_model.bin'\]: .*never"),
        (damage("config.json", without("rms_norm_eps")), r"config\.json: lacks 'rms_norm_eps'"),
        (damage("config.json", lambda d: d | {"model_type": "mamba"}), "model_type is 'mamba'"),
        (damage("config.json", lambda d: d | {"vocab_size": 100}), "tokenizer has .* ids, the emb"),
        (
            damage("config.json", lambda d: d | {"vocab_size": 999}),
            "embed_tokens.* wanted .999, 32",
        ),
        (damage("config.json", lambda d: d | {"hidden_act": "gelu"}), "hidden_act is 'gelu'"),
        (damage("config.json", None), r"lacks \['config.json'\]"),
        (damage("tokenizer.json", None), r"lacks \['tokenizer.json'\] or \['tokenizer.model'\]"),
    ],
)
def test_a_damaged_directory_is_refused_with_file_and_tensor(
    change, message, hugging_face, tmp_path
):
    directory = shutil.copytree(hugging_face, tmp_path / "damaged")
    change(directory)
    with pytest.raises(ValueError, match=message):
        imported(directory, tmp_path / "import")
    assert not (tmp_path / "import" / "model").exists()


def test_a_template_that_is_none_is_refused_before_the_work(nano_base, tmp_path):
    with pytest.raises(ValueError, match="template: got 'zero'"):
        exported(nano_base, tmp_path, template="zero")
    assert not (tmp_path / "hugging_face").exists()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_gguf_file_is_read_back_as_the_same_model(dtype, nano_base, tmp_path):
    pytest.importorskip("gguf")
    exported(nano_base, tmp_path / "export", format="gguf", dtype=dtype)
    imported(tmp_path / "export" / "model.gguf", tmp_path / "import")
    weights, model, tokenizer = load_model(str(nano_base))
    again, same_model, same_tokenizer = load_model(str(tmp_path / "import" / "model"))
    assert (digest(again) == digest(weights)) is (dtype == "float32")
    assert forward.count_params(same_model) == forward.count_params(model)
    for text in ("3 * 4 = 12", "等等\n\n<think>é"):
        assert same_tokenizer.encode(text) == tokenizer.encode(text)
