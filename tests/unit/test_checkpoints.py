from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from safetensors.numpy import save_file

from finetune.checkpoints import last_checkpoint


def test_the_newest_whole_checkpoint_is_found_by_its_number(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "checkpoints") is None
    for step, state in ((50, "{}"), (100, "{}"), (150, '{"cut'), (200, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt", "rng_state_0.pth"])
def test_a_checkpoint_with_a_short_file_is_passed_over(tmp_path: Path, name: str) -> None:
    for step in (50, 100):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file({"weight": np.ones(100, np.float32)}, folder / "adapter_model.safetensors")
        for zipped in ("optimizer.pt", "rng_state_0.pth"):
            with ZipFile(folder / zipped, "w") as file:  # torch.save writes such
                file.writestr("data", "1" * 1000)
        (folder / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
    whole = (tmp_path / "checkpoint-100" / name).read_bytes()
    for length in (0, 7, len(whole) // 2, len(whole) - 1):
        (tmp_path / "checkpoint-100" / name).write_bytes(whole[:length])
        assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-50"
