"use strict";

// Everything from a paper is put in with textContent: markup in it is shown, never read.
const $ = (id) => document.getElementById(id);
const VERDICTS = { accept: "accepted", edit: "edited", reject: "rejected" };

const state = {
  rows: [],      // {qa_id, question_type, split, decision} of the whole run
  list: [],      // those that fitted the filters when they were set
  at: 0,         // place in the list
  row: null,     // the row on the screen, in full
  undo: [],      // {qa_id, before}: the decision that each decision of this page replaced
  busy: false,   // a decision is on its way
};

async function ask(path, body) {
  const options = body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Start `lectern review` again; nothing that was saved is lost.");
  }
  const content = await response.json();
  if (!response.ok) throw new Error(typeof content.detail === "string" ? content.detail : "The server refused this.");
  return content;
}

function tell(text, isBad = false) {
  const message = $("message");
  message.textContent = text;
  message.className = isBad ? "shown bad" : "shown";
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { message.className = ""; }, isBad ? 8000 : 1600);
}

// ---------------------------------------------------------------------------------------------------- which rows

function applyFilters(keep) {
  const { question_type, split, status } = Object.fromEntries(new FormData($("filters")));
  state.list = state.rows.filter((row) =>
    (!question_type || row.question_type === question_type) && (!split || row.split === split)
    && (!status || (row.decision ?? "none") === status));
  const place = state.list.findIndex((row) => row.qa_id === keep);
  return show(Math.max(place, 0));
}

function go(step) {
  const at = state.at + step;
  if (at < 0 || at >= state.list.length) return tell(step < 0 ? "This is the first row." : "This is the last row.");
  return show(at);
}

function goOn() {
  const wantsUnreviewed = $("filters").elements.status.value === "none";
  const next = state.list.findIndex((row, place) => place > state.at && !(wantsUnreviewed && row.decision));
  if (next >= 0) return show(next);
  tell(state.rows.every((row) => row.decision) ? "Every row is reviewed." : "This was the last row of the list.");
  return show(state.at);
}

async function show(at) {
  state.at = at;
  closeForms();
  const summary = state.list[at];
  $("empty").hidden = Boolean(summary);
  $("row").hidden = !summary;
  state.row = null;
  if (summary) {
    const row = await ask(`/api/rows/${encodeURIComponent(summary.qa_id)}`);
    if (state.list[state.at] !== summary) return;  // an older answer: the person has gone on
    history.replaceState(null, "", `#${encodeURIComponent(row.qa_id)}`);
    put(row);
    document.querySelector("main").scrollTop = 0;
  }
  putProgress();
}

// ------------------------------------------------------------------------------------------------- on the screen

function put(row) {
  state.row = row;
  state.list[state.at].decision = row.decision?.decision ?? null;
  $("place").textContent = `${state.at + 1} / ${state.list.length}`;
  $("type").textContent = row.question_type;
  $("split").textContent = row.split;
  $("teacher").textContent = row.teacher;
  $("unanswerable").hidden = row.answerable;
  $("question").textContent = row.question;
  $("answer").textContent = row.answer;
  $("original").hidden = !row.original;
  $("original-question").textContent = row.original?.question ?? "";
  $("original-answer").textContent = row.original?.answer ?? "";
  const verdict = $("verdict");
  verdict.hidden = !row.decision;
  verdict.className = `chip verdict ${row.decision?.decision ?? ""}`;
  verdict.textContent = VERDICTS[row.decision?.decision] ?? "";
  $("note").hidden = !row.decision?.note;
  $("note").textContent = row.decision?.note ? `Note: ${row.decision.note}` : "";
  $("passages").replaceChildren(...row.passages.map(passageCard));
}

function passageCard(passage) {
  const card = element("section", "passage");
  card.append(element("h3", "", passage.title));
  card.append(element("p", "where", [...passage.section_path, passage.source].join("  ›  ")));
  const text = element("p", "text");
  text.append(...passage.pieces.map((piece) => element(piece.is_evidence ? "mark" : "span", "", piece.text)));
  card.append(text);
  return card;
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function putProgress() {
  const reviewed = state.rows.filter((row) => row.decision).length;
  $("bar").max = Math.max(state.rows.length, 1);
  $("bar").value = reviewed;
  $("progress").textContent = `${reviewed} of ${state.rows.length} reviewed`;
}

function closeForms() {
  $("editing").hidden = $("rejecting").hidden = true;
  $("reading").hidden = false;
  document.querySelector("main").focus();  // so that Space and Page Down scroll, and keys go to the rows
}

// ----------------------------------------------------------------------------------------------------- decisions

async function decide(decision, more = {}) {
  if (!state.row || state.busy) return;
  const { qa_id, decision: before } = state.row;
  await save({ qa_id, decision, ...more });
  state.undo.push({ qa_id, before });
  tell(VERDICTS[decision]);
  await goOn();
}

async function save(body) {
  state.busy = true;
  try {
    const row = await ask("/api/decisions", body);
    state.rows.find((one) => one.qa_id === row.qa_id).decision = row.decision?.decision ?? null;
    return row;
  } finally {
    state.busy = false;
  }
}

async function undo() {
  if (state.busy) return;
  const last = state.undo.at(-1);
  if (!last) return tell("Nothing to undo on this page.");
  const { qa_id, before } = last;
  const { decision, question, answer, note } = before ?? { decision: "withdraw" };
  await save({ qa_id, decision, ...(decision === "edit" ? { question, answer } : {}), note: note ?? "" });
  state.undo.pop();
  let place = state.list.findIndex((row) => row.qa_id === qa_id);
  if (place < 0) {  // the filters were changed since
    $("filters").reset();
    state.list = [...state.rows];
    place = state.list.findIndex((row) => row.qa_id === qa_id);
  }
  await show(place);
  tell("undone");
}

function openEditor() {
  if (!state.row) return;
  closeForms();
  const form = $("editing");
  form.elements.question.value = state.row.question;
  form.elements.answer.value = state.row.answer;
  form.hidden = false;
  $("reading").hidden = true;
  form.elements.answer.focus();
}

function saveEdit() {
  const { question, answer } = Object.fromEntries(new FormData($("editing")));
  if (!question.trim() || !answer.trim()) return tell("Question and answer must not be empty.", true);
  const isSame = question === state.row.question && answer === state.row.answer;
  if (isSame && state.row.decision?.decision !== "edit") return decide("accept");
  return decide("edit", { question: question.trim(), answer: answer.trim() });
}

function openRejection() {
  if (!state.row) return;
  closeForms();
  const form = $("rejecting");
  form.elements.note.value = state.row.decision?.note ?? "";
  form.hidden = false;
  form.elements.note.focus();
}

// ---------------------------------------------------------------------------------------------------------- keys

const ACTIONS = {
  accept: () => decide("accept"),
  reject: openRejection,
  edit: openEditor,
  undo,
  next: () => go(1),
  previous: () => go(-1),
  help: () => $("help").showModal(),
};
const KEYS = {
  a: "accept", r: "reject", e: "edit", u: "undo", j: "next", k: "previous", "?": "help",
  ArrowRight: "next", ArrowDown: "next", ArrowLeft: "previous", ArrowUp: "previous",
};

async function run(action) {
  try {
    await action();
  } catch (error) {
    tell(error.message, true);
  }
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || $("help").open) return;
  const isTyping = event.target.matches("textarea, input");
  if (event.key === "Escape") {
    closeForms();
  } else if (event.key === "Enter" && event.ctrlKey && !$("editing").hidden) {
    event.preventDefault();
    run(saveEdit);
  } else if (!isTyping && !event.target.matches("select") && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const name = KEYS[event.key];
    if (!name) return;
    event.preventDefault();
    if (!(event.repeat && ["accept", "undo"].includes(name))) run(ACTIONS[name]);
  }
});

document.querySelectorAll("[data-do]").forEach((button) => {
  button.addEventListener("click", () => run(ACTIONS[button.dataset.do]));
});
document.querySelectorAll(".cancel").forEach((button) => button.addEventListener("click", closeForms));
$("editing").addEventListener("submit", (event) => { event.preventDefault(); run(saveEdit); });
$("rejecting").addEventListener("submit", (event) => {
  event.preventDefault();
  run(() => decide("reject", { note: $("rejecting").elements.note.value.trim() }));
});
$("filters").addEventListener("change", (event) => {
  run(() => applyFilters(state.row?.qa_id));
});

run(async () => {
  const { run: name, rows } = await ask("/api/rows");
  state.rows = rows;
  $("run").textContent = name;
  document.title = `Review ${name}`;
  for (const key of ["question_type", "split"]) {
    for (const value of new Set(rows.map((row) => row[key]))) {
      $("filters").elements[key].append(new Option(value, value));
    }
  }
  const wanted = decodeURIComponent(location.hash.slice(1));
  await applyFilters(wanted || rows.find((row) => !row.decision)?.qa_id);
});
