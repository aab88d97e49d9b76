// The server's API: JSON, and server-sent events read from the body of a POST.

let key = sessionStorage.getItem("key") ?? "";

export class Problem extends Error {
  constructor(status, detail) {
    super(detail?.message ?? `the server answered ${status}`);
    this.status = status;
    this.param = detail?.param ?? null;
  }
}

export function useKey(given) {
  key = given;
  sessionStorage.setItem("key", given);
}

export async function get(path) {
  return (await asked(path, {})).json();
}

/** The events of a streamed request, parsed; ends at [DONE]. Throws a Problem, also for one in the stream
 *  and for a stream that breaks off. */
export async function* stream(path, body, signal) {
  const response = await asked(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, stream: true }),
    signal,
  });
  for await (const data of dataOf(response.body)) {
    if (data === "[DONE]") return;
    const event = JSON.parse(data);
    if (event.error) throw new Problem(response.status, event.error);
    yield event;
  }
  throw new Problem(response.status, { message: "the answer broke off: the server closed the connection" });
}

async function asked(path, options) {
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  throw new Problem(response.status, told?.error);
}

async function* dataOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: ")) yield event.slice(6);
  }
}
