/** What the web server knows and the page must: `config.json`. */
export interface Configuration {
  issuer: string;
  client_id: string;
  resource: string;
  scopes: string[];
  agent_url: string;
  /** Only where the page runs with its own development server. */
  development?: Development;
  /** Only with a development stack on the web server's machine. */
  attempts_url?: string;
}

export interface Development {
  /** Two sample people, who sign in without a form. */
  people: SamplePerson[];
  /** Where each person reads what the server did in their own calls. */
  calls_url: string;
}

export interface SamplePerson {
  name: string;
  tenant: string;
  tier: string;
}

export async function loadConfiguration(): Promise<Configuration> {
  const failed = "The web demo's server does not answer. Check that it still runs (make web), then try again.";
  const response = await fetch("/config.json").catch(() => {
    throw new Error(failed);
  });
  if (!response.ok) throw new Error(`${failed} (HTTP ${response.status})`);
  return response.json();
}
