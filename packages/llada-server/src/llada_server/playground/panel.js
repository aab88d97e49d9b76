// One request on the page: which algorithm, its canvas, its answer and its figures.

import { stream } from "./api.js";
import { Canvas } from "./canvas.js";
import { controls, values } from "./parameters.js";

const PLAY_MS = 160;

export class Panel {
  /** `leaveOut`: names of parameters that this kind of request does not take. */
  constructor(algorithms, chosen, leaveOut) {
    const template = document.getElementById("panel");
    this.element = template.content.firstElementChild.cloneNode(true);
    this.algorithms = algorithms;
    this.leaveOut = leaveOut;
    this.canvas = new Canvas(this.#part("canvas"));
    this.select = this.#part("algorithm");
    for (const algorithm of algorithms) this.select.append(choice(algorithm));
    this.select.value = chosen;
    this.select.addEventListener("change", () => this.#choose());
    this.#part("scrub").addEventListener("input", (event) => this.#scrub(Number(event.target.value)));
    this.#part("play").addEventListener("click", () => this.#play());
    this.#choose();
  }

  /** Ask, and show what comes; `before` is the text before a canvas. Throws what the API tells. */
  async run(path, body, before, signal) {
    this.#clear();
    const began = performance.now();
    let text = "";
    const request = {
      ...body,
      ...values(this.#part("parameters")),
      generation_algorithm: this.select.value,
      stream_options: { include_usage: true, denoise: true },
    };
    for await (const event of stream(path, request, signal)) {
      if (event.object === "generation.canvas") this.canvas.begin(event.cells, before);
      else if (event.object === "generation.denoise") this.#frame(event);
      else {
        text += textOf(event);
        this.#part("answer").textContent = text;
        if (event.generation) {
          this.canvas.end();
          this.#figures(event, performance.now() - began);
        }
      }
    }
  }

  repaint() {
    this.canvas.show(this.canvas.shown);
  }

  /** Show which control an error is about; null: none. */
  blame(parameter) {
    for (const control of this.element.querySelectorAll("[data-parameter]")) {
      const blamed = control.dataset.parameter === parameter;
      control.setAttribute("aria-invalid", String(blamed));
      if (blamed) this.#part("choice").querySelector("details").open = true;
    }
  }

  #part(name) {
    return this.element.querySelector(`.${name}`);
  }

  #choose() {
    const algorithm = this.algorithms.find((each) => each.name === this.select.value);
    const opaque = algorithm.streams ? "" : " It is one call: nothing is seen before its end.";
    this.#part("about").textContent = algorithm.description + opaque;
    this.#part("parameters").replaceChildren(...controls(algorithm, this.leaveOut));
  }

  #clear() {
    this.#pause();
    this.canvas.clear();
    this.#part("answer").textContent = "";
    this.#part("figures").replaceChildren();
    this.#part("replay").hidden = true;
  }

  #frame(frame) {
    this.canvas.add(frame);
    const scrub = this.#part("scrub");
    scrub.max = this.canvas.frames.length;
    scrub.value = this.canvas.shown;
    this.#part("replay").hidden = false;
    this.#at();
  }

  #scrub(count) {
    this.canvas.show(count);
    this.#at();
  }

  #at() {
    this.#part("at").value = `${this.canvas.shown} / ${this.canvas.frames.length}`;
  }

  #play() {
    if (this.timer) return this.#pause();
    const play = this.#part("play");
    play.textContent = "⏸";
    play.setAttribute("aria-label", "pause");
    if (this.canvas.shown >= this.canvas.frames.length) this.#scrub(0);
    this.timer = setInterval(() => {
      if (this.canvas.shown >= this.canvas.frames.length) return this.#pause();
      this.#scrub(this.canvas.shown + 1);
      this.#part("scrub").value = this.canvas.shown;
    }, PLAY_MS);
  }

  #pause() {
    clearInterval(this.timer);
    this.timer = null;
    const play = this.#part("play");
    play.textContent = "▶";
    play.setAttribute("aria-label", "play");
  }

  #figures({ generation, usage }, waited) {
    const told = [
      ["NFE", generation.nfe],
      ["tokens", usage.completion_tokens],
      ["tokens/forward", generation.tokens_per_forward.toFixed(2)],
      ["decoding", `${generation.generate_ms.toFixed(0)} ms`],
      ["in all", `${waited.toFixed(0)} ms`],
    ];
    const nodes = told.map(([name, value]) => figure(name, value));
    for (const warning of generation.warnings) nodes.push(figure("warning", warning, "warning"));
    this.#part("figures").replaceChildren(...nodes);
  }
}

function textOf(event) {
  const choice = event.choices?.[0];
  return choice?.delta?.content ?? choice?.text ?? "";
}

function choice(algorithm) {
  const made = document.createElement("option");
  made.value = algorithm.name;
  made.textContent = algorithm.default ? `${algorithm.name} (default)` : algorithm.name;
  return made;
}

function figure(name, value, kind) {
  const node = document.createElement("div");
  if (kind) node.className = kind;
  const term = document.createElement("dt");
  term.textContent = name;
  const detail = document.createElement("dd");
  detail.textContent = value;
  node.append(term, detail);
  return node;
}
