"""The ``base/`` artifact: a model built here, or a reference to a pretrained one.

Everything downstream asks this module where the model and its tokenizer are, so no other place knows of hubs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from qa_core.config import PretrainedModel, ScratchModel
from qa_core.errors import UserError
from qa_core.manifest import digest
from qa_core.packaged import install_command, is_packaged, packaged_folder

REFERENCE_FILE = "base.json"
_MODEL_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "README.md")
"""Never ``*.bin``: those are pickles. The card names the licence, which goes into the GGUF."""


def build_scratch_model(
    texts: Sequence[str],
    settings: ScratchModel,
    seed: int,
    out: Path,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Train a tokenizer and a small Qwen2 model on ``texts`` and write both as a Hugging Face folder.

    The same texts, settings and seed give the same bytes. ``on_step`` hears of every pretraining step (from 1).
    """
    # Here, because importing this module must stay light: the chunker only asks for the tokenizer's path.
    from qa_core.training.pretraining import new_model, pretrain
    from qa_core.training.tokenizer import save_tokenizer, train_tokenizer

    if not any(text.strip() for text in texts):
        raise UserError("there is no text to build a base model from", "put papers into the folder of chunk.papers")
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(texts, settings.vocab_size)
    save_tokenizer(tokenizer, settings.max_position_embeddings, out)
    model = new_model(tokenizer, settings, seed)
    pretrain(model, tokenizer, texts, settings, seed, on_step)
    model.save_pretrained(out)
    _write_reference(out, {"source": "scratch"})


def write_pretrained_reference(settings: PretrainedModel, out: Path) -> None:
    """Write which pretrained model to use, pinned: a local folder becomes absolute, a hub revision its commit.

    A model inside a package stays ``package:MODULE/FOLDER``.
    """
    folder = _local_folder(settings.name_or_path)
    if folder is not None:
        _require_model_files(folder, settings.name_or_path)
        # A packaged model keeps its name: every node has the package, but not at one path.
        name = settings.name_or_path if is_packaged(settings.name_or_path) else str(folder.resolve())
        revision = None
    else:
        name = settings.name_or_path
        # The hub's cache lays files out as snapshots/COMMIT/config.json, online and offline alike.
        revision = Path(_download(name, settings.revision, "config.json")).parent.name
    out.mkdir(parents=True, exist_ok=True)
    _write_reference(out, {"source": "pretrained", "name_or_path": name, "revision": revision})


def packaged_model_digest(name: str) -> str:
    """Hash of the files of ``package:MODULE/FOLDER``: another version of the package has others under the same name."""
    folder = _local_folder(name)
    assert folder is not None
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return digest([[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files])


def model_location(base: Path) -> str:
    """The local folder that ``from_pretrained`` loads for the artifact at ``base``; fetches a hub model if needed.

    A folder rather than a hub name, because the folder also fixes the revision.
    """
    reference = _read_reference(base)
    if reference["source"] == "scratch":
        return str(base)
    name = str(reference["name_or_path"])
    folder = _local_folder(name)
    return str(folder) if folder is not None else _download(name, reference["revision"], None)


def tokenizer_file(base: Path) -> Path:
    """Path of ``tokenizer.json`` of the artifact at ``base``; fetches only this file from a hub."""
    return _small_file(base, "tokenizer.json")


def config_file(base: Path) -> Path:
    """Path of ``config.json``, likewise."""
    return _small_file(base, "config.json")


def _small_file(base: Path, file: str) -> Path:
    reference = _read_reference(base)
    if reference["source"] == "scratch":
        return base / file
    name = str(reference["name_or_path"])
    folder = _local_folder(name)
    return folder / file if folder is not None else Path(_download(name, reference["revision"], file))


def model_name(base: Path) -> str:
    """Name of the model for people: the hub name or folder, or ``scratch`` for one that was built here."""
    reference = _read_reference(base)
    return str(reference.get("name_or_path") or reference["source"])


def _local_folder(name: str) -> Path | None:
    """The folder that ``name`` is or that a package has under it; None for a name of the hub."""
    if is_packaged(name):
        remedy = f"{install_command(name)}, or set base_model.name_or_path to a local folder."
        return packaged_folder(name, "base_model.name_or_path", remedy)
    folder = Path(name).expanduser()
    return folder if folder.is_dir() else None


def _download(name: str, revision: str | None, filename: str | None) -> str:
    """Fetch one file, or the whole model when ``filename`` is None, through the hub's cache."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        if filename is not None:
            return hf_hub_download(name, filename, revision=revision)
        return snapshot_download(name, revision=revision, allow_patterns=list(_MODEL_FILES))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"base_model.name_or_path={name!r} is no local folder and cannot be fetched from the hub: {reason}",
            "set base_model.name_or_path=FOLDER to a downloaded copy, or fill the hub's cache once on a connected"
            " machine and set HF_HOME to it (with HF_HUB_OFFLINE=1)",
        ) from error


def _require_model_files(folder: Path, given: str) -> None:
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise UserError(
                f"base_model.name_or_path={given!r} has no {name}",
                "give the folder of a Hugging Face model with a fast tokenizer",
            )


def _write_reference(out: Path, reference: dict[str, str | None]) -> None:
    (out / REFERENCE_FILE).write_text(json.dumps(reference, indent=2) + "\n", encoding="utf-8")


def _read_reference(base: Path) -> dict[str, str | None]:
    return json.loads((base / REFERENCE_FILE).read_text(encoding="utf-8"))
