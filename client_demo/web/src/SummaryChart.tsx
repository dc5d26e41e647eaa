import BarChart from "@cloudscape-design/components/bar-chart";
import { shown } from "./figures";
import type { Summary } from "./results";
import { groupName, measureName, type Scale } from "./scale";

interface Props {
  summary: Summary;
  scale: Scale;
  measure: string;
  label: string;
}

/** One measure of a summary as bars; a group that only the other person has stays empty. */
export function SummaryChart({ summary, scale, measure, label }: Props) {
  const most = scale.most[measure] ?? 0;
  if (most === 0) return null;
  const found = new Map(summary.groups.map((group) => [groupName(group), group[measure] ?? 0]));
  const title = measureName(measure);
  const data = scale.groups.map((x) => ({ x, y: Number(found.get(x) ?? 0) }));
  const inWords = scale.groups.map((x) => `${x} ${shown(found.get(x) ?? 0)}`).join(", ");
  return (
    <BarChart
      series={[{ title, type: "bar", data, valueFormatter: (_, x) => shown(found.get(String(x)) ?? 0) }]}
      xDomain={scale.groups}
      yDomain={[0, most]}
      xScaleType="categorical"
      horizontalBars
      height={32 * data.length + 24}
      hideFilter
      hideLegend
      yTitle={title}
      ariaLabel={`${title} for ${label}: ${inWords}; the scale ends at ${shown(most)}`}
      i18nStrings={{ yTickFormatter: (value) => tick(value, measure) }}
    />
  );
}

function tick(value: number, measure: string): string {
  if (measure === "count" && !Number.isInteger(value)) return "";
  return Intl.NumberFormat("en-US", { notation: "compact" }).format(value);
}
