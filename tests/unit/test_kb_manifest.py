"""What an index says about itself survives the disk, and what is wrong with a folder is said in one line."""

import hashlib
import json
import os
from dataclasses import replace

import pytest

from kb_index.errors import IndexFolderError
from kb_index.manifest import (
    Counts,
    EncoderInfo,
    FileInfo,
    Manifest,
    UpdateInfo,
    check_files,
    describe_files,
    read_manifest,
    write_manifest,
)
from kb_index.progress import StageCost
from kb_index.readers.sources import SourceFile

DUCK = hashlib.sha256(b"duck").hexdigest()
BRACES = hashlib.sha256(b"{}").hexdigest()
MANIFEST = Manifest(
    schema_version=3,
    created="2026-01-02T03:04:05+00:00",
    kbqa_version="0.1.0",
    counts=Counts(lines=5, triples=3, duplicates=1, rejected=1, entities=2, attributes=2, aliases=4),
    sources=(SourceFile("知识库.kb", "ab" * 32, 120),),
    encoder=EncoderInfo("char-static", 128),
    options={"format": "nlpcc", "seed": 0},
    files={
        "kb.duckdb": FileInfo(4, DUCK, DUCK),
        "encoder/config.json": FileInfo(2, BRACES, BRACES),
    },
    stages={"read": StageCost(seconds=0.5, peak_bytes=1000)},
    updates=(
        UpdateInfo(
            created="2026-01-03T03:04:05+00:00",
            kbqa_version="0.1.0",
            kind="add",
            sources=(SourceFile("more.kb", "cd" * 32, 60),),
            lines=3,
            rejected=0,
            added=2,
            removed=0,
            restated=1,
            stages={"read": StageCost(seconds=0.1, peak_bytes=900)},
        ),
    ),
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
    with pytest.raises(IndexFolderError, match="schema version 99, expected 3; build it again: kbqa index"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON from line 1, character 1 on"),
        ("{", "no JSON from line 1, character 2 on"),
        ('{"schema_version": 3,\n"counts": }', "no JSON from line 2, character 11 on"),
        ("\ud800", "no UTF-8 from byte 0 on"),
        ("{}", "it lacks 'schema_version'"),
        ('{"schema_version": 3}', "it lacks 'checksum'"),
        ('{"schema_version": 3, "checksum": ""}', "it was changed after it was written"),
        ("[]", ""),
        ("null", ""),
    ],
)
def test_a_damaged_manifest_is_one_plain_line(folder, text, reason):
    (folder / "manifest.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(IndexFolderError, match=rf"manifest\.json is damaged \({reason}.*\); build it again") as caught:
        read_manifest(folder)
    assert "\n" not in str(caught.value)


def test_any_other_number_or_name_is_damage(folder):
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    for was, now in (('"triples": 3', '"triples": 4'), ("知识库", "知识车"), ('"seed": 0', '"seed": 1')):
        assert was in text
        (folder / "manifest.json").write_text(text.replace(was, now), encoding="utf-8")
        with pytest.raises(IndexFolderError, match=r"manifest\.json is damaged \(it was changed after it was written"):
            read_manifest(folder)


def test_a_manifest_without_a_part_is_damage(folder):
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(content | {"files": None}), encoding="utf-8")
    with pytest.raises(IndexFolderError, match=r"manifest\.json is damaged .*build it again"):
        read_manifest(folder)


def test_files_are_described_by_size_and_content(folder):
    assert describe_files(folder) == MANIFEST.files


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
    (folder / "kb.duckdb").write_bytes(b"dusk")
    with pytest.raises(IndexFolderError, match=r"kb\.duckdb is not the file that was built; build it again or copy"):
        check_files(MANIFEST, folder)
    (folder / "kb.duckdb").write_bytes(b"du")
    with pytest.raises(IndexFolderError, match=r"kb\.duckdb has 2 bytes, expected 4; build it again or copy"):
        check_files(MANIFEST, folder)
    (folder / "kb.duckdb").unlink()
    with pytest.raises(IndexFolderError, match=r"kb\.duckdb is missing"):
        check_files(MANIFEST, folder)
