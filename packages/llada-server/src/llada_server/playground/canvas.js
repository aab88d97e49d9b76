// The canvas of one answer: frames come in, any moment between them can be shown again. Of what is on the page,
// only cells that look otherwise than before are touched: an answer may have thousands.

const NO_CELL = { text: null, confidence: null, step: null, fixed: false };

export class Canvas {
  constructor(element) {
    this.element = element;
    this.clear();
  }

  clear() {
    this.frames = [];
    this.before = "";
    this.cells = []; // at the beginning
    this.state = []; // as of the `shown` first frames
    this.drawn = []; // by cell: its node, how that looks, and the end of a line behind it
    this.shown = 0;
    this.ended = false;
    this.element.replaceChildren();
    this.element.setAttribute("aria-label", "The canvas: nothing yet");
  }

  /** Text that stands from the beginning, null where a mask is, and what stands before all of it. */
  begin(cells, before = "") {
    this.before = before;
    this.cells = cells.map((text) => ({ ...NO_CELL, text, fixed: text !== null }));
    this.drawn = [];
    this.element.replaceChildren();
    if (before) this.element.append(...drawn(lookOf({ ...NO_CELL, text: before, fixed: true })).nodes);
    this.#rewind();
    this.show(this.frames.length);
  }

  add(frame) {
    const before = frame.inserted.reduce((length, [, count]) => length - count, frame.gen_length);
    if (!this.frames.length && before > this.cells.length) this.begin(Array(before).fill(null));
    const following = this.shown === this.frames.length;
    this.frames.push(frame);
    if (following) this.show(this.frames.length);
  }

  /** Nothing more comes: what is still masked is behind the end. */
  end() {
    this.ended = true;
    this.show(this.shown);
  }

  /** Show the state after `count` frames. */
  show(count) {
    if (count < this.shown) this.#rewind();
    for (; this.shown < count; this.shown += 1) this.#apply(this.frames[this.shown], this.shown);
    this.state.forEach((cell, place) => this.#draw(cell, place));
    for (const { nodes } of this.drawn.splice(this.state.length)) nodes.forEach((node) => node.remove());
    const filled = this.state.filter((cell) => cell.text !== null).length;
    this.element.setAttribute(
      "aria-label",
      `The canvas after ${count} forwards: ${filled} of ${this.state.length} positions hold a token`,
    );
  }

  #rewind() {
    this.shown = 0;
    this.state = [...this.cells];
  }

  #apply(frame, step) {
    for (const [offset, count] of frame.inserted) this.state.splice(offset, 0, ...Array(count).fill(NO_CELL));
    if (frame.inserted.length) this.state.length = Math.min(this.state.length, frame.gen_length);
    for (const position of frame.revoked) if (this.state[position]) this.state[position] = NO_CELL;
    frame.positions.forEach((position, index) => {
      const [text, confidence] = [frame.texts[index], frame.confidence[index] ?? null];
      this.state[position] = { text, confidence, step, fixed: false };
    });
  }

  #draw(cell, place) {
    const last = this.ended && this.shown === this.frames.length;
    const look = lookOf(cell, { frames: this.frames.length, newest: last ? null : this.shown - 1, last });
    const old = this.drawn[place];
    if (old === undefined) {
      this.drawn[place] = drawn(look);
      this.element.append(...this.drawn[place].nodes);
    } else if (!alike(old.look, look)) {
      const made = drawn(look, old.nodes[0]);
      old.nodes.slice(1).forEach((line) => line.remove());
      made.nodes[0].after(...made.nodes.slice(1));
      this.drawn[place] = made;
    }
  }
}

/** How a cell is to look; `newest` is the step whose cells are marked, `last` whether nothing more comes. */
function lookOf(cell, { frames = 0, newest = null, last = false } = {}) {
  if (cell.text === null) return { text: "·", kind: last ? "cell masked behind" : "cell masked", title: "", colour: "" };
  const kinds = ["cell"];
  if (cell.text === "") kinds.push("special");
  if (cell.fixed) kinds.push("fixed");
  else if (cell.step === newest) kinds.push("new");
  return {
    text: visible(cell.text),
    kind: kinds.join(" "),
    title: cell.fixed ? "" : told(cell),
    colour: cell.fixed ? "" : colour(cell, frames),
    line: cell.text.includes("\n"),
  };
}

function alike(one, other) {
  return ["text", "kind", "title", "colour"].every((name) => one[name] === other[name]);
}

/** The look, and the nodes that have it: `node` or a new one, and the end of a line behind it. */
function drawn(look, node = document.createElement("span")) {
  if (node.textContent !== look.text) node.textContent = look.text;
  node.className = look.kind;
  if (look.title) node.title = look.title;
  else node.removeAttribute("title");
  node.style.backgroundColor = look.colour;
  if (!look.line) return { look, nodes: [node] };
  const line = document.createElement("span");
  line.className = "cell break";
  return { look, nodes: [node, line] };
}

function visible(text) {
  if (text === "") return "▫";
  return text.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}

function told(cell) {
  const sure = cell.confidence === null ? "" : `, ${(100 * cell.confidence).toFixed(1)} % sure`;
  const token = cell.text === "" ? "a special token" : JSON.stringify(cell.text);
  return `${token} in forward ${cell.step + 1}${sure}`;
}

function colour(cell, frames) {
  const by = document.getElementById("colour").value;
  const share = by === "step" ? 1 - cell.step / Math.max(frames - 1, 1) : cell.confidence;
  if (by === "none" || share === null) return "";
  const hue = 24 + 150 * share;
  return `hsl(${hue} 65% 50% / 0.35)`;
}
