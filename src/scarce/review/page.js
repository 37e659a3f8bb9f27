"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const store = "scarce-review-" + data.name;
const WORDS = [["right", "r", "right"], ["set aside", "x", "aside"], ["unsure", "u", "unsure"]];
let now = 0;
let since = performance.now();
let answers = {};

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(store) || "{}");
    answers = kept.answers || {};
    at("voter").value = kept.voter || "";
  } catch { answers = {}; }
}

function keep() {
  try {
    localStorage.setItem(store, JSON.stringify({answers, voter: at("voter").value}));
  } catch { /* a browser that keeps nothing: the answers stay until the page is closed */ }
}

function element(name, text, parent) {
  const made = document.createElement(name);
  made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function button(text, key, parent, action) {
  const made = element("button", "", parent);
  made.type = "button";
  if (key) element("kbd", key, made);
  made.append(text);
  made.addEventListener("click", action);
  return made;
}

function kindOf(answer) {
  if (!answer) return "";
  return answer.new_label ? "relabel" : WORDS.find((word) => word[0] === answer.answer)[2];
}

function show() {
  const card = data.cards[now];
  at("picture").hidden = !card.picture;
  if (card.picture) at("picture").src = card.picture;
  at("picture").alt = card.file;
  at("picture").className = card.pixels ? "pixels" : "";
  at("text").textContent = card.text;
  at("file").textContent = card.file + (card.split ? " (" + card.split + ")" : "");
  at("label").textContent = card.label ? "Labelled " + card.label : "No label yet";
  at("reason").textContent = card.reason;
  const answer = answers[card.number];
  at("verdict").textContent = answer ? "You said: " + (answer.new_label || answer.answer) : "";
  at("verdicts").firstChild.disabled = !card.label;
  [...at("classes").children].forEach((item, place) => {
    item.className = data.classes[place] === card.suggestion ? "suggested" : "";
  });
  [...at("strip").children].forEach((item, place) => {
    item.className = kindOf(answers[data.cards[place].number]) + (place === now ? " now" : "");
  });
  at("done").textContent = data.cards.filter((item) => answers[item.number]).length;
  since = performance.now();
}

function go(step) {
  now = Math.min(Math.max(now + step, 0), data.cards.length - 1);
  show();
}

function say(answer, newLabel) {
  const card = data.cards[now];
  if (answer === "right" && !card.label) return;
  const before = (answers[card.number] || {}).seconds || 0;
  const seconds = before + Math.min((performance.now() - since) / 1000, 600);
  const same = newLabel && newLabel === card.label;
  answers[card.number] = {answer: same ? "right" : answer, new_label: same ? "" : newLabel, seconds};
  keep();
  go(1);
}

function takeBack() {
  delete answers[data.cards[now].number];
  keep();
  show();
}

function cell(value, plain) {
  let text = String(value ?? "");
  if (!plain && data.risky.includes(text[0])) text = "'" + text;
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function csv() {
  const rows = [data.heads.join(",")];
  for (const card of data.cards) {
    const answer = answers[card.number] || {answer: "", new_label: "", seconds: ""};
    const seconds = answer.seconds === "" ? "" : answer.seconds.toFixed(1);
    const row = {...card, ...answer, seconds, voter: at("voter").value};
    rows.push(data.heads.map((head) => cell(row[head], head === "new_label" || head === "seconds")).join(","));
  }
  return rows.join("\n") + "\n";
}

function save() {
  if (!at("voter").reportValidity()) return;
  keep();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key;
  const place = data.keys.indexOf(key.toLowerCase());
  const free = (letter) => key === letter && !data.keys.slice(0, data.classes.length).includes(letter);
  if (key === "Enter" && event.target.tagName === "BUTTON") return;
  if (key === "ArrowRight") go(1);
  else if (key === "ArrowLeft") go(-1);
  else if (key === "Delete" || key === "Backspace") takeBack();
  else if (key === "x") say("set aside", "");
  else if (key === "u") say("unsure", "");
  else if (key === "Enter" || free("r")) say("right", "");
  else if (free("s")) save();
  else if (place >= 0 && data.classes[place] !== undefined) say("", data.classes[place]);
  else return;
  event.preventDefault();
});
document.addEventListener("visibilitychange", () => { since = performance.now(); });

load();
at("all").textContent = data.cards.length;
WORDS.forEach(([word, key]) => button(word, key, at("verdicts"), () => say(word, "")));
data.classes.forEach((name, place) => button(name, data.keys[place], at("classes"), () => say("", name)));
data.cards.forEach((card, place) => {
  const item = button("", "", at("strip"), () => { now = place; show(); });
  item.setAttribute("aria-label", card.file);
  if (card.picture) {
    const picture = element("img", "", item);
    picture.src = card.picture;
    picture.alt = "";
  } else {
    item.append(String(place + 1));
  }
});
at("save").addEventListener("click", save);
at("voter").addEventListener("change", keep);
const first = data.cards.findIndex((card) => !answers[card.number]);
now = first < 0 ? 0 : first;
show();
