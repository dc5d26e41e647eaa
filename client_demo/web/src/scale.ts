/** One scale for the charts of all answers to a question: the same groups, and the same longest bar. */
import { titled } from "./plainWords";
import type { Group, Summary } from "./results";

export interface Scale {
  groups: string[];
  measures: string[];
  /** The largest figure of each measure, over all answers. */
  most: Record<string, number>;
}

export function scaleOf(summaries: Summary[]): Scale {
  const groups = [...new Set(summaries.flatMap((summary) => summary.groups.map(groupName)))].sort();
  const measures = [...new Set(summaries.flatMap(({ total }) => Object.keys(total)))];
  const most = Object.fromEntries(
    measures.map((measure) => {
      const figures = summaries.flatMap((summary) => summary.groups.map((group) => Number(group[measure] ?? 0)));
      return [measure, Math.max(0, ...figures)];
    }),
  );
  return { groups, measures, most };
}

export function groupName({ key }: Group): string {
  if (key === null) return "(no value)";
  return key === "all" ? "All" : key;
}

export function measureName(measure: string): string {
  return measure === "count" ? "Number" : titled(measure);
}

/** What the question asks for; without words for a sum, it is the number. */
export function measureFor(question: string, measures: string[]): string {
  const [, wanted] = MEASURES_IN_WORDS.find(([words]) => words.test(question)) ?? [];
  return measures.find((measure) => wanted && measure.startsWith(wanted)) ?? measures[0] ?? "count";
}

const MEASURES_IN_WORDS: [RegExp, string][] = [
  [/\baverage\b|\bmean\b/i, "average_"],
  [/\blargest\b|\bhighest\b|\bbiggest\b/i, "largest_"],
  [/\bsmallest\b|\blowest\b/i, "smallest_"],
  [/\bhow much\b|\btotal\b|\bsum\b|\bworth\b/i, "total_"],
];
