"""What an index says about itself survives the disk, and what is wrong with a folder is said in one line."""

import json
import os
from dataclasses import replace

import pytest

from kb_index.errors import IndexFolderError
from kb_index.manifest import Counts, EncoderInfo, Manifest, check_files, read_manifest, write_manifest
from kb_index.readers.sources import SourceFile

MANIFEST = Manifest(
    schema_version=1,
    created="2026-01-02T03:04:05+00:00",
    kbqa_version="0.1.0",
    counts=Counts(lines=5, triples=3, duplicates=1, rejected=1, entities=2, attributes=2, aliases=4),
    sources=(SourceFile("知识库.kb", "ab" * 32, 120),),
    encoder=EncoderInfo("char-static", 128),
    options={"format": "nlpcc", "seed": 0},
    files={"kb.duckdb": 4, "encoder/config.json": 2},
    seconds={"read": 0.5},
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "kb.duckdb").write_bytes(b"duck")
    (tmp_path / "encoder" / "config.json").write_bytes(b"{}")
    write_manifest(MANIFEST, tmp_path)
    return tmp_path


def test_what_is_written_is_read(folder):
    assert read_manifest(folder) == MANIFEST
    check_files(MANIFEST, folder)


def test_names_are_readable_in_the_file(folder):
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    assert "知识库.kb" in text
    assert json.loads(text)["counts"]["rejected"] == 1


def test_a_folder_that_is_no_index_is_told_apart_from_none(tmp_path):
    with pytest.raises(IndexFolderError, match="no such folder; make one: kbqa index FILE --out"):
        read_manifest(tmp_path / "missing")
    with pytest.raises(IndexFolderError, match="so no index; expected a folder made by: kbqa index"):
        read_manifest(tmp_path)


def test_another_schema_version_is_named(folder):
    write_manifest(replace(MANIFEST, schema_version=99), folder)
    with pytest.raises(IndexFolderError, match="schema version 99, expected 1; build it again: kbqa index"):
        read_manifest(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema_version": 1}', '{"schema_version": 1, "counts": 3}', "\ud800"]
)
def test_a_damaged_manifest_is_one_line(folder, text):
    (folder / "manifest.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(IndexFolderError, match=r"manifest\.json is damaged .*build it again") as caught:
        read_manifest(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", [1]),
        ("files", {"kb.duckdb": "4"}),
        ("counts", dict.fromkeys(("lines", "triples", "duplicates", "rejected", "entities", "attributes", "aliases"))),
        ("sources", [{"path": 1, "sha256": "ab", "bytes": 2}]),
        ("sources", [{"path": "a.kb", "sha256": "ab", "bytes": "2"}]),
        ("encoder", {"name": None, "dim": 128}),
        ("encoder", {"name": "char-static", "dim": "128"}),
        ("created", 2026),
        ("options", "seed"),
        ("seconds", {"read": "long"}),
    ],
)
def test_a_value_of_another_type_is_damage(folder, key, value):
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(content | {key: value}))
    with pytest.raises(IndexFolderError, match=rf"manifest\.json is damaged .*{key}.* is not of type .*build it again"):
        read_manifest(folder)


def test_all_files_have_reached_the_disk_when_the_manifest_appears(folder, monkeypatch):
    (folder / "manifest.json").unlink()
    synced = set()

    def fsync(descriptor):
        if not (folder / "manifest.json").exists():
            synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    write_manifest(MANIFEST, folder)
    assert synced == {path.stat().st_ino for path in [folder, *folder.rglob("*")]}


def test_missing_and_cut_files_are_named(folder):
    (folder / "kb.duckdb").write_bytes(b"du")
    with pytest.raises(IndexFolderError, match=r"kb\.duckdb has 2 bytes, expected 4; build it again or copy"):
        check_files(MANIFEST, folder)
    (folder / "kb.duckdb").unlink()
    with pytest.raises(IndexFolderError, match=r"kb\.duckdb is missing"):
        check_files(MANIFEST, folder)
