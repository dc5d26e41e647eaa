const FORMAT = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });

/** Amounts are decimal strings, and shown, never added up: the sums are the database's. */
export function money(amount: string | null): string {
  return amount === null ? "none" : FORMAT.format(Number(amount));
}
