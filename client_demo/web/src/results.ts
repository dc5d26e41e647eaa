/** The results that the server's tools return, as far as this page shows them. */
export interface Totals {
  count: number;
  total_amount: string;
  average_amount: string | null;
  largest_amount: string | null;
}

export interface Group extends Totals {
  key: string;
}

interface Filed {
  filed_from: string | null;
  filed_to: string | null;
}

export interface Summary extends Filed {
  groups: Group[];
  total: Totals;
}

export interface Claim {
  claim_number: string;
  customer_name: string;
  amount: string;
  status: string;
  line_of_business: string;
  filed_at: string;
}

export interface Passage {
  text: string;
  document: string;
  metadata: Record<string, unknown>;
}

const has = (result: unknown, ...keys: string[]) =>
  typeof result === "object" && result !== null && keys.every((key) => key in result);

export const isSummary = (result: unknown): result is Summary => has(result, "groups", "total");
export const isClaims = (result: unknown): result is Filed & { claims: Claim[] } => has(result, "claims");
export const isPassages = (result: unknown): result is { tier: string; passages: Passage[] } => has(result, "passages");
export const isIdentity = (result: unknown): result is Record<string, unknown> => has(result, "subject", "tenant");
