/** The results that the server's tools return, told apart by their form: it is the same for every declared table. */

/** A count, and the measures of the table; figures are whole numbers or decimal strings, and never computed here. */
export type Figures = Record<string, string | number | null>;
export type Group = Figures & { key: string | null };

export interface Summary {
  groups: Group[];
  total: Figures;
}

export interface Passage {
  text: string;
  document: string;
  page?: number;
  metadata: Record<string, unknown>;
}

export interface Passages {
  tier: string;
  passages: Passage[];
}

export type Row = Record<string, unknown>;

const isObject = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);

export function isSummary(result: unknown): result is Row & Summary {
  return isObject(result) && Array.isArray(result.groups) && isObject(result.total) && "count" in result.total;
}

export function isPassages(result: unknown): result is Passages {
  return isObject(result) && Array.isArray(result.passages) && "tier" in result;
}

/** The rows of a listing: the one list of objects in the result, with its name. */
export function listingOf(result: unknown): { name: string; rows: Row[]; more: boolean } | undefined {
  if (!isObject(result) || isSummary(result) || isPassages(result)) return undefined;
  const lists = Object.entries(result).filter(([, value]) => Array.isArray(value) && value.every(isObject));
  const [name, rows] = lists[0] ?? [];
  return name && lists.length === 1 ? { name, rows: rows as Row[], more: Boolean(result.next_cursor) } : undefined;
}

/** The first and last day that a result covers, as far as it was limited to days. */
export function periodsOf(result: unknown): string[] {
  if (!isObject(result)) return [];
  return Object.keys(result)
    .filter((name) => name.endsWith("_from"))
    .flatMap((name) => {
      const what = name.slice(0, -"_from".length);
      const [from, to] = [result[name], result[`${what}_to`]];
      return from || to ? [`${what.replaceAll("_", " ")} ${from ?? "at any time"} to ${to ?? "today"}`] : [];
    });
}
