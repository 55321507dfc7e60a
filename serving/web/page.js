"use strict";

// Everything from a paper or a model is put in with textContent: markup in it is shown, never read.
const $ = (id) => document.getElementById(id);
const state = { running: null, papers: new Map(), cameFrom: null };

// ------------------------------------------------------------------------------------------------------ the service

async function call(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: { message: `The service refused: ${response.status}` } }));
  if (response.status === 401) askForKey();
  const retry = response.headers.get("Retry-After");
  throw new Error(retry ? `${error.message} (again in ${retry} s)` : error.message);
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      yield chunk;
    }
  }
}

async function start() {
  try {
    const { data } = await (await call("/v1/models")).json();
    const names = data.map((model) => model.id).filter((id) => id.endsWith("-rag")).map((id) => id.replace(/-rag$/, ""));
    $("model").replaceChildren(...names.map((name) => new Option(name)));
    $("model-label").hidden = names.length < 2;
    $("about").textContent = `· ${names.join(", ")}`;
    const papers = await (await call("/v1/papers")).json();
    $("paper").replaceChildren(new Option("all", ""), ...papers.data.map((one) => new Option(one.title || one.source, one.source)));
  } catch (error) {
    tell(error.message);
  }
}

function askForKey() {
  $("change-key").hidden = false;
  if (!$("key-dialog").open) $("key-dialog").showModal();
}

// --------------------------------------------------------------------------------------------------------- asking

async function ask() {
  const question = $("question").value.trim();
  if (!question || state.running) return;
  const model = $("model").value;
  if (!model) return tell("The service has not said which models it has. Reload the page.");
  tell("");
  const mode = new FormData($("ask")).get("mode");
  const turn = document.createElement("section");
  turn.className = "turn";
  $("answers").prepend(turn);
  state.running = new AbortController();
  running(true);
  const modes = mode === "both" ? ["rag", "standalone"] : [mode];
  const cards = modes.map((each) => card(turn, each, question));
  const results = await Promise.allSettled(cards.map((each, at) => answer(each, model, modes[at], question)));
  for (const { reason } of results) if (reason && reason.name !== "AbortError") tell(reason.message);
  state.running = null;
  running(false);
}

function card(turn, mode, question) {
  const element = $("answer-template").content.cloneNode(true).firstElementChild;
  element.querySelector("h2").textContent = mode === "rag" ? "With the papers" : "Without the papers";
  element.querySelector(".question").textContent = question;
  element.querySelector(".text").classList.add("waiting");
  turn.append(element);
  return element;
}

async function answer(element, model, mode, question) {
  const began = performance.now();
  const text = element.querySelector(".text");
  const body = { model: mode === "rag" ? `${model}-rag` : model, messages: [{ role: "user", content: question }], stream: true,
                 stream_options: { include_usage: true } };
  if (mode === "rag") body.retrieval = retrieval();
  let said = "", first = null, last = null, usage = null;
  text.setAttribute("aria-busy", "true");
  try {
    const response = await call("/v1/chat/completions", { method: "POST", body: JSON.stringify(body), signal: state.running.signal });
    for await (const chunk of events(response)) {
      first ??= performance.now();
      if (chunk.usage) usage = chunk.usage;
      if (!chunk.choices.length) continue;
      said += chunk.choices[0].delta.content;
      if (chunk.choices[0].finish_reason) last = chunk;
      show(text, said, last?.citations ?? []);
    }
    if (!last) throw new Error("The answer broke off: the connection ended before it did.");
  } finally {
    text.classList.remove("waiting");
    text.removeAttribute("aria-busy");
  }
  finish(element, last, usage, began, first);
}

function retrieval() {
  const options = { trace: true };
  if ($("k").value) options.k = Number($("k").value);
  if ($("paper").value) options.documents = [$("paper").value];
  return options;
}

// -------------------------------------------------------------------------------------------------------- showing

function show(element, said, citations) {
  const byNumber = new Map(citations.map((citation) => [citation.number, citation]));
  element.replaceChildren(...said.split(/(\[\d{1,2}\])/).map((part) => {
    const citation = byNumber.get(Number(/^\[(\d+)\]$/.exec(part)?.[1]));
    return citation ? citationMark(citation) : document.createTextNode(part);
  }));
}

function citationMark(citation) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "cite";
  button.textContent = citation.number;
  button.setAttribute("aria-label", `Citation ${citation.number}: ${place(citation)}`);
  button.setAttribute("aria-describedby", "preview");
  button.addEventListener("click", () => read(citation, button));
  for (const name of ["mouseenter", "focus"]) button.addEventListener(name, () => preview(citation, button));
  for (const name of ["mouseleave", "blur"]) button.addEventListener(name, () => { $("preview").hidden = true; });
  return button;
}

function preview(citation, button) {
  const title = document.createElement("strong");
  title.textContent = place(citation);
  const text = citation.text.length > 300 ? `${citation.text.slice(0, 300)} …` : citation.text;
  $("preview").replaceChildren(title, text);
  $("preview").hidden = false;
  const box = button.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - $("preview").offsetWidth - 16);
  $("preview").style.left = `${Math.max(8, left) + scrollX}px`;
  $("preview").style.top = `${box.bottom + scrollY + 6}px`;
}

const place = (passage) => passage.section_path.join(" › ") || passage.title || passage.source;

function finish(element, last, usage, began, first) {
  const note = element.querySelector(".note");
  if (last.abstention) {
    note.hidden = false;
    note.textContent = last.abstention === "no_passage_found"
      ? "Retrieval found no passage to read, so the model was not asked."
      : "The model read the passages below and says that they do not hold the answer.";
  } else if (last.choices[0].finish_reason === "length") {
    note.hidden = false;
    note.textContent = "The answer was cut at the most tokens that one may have.";
  }
  const list = element.querySelector(".citations");
  list.append(...(last.citations ?? []).map(citationRow));
  list.hidden = !list.children.length;
  const conflicts = element.querySelector(".conflicts");
  conflicts.querySelector("ul").append(...(last.conflicts ?? []).map(conflictRow));
  conflicts.hidden = !last.conflicts?.length;
  if (usage) element.querySelector(".cost").textContent = cost(usage, began, first);
  if (last.trace?.length) traceRows(element.querySelector(".trace"), last.trace);
}

function citationRow(citation) {
  const row = document.createElement("li");
  const open = document.createElement("button");
  open.type = "button";
  open.textContent = `[${citation.number}] ${place(citation)}`;
  open.addEventListener("click", () => read(citation, open));
  const support = document.createElement("span");
  support.className = citation.supported ? "support" : "support not";
  support.textContent = citation.supported ? " ✓ its words are in the passage" : " ✗ its words are not in the passage";
  const where = document.createElement("p");
  where.className = "where";
  where.textContent = `${citation.source}, characters ${citation.start_char}–${citation.end_char}`;
  row.append(open, support, where);
  return row;
}

function conflictRow(conflict) {
  const row = document.createElement("li");
  row.append(...conflict.statements.map((statement) => {
    const said = document.createElement("p");
    const open = document.createElement("button");
    open.type = "button";
    open.textContent = `[${statement.number}] ${statement.title || statement.source}`;
    open.addEventListener("click", () => read(statement, open));
    said.append(open, `: “${statement.text}”`);
    return said;
  }));
  return row;
}

function cost(usage, began, first) {
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const speed = usage.completion_tokens / Math.max(0.001, (performance.now() - first) / 1000);
  return `first word after ${Math.round(first - began)} ms · ${usage.completion_tokens} tokens, ${Math.round(speed)} a second`
    + ` · prompt of ${usage.prompt_tokens} tokens${cached ? `, ${cached} of them remembered` : ""}`;
}

function traceRows(details, trace) {
  details.hidden = false;
  const kept = trace.filter((passage) => passage.number !== null).length;
  details.querySelector("summary").textContent = `What was read: ${kept} of ${trace.length} passages found`;
  details.querySelector("tbody").append(...trace.map((passage) => {
    const row = document.createElement("tr");
    const open = document.createElement("button");
    open.type = "button";
    open.textContent = place(passage);
    open.addEventListener("click", () => read(passage, open));
    const state = passage.number === null ? "left out" : `[${passage.number}]${passage.text_cut ? " cut" : ""}`;
    for (const content of [state, open, passage.similarity.toFixed(3), passage.score.toFixed(3), passage.tokens]) {
      const cell = document.createElement("td");
      cell.append(content);
      row.append(cell);
    }
    return row;
  }));
}

// ------------------------------------------------------------------------------------------------------ the paper

async function read(passage, from) {
  $("preview").hidden = true;
  state.cameFrom = from;
  let paper;
  try {
    paper = await paperWith(passage);
  } catch (error) {
    return tell(error.message);
  }
  if (state.cameFrom !== from) return; // another citation was opened meanwhile
  $("paper-title").textContent = paper.title || paper.source;
  $("paper-where").textContent = `${paper.source} as it was indexed; the passage is marked`;
  $("paper-text").replaceChildren(...paper.passages.flatMap((_, at) => paperPart(paper.passages, at, passage)));
  $("reader").hidden = false;
  $("paper-title").focus();
  $("paper-text").querySelector("mark")?.scrollIntoView({ block: "center" });
}

async function paperWith(passage) {
  const holds = (paper) => paper?.passages.some((part) => part.chunk_id === passage.chunk_id);
  if (!holds(state.papers.get(passage.source))) {  // not read yet, or indexed anew since
    const path = passage.source.split("/").map(encodeURIComponent).join("/");
    state.papers.set(passage.source, await (await call(`/v1/papers/${path}`)).json());
  }
  const paper = state.papers.get(passage.source);
  if (!holds(paper)) throw new Error("The paper was indexed anew, and this passage is no longer in it. Ask again.");
  return paper;
}

// Passages overlap. What two of them hold is shown once, and in the marked one where it is one of the two.
function paperPart(passages, at, marked) {
  const [before, part, after] = [passages[at - 1], passages[at], passages[at + 1]];
  const isMarked = part.chunk_id === marked.chunk_id;
  const characters = [...part.text];
  const from = before && !isMarked ? Math.max(0, before.end_char - part.start_char) : 0;
  const to = after?.chunk_id === marked.chunk_id ? Math.max(0, after.start_char - part.start_char) : characters.length;
  const paragraph = document.createElement("p");
  if (isMarked) {
    // A passage that was cut for the prompt is marked as far as the model could read it, a sentence alone.
    const [begin, end] = [marked.start_char - part.start_char, marked.end_char - part.start_char];
    const mark = document.createElement("mark");
    mark.textContent = characters.slice(begin, end).join("");
    paragraph.append(characters.slice(0, begin).join(""), mark, characters.slice(end).join(""));
  } else {
    paragraph.textContent = characters.slice(from, to).join("").trim();
  }
  if (before && section(before) === section(part)) return [paragraph];
  const heading = document.createElement("h3");
  heading.textContent = section(part);
  return [heading, paragraph];
}

const section = (passage) =>
  passage.section_path.filter((name, at) => at || name !== passage.title).join(" › ") || "Beginning";

function closeReader() {
  $("reader").hidden = true;
  state.cameFrom?.focus();
  $("preview").hidden = true;
}

// -------------------------------------------------------------------------------------------------------- controls

function running(is) {
  $("stop").hidden = !is;
  $("send").hidden = is;
}

function tell(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
}

$("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("ask").requestSubmit(); }
});
$("stop").addEventListener("click", () => state.running?.abort());
$("close").addEventListener("click", closeReader);
$("change-key").addEventListener("click", askForKey);
$("key-form").addEventListener("submit", () => { sessionStorage.setItem("key", $("key").value); $("key").value = ""; tell(""); start(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(TEXTAREA|INPUT|SELECT)$/.test(document.activeElement.tagName)) { event.preventDefault(); $("question").focus(); }
  if (event.key !== "Escape" || $("key-dialog").open) return;
  if (!$("preview").hidden) $("preview").hidden = true;
  else if (!$("reader").hidden) closeReader();
  else state.running?.abort();
});
start();
