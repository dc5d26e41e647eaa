/** What the development server did in a person's own call: its audit record, its SQL or filter, its documents. */
import type { Configuration } from "./configuration";
import type { Person } from "./people";

export interface Statement {
  sql: string;
  values: string[];
  digest: string;
}

export interface Behind {
  record: Record<string, unknown>;
  statement: Statement | null;
  filter: Record<string, unknown> | null;
}

export class OwnCalls {
  private constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  /** None outside development, where only the operator reads SQL and records. */
  static of(configuration: Configuration, person: Person | undefined): OwnCalls | undefined {
    const url = configuration.development?.calls_url;
    return url && person ? new OwnCalls(url, person.user.access_token) : undefined;
  }

  behind(request: string, args: Record<string, unknown>): Promise<Behind> {
    return this.fetched(encodeURIComponent(request), { method: "POST", body: JSON.stringify({ arguments: args }) });
  }

  async document(request: string, name: string): Promise<string> {
    const path = `${encodeURIComponent(request)}/documents/${name.split("/").map(encodeURIComponent).join("/")}`;
    return (await this.fetched<{ text: string }>(path, {})).text;
  }

  private async fetched<T>(path: string, request: RequestInit): Promise<T> {
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" };
    const response = await fetch(`${this.url}/${path}`, { ...request, headers }).catch(() => {
      throw new Error("The development server does not answer; start it again with make web.");
    });
    const said = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(said.error ?? said.error_description ?? `HTTP ${response.status}.`);
    return said;
  }
}
