/** What the web server knows and the page must: `config.json`. */
export interface Configuration {
  issuer: string;
  client_id: string;
  resource: string;
  scopes: string[];
  agent_url: string;
  /** Only with a development stack on the web server's machine. */
  attempts_url?: string;
}

export async function loadConfiguration(): Promise<Configuration> {
  const response = await fetch("/config.json");
  if (!response.ok) throw new Error(`/config.json answered HTTP ${response.status}; is the web server running?`);
  return response.json();
}
