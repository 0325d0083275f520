"""BERT, the system to compare with: it recognises the mention, then matches the question with attributes.

Recognition points at one of the mentions that were linked. Matching compares the question, in which that mention is
masked, with the attributes of its entities. What entity of a name is meant, and which of its values, is not asked:

    P(triple) = P(some triple answers) x P(mention) x P(attribute | mention) / homonyms with it / their values of it

Each probability is a softmax with its own temperature, fitted on questions held out from training. Training is
`finetune.bert`; what it writes, and this module reads, is one folder:

    ranker.json   heads.safetensors   encoder/{config.json,model.safetensors,tokenizer.json,...}

Reference: Fang, Liu and Liang 2023 (its system before large models); Liu et al. 2019, "BB-KBQA: BERT-Based Knowledge
Base Question Answering", which has the same two steps and reads question and attribute together.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import ModelError
from kb_index.manifest import describe_file, describe_files
from kb_index.types import Triple
from kbqa_agent.bert_network import SCALE, BertNetwork
from kbqa_agent.groups import Asked, Group, groups_of
from kbqa_agent.ranking import RANKER_FILE, RankerSource
from kbqa_agent.types import EntityMention

__all__ = ["BertCalibration", "BertRanker", "check_bert", "is_bert", "log_softmax"]

KIND, FORMAT_VERSION = "bert", 1
MENTIONS_READ = 6
"""So many mentions, the likeliest, are matched with their attributes; those of the others count as equally likely."""
MOST_VECTORS = 200_000
"""So many attributes' vectors are kept."""


@dataclass(frozen=True, slots=True)
class BertCalibration:
    """The temperatures of both softmaxes, and how often any triple that was retrieved answers the question."""

    mention_temperature: float = 1.0
    attribute_temperature: float = 1.0
    present: float = 1.0


class BertRanker:
    """Ranks the triples of a question by a network of both steps; its scores are natural-log probabilities."""

    def __init__(self, network: BertNetwork, calibration: BertCalibration) -> None:
        self.network, self.calibration = network, calibration
        self._vectors: dict[str, NDArray[np.float32]] = {}
        self.source: RankerSource | None = None
        """Where it was loaded from, if it was."""

    def rank(
        self, question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score each triple as the one that answers: log probabilities if one does, and probabilities, (n_triples,)."""
        if not triples:
            return np.zeros(0, np.float32), np.zeros(0, np.float32)
        import torch

        groups = groups_of(Asked(question, mentions, triples))
        spans = [(group.mention.start, group.mention.end) for group in groups]
        with torch.inference_mode():
            pointed = self.network.point([question], [spans])[0].cpu().numpy()
            of_mention = log_softmax(pointed / self.calibration.mention_temperature)
            likeliest = np.argsort(-of_mention, kind="stable")[:MENTIONS_READ].tolist()
            matched = self._matched([groups[i] for i in sorted(likeliest)])
        scores = np.empty(len(triples))
        for group, log_mention in zip(groups, of_mention, strict=True):
            of_attribute = matched.get(group.number) or _all_alike(group)
            scores[group.places] = log_mention + [of_attribute[a] for a, _ in group.facts] + _log_shares(group)
        return scores.astype(np.float32), (np.exp(scores) * self.calibration.present).astype(np.float32)

    def _matched(self, groups: Sequence[Group]) -> dict[int, dict[str, float]]:
        """The log probability of each attribute if a mention is meant, by the number of the mention."""
        attributes = {group.number: list(dict.fromkeys(a for a, _ in group.facts)) for group in groups}
        open_ = [group for group in groups if len(attributes[group.number]) > 1]
        if not open_:
            return {}
        vectors = self._vectors_of({a for group in open_ for a in attributes[group.number]})
        asked = self.network.vectors([group.masked for group in open_]).cpu().numpy()
        found = {}
        for group, vector in zip(open_, asked, strict=True):
            of_group = attributes[group.number]
            logits = SCALE * np.array([vectors[a] for a in of_group]) @ vector
            fits = log_softmax(logits / self.calibration.attribute_temperature)
            found[group.number] = dict(zip(of_group, fits.tolist(), strict=True))
        return found

    def _vectors_of(self, attributes: Collection[str]) -> dict[str, NDArray[np.float32]]:
        """Vectors of at least these attributes; what was made once is kept, for other threads too."""
        known = self._vectors
        if len(known) > MOST_VECTORS:
            known = self._vectors = {}
        new = sorted(a for a in attributes if a not in known)
        if new:
            known |= zip(new, self.network.vectors(new).cpu().numpy(), strict=True)
        return known

    def save(self, folder: Path, record: dict[str, object]) -> None:
        """Write the ranker into an existing empty folder; `record` says how it was trained."""
        self.network.save(folder)
        about = {
            "kind": KIND,
            "format": FORMAT_VERSION,
            "files": {name: info.sha256 for name, info in describe_files(folder).items()},
            "calibration": asdict(self.calibration),
            "record": record,
        }
        (folder / RANKER_FILE).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> BertRanker:
        """Open a folder that `save` wrote.

        Raises: ModelError where it is damaged or of another version; MissingExtraError without the packages for models.
        """
        try:
            calibration = BertCalibration(**check_bert(folder)["calibration"])
            ranker = cls(BertNetwork.load(folder), calibration)
            ranker.source = RankerSource(folder.resolve(), describe_file(folder / RANKER_FILE).sha256)
            return ranker
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            raise _unreadable(folder, str(error)) from error


def is_bert(folder: Path) -> bool:
    """Whether a folder says that it holds such a ranker."""
    try:
        about = json.loads((folder / RANKER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("kind") == KIND


def log_softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Natural-log probabilities from logits, (n,).

    >>> np.exp(log_softmax(np.log([1.0, 3.0]))).round(2).tolist()
    [0.25, 0.75]
    """
    off = np.asarray(logits, np.float64) - logits.max()
    found: NDArray[np.float64] = off - np.log(np.exp(off).sum())
    return found


def _all_alike(group: Group) -> dict[str, float]:
    attributes = {a for a, _ in group.facts}
    return dict.fromkeys(attributes, -float(np.log(len(attributes))))


def _log_shares(group: Group) -> NDArray[np.float64]:
    """The log of each triple's share of its attribute: entities that have it share equally, then an entity's values."""
    values = Counter((a, t.subject_id) for a, t in group.facts)
    entities = Counter(a for a, _ in values)
    shares: NDArray[np.float64] = -np.log([entities[a] * values[a, t.subject_id] for a, t in group.facts])
    return shares


def check_bert(folder: Path) -> dict[str, Any]:
    """Read the record of such a ranker, and make sure that its files are as they were written. Raises: ModelError."""
    try:
        about: dict[str, Any] = json.loads((folder / RANKER_FILE).read_text(encoding="utf-8"))
        if about["format"] != FORMAT_VERSION:
            raise _unreadable(folder, f"format {about['format']}, expected {FORMAT_VERSION}")
        found = describe_files(folder)
        for name, sha256 in about["files"].items():
            if name not in found or found[name].sha256 != sha256:
                raise _unreadable(folder, f"{name} is {'not as it was written' if name in found else 'missing'}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(folder, str(error)) from error
    return about


def _unreadable(folder: Path, reason: str) -> ModelError:
    return ModelError(
        f"ranker {folder}: cannot be read ({' '.join(reason.split())}); train it again: kbqa finetune bert"
    )
