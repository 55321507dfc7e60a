"""The review page: over real sockets, against other pages of the same browser, and in a real browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn

from jobs.console import person_console
from jobs.review import serve_review
from jobs.review.desk import Desk, marked
from jobs.review.server import review_app
from qa_core.artifacts import RunStore
from qa_core.dataset.layout import write_dataset
from qa_core.dataset.reviews import read_reviews
from qa_core.errors import UserError
from qa_core.manifest import Manifest
from qa_core.schemas import CHUNKS, QA
from tests.browser import CHROMIUM, browser, wait_until
from tests.unit.dataset.sample_rows import sample_rows

ROOT = Path(__file__).parents[3]
HOSTILE = '🙂 <script>document.title = "owned"</script><img src=x onerror="document.title=\'owned\'"> a quorum is three'


def publish(store: RunStore, name: str, table: pa.Table) -> None:
    artifact = store.artifact(name)
    artifact.clear_staging()
    with artifact.staging() as folder:
        if name == "qa":
            write_dataset(table, folder, "")
        else:
            pq.write_table(table, folder / "part-00000.parquet")
    manifest = Manifest(
        artifact=name, stage=name, fingerprint="f", inputs={}, config={}, seed=1, num_rows=1, rejected={}, metrics={},
        packages={}, git_commit="", started="", finished="", seconds=0.0,
    )  # fmt: skip
    artifact.publish(manifest)


def write_run(folder: Path) -> RunStore:
    """Five rows of train, of which the first is from a hostile paper, and one of validation and of test."""
    store = RunStore.open(str(folder), "run")
    rows, chunks = sample_rows(8), []
    for row in rows:
        text = HOSTILE if row["qa_id"] == "q00" else row["evidence"][0]["text"]
        chunks.append(
            {"chunk_id": row["chunk_ids"][0], "doc_id": row["doc_id"], "source": "a.md", "title": "<b>A</b> & B",
             "section_path": ["One", "Two"], "start_char": 100, "end_char": 100 + len(text), "text": text}
        )  # fmt: skip
    quorum = 100 + HOSTILE.index("a quorum")
    rows[0] |= {
        "question": "<i>How</i> large?", "answer": "Three <b>servers</b>.",
        "evidence": [{"chunk_id": "c0", "text": "a quorum", "start_char": quorum, "end_char": quorum + 8}],
    }  # fmt: skip
    publish(store, "chunks", pa.Table.from_pylist(chunks, schema=CHUNKS))
    publish(store, "qa", pa.Table.from_pylist(rows, schema=QA))
    return store


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return write_run(tmp_path)


@pytest.fixture
def client(store: RunStore) -> Iterator[httpx.Client]:
    """A client of a running server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(review_app(Desk(store), port), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def decide(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/api/decisions", json=body)


def test_rows_come_in_the_artifacts_order_with_what_was_decided(client: httpx.Client) -> None:
    assert decide(client, qa_id="q03", decision="accept").status_code == 200
    told = client.get("/api/rows").json()
    assert told["run"] == "run"
    assert [row["qa_id"] for row in told["rows"]] == ["q07", "q00", "q01", "q02", "q03", "q04", "q05", "q06"]
    assert [row["decision"] for row in told["rows"]] == [None] * 4 + ["accept"] + [None] * 3
    assert told["rows"][0] == {"qa_id": "q07", "question_type": "numeric", "split": "test", "decision": None}


def test_a_row_shows_its_evidence_inside_its_passage(client: httpx.Client) -> None:
    row = client.get("/api/rows/q00").json()
    (passage,) = row["passages"]
    assert "".join(piece["text"] for piece in passage["pieces"]) == HOSTILE
    assert [piece["text"] for piece in passage["pieces"] if piece["is_evidence"]] == ["a quorum"]
    assert passage["section_path"] == ["One", "Two"]


@pytest.mark.parametrize(
    ("spans", "pieces"),
    [
        ([], ["abcdef"]),
        ([(12, 14)], ["ab", "*cd", "ef"]),
        ([(10, 16)], ["*abcdef"]),
        ([(13, 15), (11, 14)], ["a", "*bcd", "*e", "f"]),
        ([(12, 15), (13, 14)], ["ab", "*cde", "f"]),
        ([(5, 11), (15, 99), (40, 50)], ["*a", "bcde", "*f"]),
    ],
)
def test_evidence_is_marked_once_and_never_outside_the_passage(spans: list[tuple[int, int]], pieces: list[str]) -> None:
    assert [f"{'*' * piece['is_evidence']}{piece['text']}" for piece in marked("abcdef", 10, spans)] == pieces


def test_a_decision_is_on_the_disk_when_it_is_acknowledged(client: httpx.Client, store: RunStore) -> None:
    edited = decide(client, qa_id="q01", decision="edit", question="Which?", answer="東京 \n two").json()
    assert (edited["question"], edited["answer"]) == ("Which?", "東京 \n two")
    assert edited["original"]["question"] == "What does block 1 store?"
    assert edited["decision"]["decision"] == "edit"
    assert decide(client, qa_id="q02", decision="reject", note="dull").json()["decision"]["note"] == "dull"
    assert decide(client, qa_id="q02", decision="withdraw").json()["decision"] is None
    lines = [json.loads(line) for line in (Path(store.path) / "reviews.jsonl").read_text("utf-8").splitlines()]
    assert [(line["qa_id"], line["decision"]) for line in lines] == [
        ("q01", "edit"), ("q02", "reject"), ("q02", "withdraw"),
    ]  # fmt: skip
    assert all(line["time"].endswith("Z") for line in lines)
    assert list(read_reviews(store)) == ["q01"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"qa_id": "gone", "decision": "accept"}, 404),
        ({"qa_id": "q01", "decision": "maybe"}, 422),
        ({"qa_id": "q01", "decision": "edit", "question": "Which?"}, 422),
        ({"qa_id": "q01", "decision": "edit", "question": " ", "answer": "x"}, 422),
        ({"qa_id": "q01", "decision": "accept", "split": "test"}, 422),
        ({"qa_id": "q01", "decision": "reject", "note": "x" * 20_001}, 422),
        ({"decision": "accept"}, 422),
    ],
)
def test_a_wrong_decision_is_refused_and_not_written(
    client: httpx.Client, store: RunStore, body: dict[str, Any], status: int
) -> None:
    assert decide(client, **body).status_code == status
    assert not (Path(store.path) / "reviews.jsonl").exists()


def test_the_server_answers_under_its_own_name_only(client: httpx.Client) -> None:
    port = client.base_url.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert client.get("/api/rows", headers={"host": host}).status_code == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", "localhost"):
        for path in ("/", "/api/rows", "/page.js"):
            assert client.get(path, headers={"host": host}).status_code == 421


def test_another_page_of_the_browser_cannot_decide(client: httpx.Client, store: RunStore) -> None:
    body = json.dumps({"qa_id": "q01", "decision": "reject"})
    for headers in (
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json", "origin": "http://evil.example"},
        {"content-type": "application/json", "origin": "null"},
        {"content-type": "application/json", "origin": f"https://127.0.0.1:{client.base_url.port}"},
        {},
    ):
        assert client.post("/api/decisions", content=body, headers=headers).status_code in (403, 415)
    preflight = client.options("/api/decisions", headers={"access-control-request-method": "POST"})
    assert not any(name.startswith("access-control-allow") for name in preflight.headers)
    assert read_reviews(store) == {}
    own = {"content-type": "application/json; charset=utf-8", "origin": f"http://127.0.0.1:{client.base_url.port}"}
    assert client.post("/api/decisions", content=body, headers=own).status_code == 200


def test_the_page_may_load_nothing_from_elsewhere(client: httpx.Client) -> None:
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "javascript")):
        response = client.get(path)
        assert kind in response.headers["content-type"]
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "//" not in response.text.replace("// ", "")
    assert client.get("/../pyproject.toml").status_code == 404
    assert client.get("/openapi.json").status_code == 404


def test_many_decisions_at_once_are_all_kept(client: httpx.Client, store: RunStore) -> None:
    def decide_often(name: str) -> None:
        for number in range(40):
            assert decide(client, qa_id=name, decision="reject", note=f"{number}").status_code == 200

    threads = [threading.Thread(target=decide_often, args=(f"q0{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (Path(store.path) / "reviews.jsonl").read_text().splitlines()
    assert len(lines) == 160
    assert {decision.note for decision in read_reviews(store).values()} == {"39"}


def test_a_file_that_cannot_be_read_any_more_is_told_and_not_written_over(
    client: httpx.Client, store: RunStore
) -> None:
    path = Path(store.path) / "reviews.jsonl"
    path.write_text("not a decision\n")
    response = decide(client, qa_id="q01", decision="accept")
    assert response.status_code == 500
    assert "line 1" in response.json()["detail"]
    assert path.read_text().startswith("not a decision\n")


def test_what_cannot_be_served_is_a_mistake_with_a_remedy(store: RunStore, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match=r"is taken\n.*--port"):
            serve_review(store, "127.0.0.1", taken.getsockname()[1], person_console())
    with pytest.raises(UserError, match="this machine only"):
        serve_review(store, "0.0.0.0", 0, person_console())
    with pytest.raises(UserError, match="qa is not there"):
        serve_review(RunStore.open(str(tmp_path), "other"), "127.0.0.1", 0, person_console())
    store.artifact("chunks").remove()
    publish(store, "chunks", CHUNKS.empty_table())
    with pytest.raises(UserError, match="lacks 8 passages"):
        serve_review(store, "127.0.0.1", 0, person_console())


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_in_good_order_and_says_what_to_do_next(store: RunStore, ending: signal.Signals) -> None:
    program = (
        "import signal, sys\n"
        "from jobs.cli import _as_interrupt\n"
        "from jobs.console import person_console\n"
        "from jobs.review import serve_review\n"
        "from qa_core.artifacts import RunStore\n"
        "signal.signal(signal.SIGTERM, _as_interrupt)\n"
        f"serve_review(RunStore.open({str(Path(store.path).parent)!r}, 'run'), '127.0.0.1', 0, person_console())\n"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    address = first.split("Review rows at ")[1].split()[0]
    with httpx.Client(base_url=address, timeout=30) as client:  # an open connection does not hold the end up
        assert decide(client, qa_id="q04", decision="accept").status_code == 200
        process.send_signal(ending)
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 0, told
    assert "1 of 8 rows reviewed: 1 accepted, 0 edited, 0 rejected" in told
    assert "lectern generate-qa --force" in told
    assert read_reviews(store)["q04"].decision == "accept"


@pytest.mark.skipif(CHROMIUM is None, reason="no browser on this machine: apt-get install chromium")
def test_a_person_reviews_by_keyboard(client: httpx.Client, store: RunStore, tmp_path: Path) -> None:
    def decisions() -> dict[str, str]:
        return {qa_id: decision.decision for qa_id, decision in read_reviews(store).items()}

    with browser(tmp_path / "profile") as new_page:
        page = new_page()
        page.open(str(client.base_url))
        page.wait("#place", "1 / 8")
        page.press("a")
        page.wait("#place", "2 / 8")
        assert decisions() == {"q07": "accept"}

        # The hostile paper is shown as text, its evidence marked behind a character of two UTF-16 units.
        assert page.text("#question") == "<i>How</i> large?"
        assert page.text(".passage .text") == HOSTILE
        assert page.text("mark") == "a quorum"
        assert page.run("document.title") == "Review run"

        page.press("r")
        page.type("jar: a bad row")
        page.press("Enter")
        page.wait("#place", "3 / 8")
        assert read_reviews(store)["q00"].note == "jar: a bad row"

        page.press("e")
        page.run("document.querySelector('[name=answer]').select()")
        page.type("One value.")
        page.press("Enter", ctrl=True)
        page.wait("#place", "4 / 8")
        assert read_reviews(store)["q01"].answer == "One value."

        page.press("e")
        page.type("thrown away")
        page.press("Escape")
        page.press("k")
        page.wait("#place", "3 / 8")
        assert page.text("#answer") == "One value."
        assert page.text("#verdict") == "edited"

        page.press("u")
        page.wait("#progress", "2 of 8 reviewed")
        wait_until(lambda: decisions() == {"q07": "accept", "q00": "reject"}, lambda: str(decisions()))
        page.press("u")
        page.wait("#progress", "1 of 8 reviewed")
        page.press("r")
        page.press("Enter")
        page.wait("#place", "3 / 8")

        other = new_page()
        other.open(f"{client.base_url}#q00")
        other.wait("#verdict", "rejected")
        other.press("a")
        other.wait("#place", "3 / 8")
        page.press("ArrowLeft")
        page.wait("#verdict", "accepted")

        page.press("?")
        assert page.run("document.getElementById('help').open")
        page.press("Escape")

        page.run(
            "document.querySelector('[name=status]').value = 'none';"
            "document.querySelector('#filters').dispatchEvent(new Event('change'))"
        )
        page.wait("#place", "1 / 6")
        assert decisions() == {"q07": "accept", "q00": "accept"}
