import jax
import pytest

from r1jax.io import compiled


@pytest.fixture
def unset():
    """No folder is chosen, as in a fresh process."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_lie_in_the_users_cache_folder(unset, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiled.keep_compiled().parent == tmp_path / "r1jax" / "compiled"
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0


def test_without_a_cache_home_it_is_below_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compiled.folder().is_relative_to(tmp_path / ".cache" / "r1jax")


def test_a_folder_that_the_user_chose_stays(unset, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    assert compiled.keep_compiled() == tmp_path
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0


def test_processors_with_other_instructions_share_no_folder(monkeypatch):
    monkeypatch.setattr(compiled.Path, "read_text", lambda self: "model: x\nflags : sse avx512f\n")
    one = compiled.folder()
    monkeypatch.setattr(compiled.Path, "read_text", lambda self: "model: x\nflags : sse\n")
    assert one != compiled.folder()
