/** The agent over HTTP: one question, and its events as they arrive. */
import type { Configuration } from "./configuration";

export type Event =
  | { type: "start"; model: string }
  | { type: "text"; text: string }
  | { type: "tool_call"; id: string; name: string; arguments: Record<string, unknown> }
  | { type: "tool_result"; id: string; is_error: boolean; result: unknown; request?: string }
  | { type: "error"; message: string }
  | { type: "done" };

export interface Said {
  role: "user" | "assistant";
  text: string;
}

export interface Identity {
  subject: string;
  kind: string;
  tenant: string | null;
  tier: string | null;
  scopes: string[];
  issuer: string;
  expires_at: string;
}

/** Longer than any answer should take; a person who waits should get a message. */
const TIMEOUT_MS = 180_000;
const UNREACHABLE = "The agent cannot be reached. Check that the web demo's server still runs, then ask again.";
const REMEDIES: Record<number, string> = {
  401: "Sign in again.",
  403: "A retry does not help.",
  429: "Too many questions at once; wait a moment and ask again.",
  503: "Try again in a few seconds.",
};

export class Agent {
  /** AgentCore keeps sessions of different ids apart; it requires 33 characters or more. */
  private readonly session = `${crypto.randomUUID()}-${crypto.randomUUID()}`;

  constructor(
    private readonly configuration: Configuration,
    private readonly token: string,
  ) {}

  async whoami(): Promise<{ identity: Identity; model: string }> {
    return (await this.post({ action: "whoami" }, AbortSignal.timeout(TIMEOUT_MS))).json();
  }

  /** Yield the events of one answer; throw an AbortError when `stop` is aborted. */
  async *ask(prompt: string, history: Said[], stop: AbortSignal): AsyncGenerator<Event> {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT_MS)]);
    const response = await this.post({ prompt, history }, signal);
    let last = "";
    try {
      for await (const event of events(response.body!)) {
        last = event.type;
        yield event;
      }
    } catch (error) {
      if (stop.aborted) throw error;
      throw new Error(UNREACHABLE);
    }
    if (last !== "done" && last !== "error") throw new Error("The answer ended too early; ask again.");
  }

  private async post(body: object, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.configuration.agent_url, {
        method: "POST",
        headers: {
          Authorization: `Bearer ${this.token}`,
          "Content-Type": "application/json",
          Accept: "text/event-stream, application/json",
          "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id": this.session,
        },
        body: JSON.stringify(body),
        signal,
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new Error(UNREACHABLE);
    }
    if (response.ok) return response;
    const reason = await response.json().then((said) => String(said.error), () => `HTTP ${response.status}.`);
    const remedy = REMEDIES[response.status] ?? "";
    throw new Error((reason.includes(remedy) ? reason : `${reason} ${remedy}`).trim());
  }
}

/** Server-sent events (WHATWG HTML section 9.2) whose data is one line of JSON. */
async function* events(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Event> {
  let text = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const blocks = text.split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) {
      if (block.startsWith("data:")) yield JSON.parse(block.slice(5));
    }
  }
}
