// The page: tabs, the form, and which panels there are.

import { Problem, get, useKey } from "./api.js";
import { Panel } from "./panel.js";

const byId = (id) => document.getElementById(id);

const PROBLEM =
  "Lily can run 12 kilometers per hour for 4 hours. After that, she can run 6 kilometers per hour. " +
  "How many kilometers can she run in 8 hours?";

// Each: its words, how many panels, parameters that its request does not take, and the request itself: path,
// body, and what of the text is before the canvas. `able` says of an algorithm whether it can do it.
const TABS = {
  generate: {
    label: "Prompt",
    action: "Generate",
    hint: "One message of the chat template.",
    prompt: PROBLEM,
    panels: 1,
    able: () => true,
    leaveOut: [],
    request: (text) => ["v1/chat/completions", { messages: [{ role: "user", content: text }] }, ""],
  },
  compare: {
    label: "Prompt",
    action: "Compare",
    hint: "The same prompt by two algorithms, one after the other unless you say otherwise.",
    prompt: PROBLEM,
    panels: 2,
    able: () => true,
    leaveOut: [],
    request: (text) => ["v1/chat/completions", { messages: [{ role: "user", content: text }] }, ""],
  },
  infill: {
    label: "Text with blanks",
    action: "Fill in",
    hint: "{{8}} is a blank of eight tokens; the model sees the text on both sides. {{{{ writes two braces.",
    prompt:
      "The fast part is {{9}}. The rest is 8 - 4 = 4 hours. The slow part is {{8}}. " +
      "Together that is {{10}}. The answer is 72.",
    panels: 1,
    able: (algorithm) => algorithm.infills,
    leaveOut: ["gen_length"],
    // After a question the canvas begins with the text, else with its first blank.
    request: (text, context) =>
      context
        ? ["v1/infill", { template: text, prompt: context }, ""]
        : ["v1/infill", { template: text }, beforeBlank(text)],
  },
};

const LEGENDS = { confidence: ["unsure", "sure"], step: ["late", "early"] };

let algorithms = [];
let panels = [];
let tab = "generate";
let running = null;

async function begin() {
  try {
    const [models, installed] = await Promise.all([get("v1/models"), get("generation/algorithms")]);
    const model = models.data[0];
    byId("served").textContent = `${model.id} on the engine ${model.engine}`;
    algorithms = installed.data.filter((each) => each.runs);
    byId("access").hidden = true;
    byId("tab-infill").hidden = !algorithms.some(TABS.infill.able);
    open(byId(`tab-${tab}`).hidden ? "generate" : tab);
  } catch (error) {
    byId("served").textContent = "";
    tell(error);
  }
}

function open(name) {
  running?.abort();
  complain(null);
  const before = TABS[tab];
  tab = name;
  const shown = TABS[name];
  for (const button of byId("tabs").children) {
    const chosen = button.id === `tab-${name}`;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
  byId("ask").setAttribute("aria-labelledby", `tab-${name}`);
  byId("prompt-label").textContent = shown.label;
  byId("hint").textContent = shown.hint;
  byId("together-label").hidden = shown.panels < 2;
  byId("context-field").hidden = name !== "infill";
  byId("run").firstChild.textContent = `${shown.action} `;
  const prompt = byId("prompt");
  if (prompt.value === "" || prompt.value === before.prompt) prompt.value = shown.prompt;
  const able = algorithms.filter(shown.able);
  const fallback = able.find((each) => each.default)?.name ?? able[0]?.name;
  const other = able.find((each) => each.name !== fallback)?.name ?? fallback;
  panels = Array.from({ length: shown.panels }, (_, index) => new Panel(able, index ? other : fallback, shown.leaveOut));
  byId("panels").replaceChildren(...panels.map((panel) => panel.element));
}

async function run() {
  if (running || !panels.length) return;
  complain(null);
  const { signal } = busy(new AbortController());
  const [path, body, before] = TABS[tab].request(byId("prompt").value, byId("context").value);
  const asked = (panel) => panel.run(path, body, before, signal);
  try {
    if (TABS[tab].panels > 1 && byId("together").checked) await all(panels.map(asked));
    else for (const panel of panels) await asked(panel);
  } catch (error) {
    tell(error);
  } finally {
    busy(null);
  }
}

/** What runs now, or null: the buttons follow. The one that was pressed keeps the focus, so none is disabled. */
function busy(controller) {
  running = controller;
  byId("form").setAttribute("aria-busy", String(running !== null));
  byId("run").setAttribute("aria-disabled", String(running !== null));
  byId("stop").setAttribute("aria-disabled", String(running === null));
  return controller;
}

/** Wait for all, also where one fails; then throw what failed first. */
async function all(promises) {
  const failed = (await Promise.allSettled(promises)).find((each) => each.status === "rejected");
  if (failed) throw failed.reason;
}

/** The text of a template before its first blank. */
function beforeBlank(template) {
  const [before] = template.replaceAll("{{{{", "\0").split(/\{\{\s*\d+\s*\}\}/);
  return before.replaceAll("\0", "{{");
}

function tell(error) {
  if (error.name === "AbortError") return;
  if (error instanceof Problem && error.status === 401) {
    byId("access").hidden = false;
    byId("key").focus();
  }
  complain(error instanceof Problem ? error.message : `the server cannot be reached (${error.message})`);
  for (const panel of panels) panel.blame(error.param ?? null);
}

function complain(message) {
  byId("problem").hidden = message === null;
  byId("problem").textContent = message ?? "";
  if (message === null) for (const panel of panels) panel.blame(null);
}

function dark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

byId("tabs").addEventListener("click", (event) => {
  const button = event.target.closest("[role=tab]");
  if (button) open(button.id.replace("tab-", ""));
});
byId("tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const names = Object.keys(TABS).filter((name) => !byId(`tab-${name}`).hidden);
  open(names[(names.indexOf(tab) + step + names.length) % names.length]);
  byId(`tab-${tab}`).focus();
});
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
byId("stop").addEventListener("click", () => running?.abort());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});
byId("access").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key").value);
  begin();
});
byId("colour").addEventListener("change", () => {
  const [least, most] = LEGENDS[byId("colour").value] ?? ["", ""];
  byId("legend").hidden = least === "";
  byId("least").textContent = least;
  byId("most").textContent = most;
  panels.forEach((panel) => panel.repaint());
});
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
});

byId("context").value = PROBLEM;
busy(null);
begin();
