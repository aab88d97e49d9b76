// Controls of an algorithm's parameters, and what they say. A control that is left alone says nothing.

export function controls(algorithm, leaveOut) {
  const nodes = [];
  for (const parameter of algorithm.parameters) {
    if (leaveOut.includes(parameter.name)) continue;
    const id = `p-${Math.random().toString(36).slice(2)}`;
    const label = document.createElement("label");
    label.htmlFor = id;
    label.textContent = parameter.name;
    const field = document.createElement("div");
    field.className = "field";
    const control = controlOf(parameter);
    control.id = id;
    control.dataset.parameter = parameter.name;
    control.dataset.kind = parameter.kind;
    const about = document.createElement("small");
    about.textContent = `${parameter.summary} (${parameter.expected}; default ${shown(parameter.default)})`;
    about.id = `${id}-about`;
    control.setAttribute("aria-describedby", about.id);
    field.append(label, control, about);
    nodes.push(field);
  }
  return nodes;
}

/** What the controls in `element` say, by name; what is empty is left out. */
export function values(element) {
  const found = {};
  for (const control of element.querySelectorAll("[data-parameter]")) {
    if (control.value.trim() === "") continue;
    found[control.dataset.parameter] = parsed(control.value.trim(), control.dataset.kind);
  }
  return found;
}

function controlOf(parameter) {
  if (parameter.choices.length || parameter.kind === "bool") {
    const select = document.createElement("select");
    const choices = parameter.choices.length ? [...parameter.choices] : ["true", "false"];
    if (parameter.nullable) choices.push("none");
    select.append(option("", `default: ${shown(parameter.default)}`), ...choices.map((each) => option(each, each)));
    return select;
  }
  const input = document.createElement("input");
  input.type = "text";
  input.inputMode = parameter.kind === "str" ? "text" : "decimal";
  input.placeholder = shown(parameter.default);
  input.autocomplete = "off";
  return input;
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

/** The value as JSON; what no number can hold goes to the server as it stands, which says what is wrong with it. */
function parsed(text, kind) {
  if (text === "none") return null;
  if (kind === "bool") return text === "true";
  if (kind === "str") return text;
  const number = Number(text);
  const held = kind === "int" && Number.isInteger(number) ? Number.isSafeInteger(number) : Number.isFinite(number);
  return held ? number : text;
}

function shown(value) {
  return value === null ? "none" : String(value);
}
