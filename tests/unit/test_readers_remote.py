"""Files by URL: what lets one in is for opening alone, and errors say of which file they speak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kb_index.errors import StorageError, TripleFileError
from kb_index.readers import remote
from kb_index.readers.remote import copy_url, matching_urls, open_url, url_stat, without_keys
from kb_index.readers.sources import resolve

KEYS = ("KEY123", "SECRET456", "SEC/RET456", "TOKEN789")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://KEY123:SECRET456@bucket/kb.nlpcc", "s3://bucket/kb.nlpcc"),
        ("s3://KEY123:SEC/RET456@bucket/kb.nlpcc", "s3://bucket/kb.nlpcc"),
        ("s3://KEY123:SE@CRET456@bucket/kb.nlpcc", "s3://bucket/kb.nlpcc"),
        ("s3://bucket/kb.nlpcc?access_key=KEY123&secret_key=SECRET456", "s3://bucket/kb.nlpcc"),
        ("s3://bucket/kb.nlpcc?endpoint_override=http://KEY123:SECRET456@host", "s3://bucket/kb.nlpcc"),
        ("S3://KEY123:SECRET456@bucket/parts/*.kb?region=x", "S3://bucket/parts/*.kb"),
        ("abfs://kb@account.dfs.core.windows.net/kb.nlpcc", "abfs://kb@account.dfs.core.windows.net/kb.nlpcc"),
        ("abfss://account:SECRET456@kb/a.kb", "abfss://account@kb/a.kb"),
        ("hdfs://host:8020/me@work/a:b@c.kb", "hdfs://host:8020/me@work/a:b@c.kb"),
        ("s3://bucket/me@work.kb", "s3://bucket/me@work.kb"),
        ("a@b:c?d", "a@b:c?d"),
    ],
)
def test_a_url_is_shown_without_its_keys(url: str, shown: str) -> None:
    assert without_keys(url) == shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://KEY123:SEC/RET456@bucket/kb", "Cannot parse URI"),
        ("s3://KEY123:SECRET456@bucket/kb?token=TOKEN789", "Unexpected query parameter in S3 URI: 'token'"),
        ("s4://KEY123:SECRET456@bucket/kb?token=TOKEN789", "Unrecognized filesystem type"),
    ],
)
def test_an_error_has_no_keys_in_it(url: str, said: str) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(TripleFileError) as raised:
        url_stat(url)
    assert said in str(raised.value)
    assert not any(key in str(raised.value) for key in KEYS)
    assert raised.value.__suppress_context__  # it quotes the URL


def test_a_pattern_that_nothing_matches_is_shown_without_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fs = pytest.importorskip("pyarrow.fs")
    monkeypatch.setattr(remote, "_located", lambda url: (fs.LocalFileSystem(), str(tmp_path)))
    with pytest.raises(TripleFileError, match=r"^s3://bucket/\*\.kb: no file matches"):
        resolve(["s3://KEY123:SECRET456@bucket/*.kb"])


def test_names_that_a_url_must_encode_are_found(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for name in ("坛经 1.kb", "100%.kb", "a.kb"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    found = matching_urls(f"file://{tmp_path}/*.kb")
    for url in found:
        copy_url(url, tmp_path / "copy")
        assert (tmp_path / "copy").read_text(encoding="utf-8") in ("坛经 1.kb", "100%.kb", "a.kb")
    assert len(found) == 3
    assert (
        len(matching_urls(f"file://{tmp_path}/%E5%9D%9B*.kb")) == len(matching_urls(f"file://{tmp_path}/坛*.kb")) == 1
    )
    assert url_stat(f"file://{tmp_path}/坛经 1.kb")[0] == 11


class _Failing:
    """A store that answers twice and then no more."""

    def get_file_info(self, path: str) -> Any:
        raise OSError("AWS Error NETWORK_CONNECTION for KEY123")

    def open_input_file(self, path: str) -> Any:
        return self

    def readinto(self, buffer: Any) -> int:
        raise OSError("AWS Error NETWORK_CONNECTION for SECRET456")

    def close(self) -> None: ...


def test_a_store_that_stops_answering_is_no_wrong_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(remote, "_located", lambda url: (_Failing(), "kb"))
    url, said = "s3://KEY123:SECRET456@bucket/kb", r"^s3://bucket/kb: cannot be read \(AWS Error NETWORK_CONNECTION for"
    with pytest.raises(StorageError, match=rf"{said} \*\*\*\)"):
        url_stat(url)
    with open_url(url) as file, pytest.raises(StorageError, match=rf"{said} \*\*\*\)"):
        file.read(10)
    with pytest.raises(StorageError, match=said):
        copy_url(url, tmp_path / "copy")
