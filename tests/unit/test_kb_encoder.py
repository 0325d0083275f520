"""The default encoder, made from nothing but names, and encoders that the user names."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_index.encoder import StaticEncoder, build_char_static, load_encoder, open_encoder
from kb_index.errors import MissingExtraError, ModelError

NAMES = ["机械设计基础", "机械原理", "高等数学", "刘德华", "nba", "airdrying"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    build_char_static(NAMES, folder, seed=0, dim=64)
    return folder


@pytest.fixture(scope="module")
def encoder(folder):
    return StaticEncoder("char-static", folder)


def test_vectors_are_unit_rows(encoder):
    vectors = encoder.encode(["机械设计基础", "刘德华", "机"])
    assert vectors.shape == (3, 64)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-6)


def test_texts_without_known_characters_are_zero(encoder):
    assert not encoder.encode(["Ωщ", "", "  "]).any()
    assert encoder.encode([]).shape == (0, 64)


def test_unknown_characters_width_case_and_blanks_change_nothing(encoder):
    plain, noisy = encoder.encode(["nba机械", "ＮＢ A 机Ω械"])
    assert noisy == pytest.approx(plain, abs=1e-6)


@given(
    st.lists(
        st.text(
            st.sampled_from("机械刘德华nbaNB\u00a0 \u3000\tİＡｱﾞßﬁe\u0301\u0345Ως각ᄀ\u1161\u200b𠮷")
            | st.characters(codec="utf-8"),
            max_size=12,
        )
        | st.sampled_from(["机" * 300 + "械", "a" * 600, "İ" * 256, "İ" * 300]),
        max_size=8,
    )
)
def test_looking_characters_up_gives_the_vectors_that_the_tokenizer_gives(every_character, texts):
    model = every_character._model
    expected = np.asarray(model.encode(texts), dtype=np.float32) if texts else np.zeros((0, 64))
    assert every_character.encode(texts) == pytest.approx(expected, abs=2e-6)


@pytest.fixture(scope="module")
def every_character(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every")
    build_char_static([*NAMES, "i\u0307ßǆς각アガ", "é\u0345\u200b𠮷"], folder, seed=0)
    return StaticEncoder("char-static", folder)


def test_a_shared_character_brings_names_nearer(encoder):
    misspelt, right, related, other = encoder.encode(["机诫设计基础", "机械设计基础", "机械原理", "高等数学"])
    assert misspelt @ right > 0.85
    assert misspelt @ right > misspelt @ related > misspelt @ other


def test_a_common_character_counts_less_than_a_rare_one(tmp_path):
    build_char_static(["甲的", "乙的", "丙的", "丁的"], tmp_path, seed=0)
    encoder = StaticEncoder("char-static", tmp_path)
    name, rare, common = encoder.encode(["甲的", "甲", "的"])
    assert name @ rare > name @ common + 0.3


def test_the_seed_decides_the_vectors(folder, tmp_path):
    build_char_static(NAMES, tmp_path / "same", seed=0, dim=64)
    build_char_static(NAMES, tmp_path / "other", seed=1, dim=64)
    model = (folder / "model.safetensors").read_bytes()
    assert (tmp_path / "same" / "model.safetensors").read_bytes() == model
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != model


def test_a_model2vec_folder_is_loaded_by_its_path(folder, encoder):
    loaded = load_encoder(str(folder))
    assert (loaded.name, loaded.dim) == (str(folder), 64)
    assert loaded.encode(["刘德华"]) == pytest.approx(encoder.encode(["刘德华"]))


def test_an_index_has_its_encoder_inside(folder):
    assert open_encoder("from far away", folder).dim == 64


def test_an_encoder_that_needs_a_missing_package_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"sentence-transformers is not installed.*pip install 'kbqa"):
        load_encoder(str(tmp_path / "nothing"))


def test_a_damaged_model_is_one_line(folder, tmp_path):
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="is no model2vec model") as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_sentence_transformer_is_loaded_by_its_folder(folder, encoder, tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="needs the extra [models]")
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    library.SentenceTransformer(modules=[StaticEmbedding.from_model2vec(str(folder))], device="cpu").save(str(tmp_path))
    loaded = load_encoder(str(tmp_path))
    assert (loaded.name, loaded.dim) == (str(tmp_path), 64)
    assert loaded.encode(["机械设计基础", "刘德华"]) == pytest.approx(
        encoder.encode(["机械设计基础", "刘德华"]), abs=1e-5
    )
    assert loaded.encode([]).shape == (0, 64)


def test_a_sentence_transformer_that_is_none_is_one_line(tmp_path):
    pytest.importorskip("sentence_transformers", reason="needs the extra [models]")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)
