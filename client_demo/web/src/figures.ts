/** Figures as the database returned them, in a form for people. */
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;
const DECIMAL = /^-?\d+\.(\d+)$/;

export function shown(value: unknown): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "number") return Number.isInteger(value) ? WHOLE.format(value) : String(value);
  if (typeof value !== "string") return typeof value === "boolean" ? (value ? "yes" : "no") : JSON.stringify(value);
  const digits = DECIMAL.exec(value)?.[1]?.length;
  if (digits !== undefined) {
    const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return Number(value).toLocaleString("en-US", format);
  }
  return MOMENT.test(value) ? value.slice(0, 10) : value;
}

export const isFigure = (value: unknown) => typeof value === "number" || (typeof value === "string" && DECIMAL.test(value));
