from pathlib import Path

from finetune.checkpoints import last_checkpoint


def test_the_newest_whole_checkpoint_is_found_by_its_number(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "checkpoints") is None
    for step, state in ((50, "{}"), (100, "{}"), (150, '{"cut'), (200, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
