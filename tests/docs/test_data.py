"""docs/data.md is what its script writes, and has a row of each block of configs/."""

import importlib.util
import inspect
from pathlib import Path

import pytest

from configs import conversations, data
from r1jax import config as configs
from r1jax.data.files.mapping import load_problems
from r1jax.data.files.source import FileSource, example
from r1jax.data.rows import conversation_fields
from r1jax.data.rows.conversation_fields import read_conversations
from r1jax.pipelines.sft.config import DataConfig
from r1jax.rewards.judge import KINDS

ROOT = Path(__file__).parents[2]
OWN = {"task", "files", "world", "gym", "requests", "decontamination", "curriculum", "format_of"}
BASES = {"fields", "turn"}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_data", ROOT / "docs/make_data.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(module, but: set[str]) -> set[str]:
    functions = inspect.getmembers(module, inspect.isfunction)
    return {name for name, _ in functions if name[0] != "_"} - but


QUESTIONS, TALKS = sorted(blocks(data, OWN)), sorted(blocks(conversations, BASES))


def test_the_page_is_what_the_script_writes(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.make(), f"run: {script.COMMAND}"


def test_every_block_has_a_row_and_says_what_it_is(script):
    assert set(QUESTIONS) == set(script.data_rows.QUESTIONS)
    assert set(TALKS) == set(script.data_rows.CONVERSATIONS)
    for module, names in ((data, QUESTIONS), (conversations, TALKS)):
        assert all(inspect.getdoc(getattr(module, name)) for name in names)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_judge_takes_what_comes_of_a_row(script, tmp_path, name):
    suffix, row = script.data_rows.QUESTIONS[name]
    path = tmp_path / f"{name}.{suffix}"
    block = getattr(data, name)(str(path))
    script.write_row(path, block["format"], row)
    (problem,) = load_problems(configs.build(FileSource, block))
    KINDS[problem.kind].check(problem.answer, problem.reference)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_right_row_of_an_error_is_right(script, tmp_path, name):
    """But for what is cut away, which the row in an error lacks."""
    path = tmp_path / f"x.{script.data_rows.QUESTIONS[name][0]}"
    block = getattr(data, name)(str(path)) | dict(question_cut=())
    source = configs.build(FileSource, block)
    script.write_row(path, block["format"], example(source))
    (problem,) = load_problems(source)
    KINDS[problem.kind].check(problem.answer, problem.reference)


@pytest.mark.parametrize("name", TALKS)
def test_the_right_conversation_of_an_error_is_right(script, tmp_path, name):
    path = tmp_path / f"x.{script.data_rows.CONVERSATIONS[name][0]}"
    block = getattr(conversations, name)(str(path))
    config = configs.build(DataConfig, block)
    assert config.fields is not None
    script.write_row(path, config.format, conversation_fields.example(config.fields))
    (row,) = read_conversations(path, format=config.format, fields=config.fields, limit=0)
    assert row.messages[-1].content.endswith("It is 5.")
