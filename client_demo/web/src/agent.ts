/** The agent over HTTP: one question, and its events as they arrive. */
import type { Configuration } from "./configuration";

export type Event =
  | { type: "start"; model: string }
  | { type: "text"; text: string }
  | { type: "tool_call"; id: string; name: string; arguments: Record<string, unknown> }
  | { type: "tool_result"; id: string; is_error: boolean; result: unknown }
  | { type: "error"; message: string }
  | { type: "done" };

export interface Said {
  role: "user" | "assistant";
  text: string;
}

export interface Identity {
  subject: string;
  kind: string;
  tenant: string;
  tier: string | null;
  scopes: string[];
  issuer: string;
  expires_at: string;
}

/** Longer than any answer should take; a person who waits deserves to be told. */
const TIMEOUT_MS = 180_000;
const REMEDIES: Record<number, string> = {
  401: "Sign in again.",
  403: "A retry does not help.",
  429: "Too many questions at once; wait a moment and ask again.",
  503: "Try again in a few seconds.",
};

export class Agent {
  /** AgentCore keeps sessions of different ids apart; it asks for 33 characters or more. */
  private readonly session = `${crypto.randomUUID()}-${crypto.randomUUID()}`;

  constructor(
    private readonly configuration: Configuration,
    private readonly token: string,
  ) {}

  async whoami(): Promise<{ identity: Identity; model: string }> {
    return (await this.post({ action: "whoami" })).json();
  }

  async *ask(prompt: string, history: Said[]): AsyncGenerator<Event> {
    const response = await this.post({ prompt, history });
    let last = "";
    for await (const event of events(response.body!)) {
      last = event.type;
      yield event;
    }
    if (last !== "done" && last !== "error") throw new Error("The answer ended too early; ask again.");
  }

  private async post(body: object): Promise<Response> {
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
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      throw new Error("The agent cannot be reached; check that the web server still runs, then ask again.");
    }
    if (response.ok) return response;
    const reason = await response.json().then((said) => String(said.error), () => `HTTP ${response.status}.`);
    throw new Error(`${reason} ${REMEDIES[response.status] ?? ""}`.trim());
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
