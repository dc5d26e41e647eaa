/** What a tenant, a tier and scopes mean for a person, in words. */

export interface Sight {
  tenant: string | null;
  tier: string | null;
  scopes: string[];
}

export interface Sentence {
  may: boolean;
  text: string;
}

export function mayRead({ tenant, tier, scopes }: Sight): Sentence[] {
  const token =
    scopes.length > 0
      ? { may: true, text: `The token allows: ${scopes.map(scopeInWords).join(", ")}` }
      : { may: false, text: "The token allows no tool that reads data" };
  if (!tenant) return [{ may: false, text: "No rows and no documents: the account belongs to no tenant" }, token];
  const documents = tier
    ? { may: true, text: `Documents for the tier ${tier}, and for no other tier` }
    : { may: false, text: "No documents: the account has no tier" };
  return [{ may: true, text: `Rows of tenant ${tenant}, and of no other tenant` }, documents, token];
}

/** `claims:read` becomes "read claims"; other forms stay as they are. */
function scopeInWords(scope: string): string {
  const [what, how, ...more] = scope.split(":");
  return what && how && more.length === 0 ? `${how} ${what.replaceAll("_", " ")}` : scope;
}

/** `total_amount` becomes "Total amount". */
export function titled(name: string): string {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
