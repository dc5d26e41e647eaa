/** The endpoint of attempts: what is sent, and the report that comes back. */
import type { Configuration } from "../configuration";
import type { Person } from "../people";

export type Kind = "sql" | "argument" | "token" | "prompt";
export type State = "passed" | "stopped" | "not_reached" | "failed" | "unknown";
export type Verdict = "held" | "failed" | "unknown";

export interface Attack {
  id: string;
  kind: Kind;
  title: string;
  aim: string;
  tool: string | null;
  text: string;
}

export interface Ready {
  attacks: Attack[];
  tools: string[];
  claims: Record<string, unknown>;
  longest: number;
}

export interface Wall {
  name: "gate" | "tenant" | "database" | "documents";
  state: State;
  evidence: string;
}

export interface Rows {
  columns: string[];
  rows: string[][];
  /** How many there are; `rows` has the first of them. */
  all: number;
}

export interface AuditRecord {
  request: string;
  status: number;
  audit: Record<string, unknown> | null;
  log: Record<string, unknown> | null;
}

export interface Run {
  title: string;
  how: string;
  verdict: Verdict;
  walls: Wall[];
  said: string;
  tables: Rows[];
  calls: { tool: string; arguments: Record<string, unknown>; refused: string }[];
  records: AuditRecord[];
}

const TIMEOUT_MS = 60_000;

/** Ask for the attacks that are made for this person. */
export function ready(configuration: Configuration, person: Person, signal: AbortSignal): Promise<Ready> {
  return post(`${configuration.attempts_url}/ready`, person, {}, signal);
}

/** Make one attempt as this person. */
export async function attempt(
  configuration: Configuration,
  person: Person,
  body: { kind: Kind; text: string; tool?: string },
): Promise<Run[]> {
  return (await post<{ runs: Run[] }>(configuration.attempts_url!, person, body)).runs;
}

async function post<T>(address: string, person: Person, body: object, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${person.user.access_token}`,
        "Content-Type": "application/json",
        // A page of another origin cannot send this header without permission.
        "X-Tenantgate-Attempt": "1",
      },
      body: JSON.stringify(body),
      signal: signal ?? AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The web server does not answer; check that it still runs, then try again.");
  }
  const answer = await response.json().catch(() => ({ error: `The web server answered HTTP ${response.status}.` }));
  if (!response.ok) throw new Error(String(answer.error));
  return answer;
}
