"""``lectern export-qa``: the rows of a run in the form that other training tools read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from qa_core.artifacts import Artifact
from qa_core.dataset.export import DESCRIPTION, EXPORT_FORMS, ExportForm, export_files
from qa_core.errors import UserError


def export_dataset(qa: Artifact, form: str, out: Path, console: Console, *, force: bool = False) -> None:
    """Write one file a split and LLaMA-Factory's description to the folder ``out``.

    All files are written beside their places first, so that a full disk leaves what was there before. Raises
    :class:`UserError` for an unknown form, a missing artifact, and files that are there unless ``force``.
    """
    known = _known_form(form)
    if qa.manifest() is None:
        raise UserError(f"{qa.uri} is not there or not complete", "Make it with `lectern generate-qa` and this config.")
    files = export_files(qa.read_table(["split", "messages"]), known)
    taken = [name for name in files if (out / name).exists()]
    if taken and not force:
        raise UserError(f"{out} has {', '.join(taken)} already", "Give another --out, or replace them with --force.")
    try:
        _write_all(files, out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}", "Give another --out.") from error
    for name, content in files.items():
        rows = "" if name == DESCRIPTION else f"  {content.count(chr(10)):,} rows"
        console.print(f"{escape(str(out / name))}{rows}")
    console.print(_hint(known, out))


def _known_form(form: str) -> ExportForm:
    for known in EXPORT_FORMS:
        if form == known:
            return known
    raise UserError(f"there is no form {form!r}", f"There are {', '.join(EXPORT_FORMS)}.")


def _write_all(files: dict[str, str], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out) as folder:
        for name, content in files.items():
            with (Path(folder) / name).open("w", encoding="utf-8", newline="\n") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name in files:
            os.replace(Path(folder) / name, out / name)


def _hint(form: ExportForm, out: Path) -> str:
    axolotl = {
        "sharegpt": "type: chat_template, field_messages: conversations, message_property_mappings: "
        "{role: from, content: value}",
        "alpaca": "type: alpaca, which leaves out the system turn",
    }
    return (
        f"[dim]LLaMA-Factory: dataset_dir: {escape(str(out))}, dataset: lectern_train, "
        "eval_dataset: lectern_validation\n"
        f"Axolotl: {escape(axolotl[form])}[/dim]"
    )
