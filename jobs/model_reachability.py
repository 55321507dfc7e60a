"""Whether a model can be loaded from here, without loading it."""

from __future__ import annotations

from pathlib import Path

from qa_core.errors import UserError
from qa_core.packaged import install_command, is_packaged, packaged_folder

_HUB_SECONDS = 10


def locate_model(name: str, revision: str | None, key: str) -> str:
    """Where the model ``name`` of setting ``key`` is, in words, or :class:`UserError` when it cannot be had."""
    if is_packaged(name):
        remedy = f"{install_command(name)}, or give a local folder: {key}=FOLDER."
        return f"in the package, {_in_folder(packaged_folder(name, key, remedy), key)}"
    if Path(name).expanduser().exists():
        return _in_folder(Path(name).expanduser(), key)
    return _on_hub(name, revision, key)


def _in_folder(folder: Path, key: str) -> str:
    if not (folder / "config.json").is_file():
        raise UserError(f"{key}: {folder} holds no config.json", "Give a folder as `save_pretrained` writes it.")
    return f"a local folder ({folder})"


def _on_hub(name: str, revision: str | None, key: str) -> str:
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    remedy = f"Give a folder instead: {key}=FOLDER. `--config tiny` needs no hub."
    try:
        if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
            return "in the hub's local cache"
        if constants.HF_HUB_OFFLINE:
            raise UserError(f"{key}={name} is not in the local cache, and HF_HUB_OFFLINE is set", remedy)
        HfApi().model_info(name, revision=revision, timeout=_HUB_SECONDS)
        return "on the hub"
    except HFValidationError as error:
        raise UserError(f"{key}={name} is neither a folder nor a hub name", remedy) from error
    except HfHubHTTPError as error:  # not there, gated, or no such revision: the hub says which
        raise UserError(f"{key}={name}: {str(error).strip().splitlines()[-1]}", remedy) from error
    except HTTPError as error:
        raise UserError(f"{key}={name}: the hub cannot be reached ({error})", remedy) from error
