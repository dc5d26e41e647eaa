import BarChart from "@cloudscape-design/components/bar-chart";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { money } from "./money";
import type { Summary } from "./results";

type Measure = "count" | "total_amount";

/** `summarize_claims` as bars: one for each group, or the three amounts where there is a single group. */
export function ClaimsChart({ summary, label }: { summary: Summary; label: string }) {
  const [measure, setMeasure] = useState<Measure>("count");
  const { groups, total } = summary;
  if (total.count === 0) return null;
  const grouped = groups.length > 1;
  const title = grouped && measure === "count" ? "Claims" : "Amount";
  const format = (value: number) => (title === "Claims" ? String(value) : money(String(value)));
  const data = grouped
    ? groups.map((group) => ({ x: group.key, y: Number(group[measure]) }))
    : [
        { x: "Total", y: Number(total.total_amount) },
        { x: "Average", y: Number(total.average_amount) },
        { x: "Largest", y: Number(total.largest_amount) },
      ];
  return (
    <SpaceBetween size="xs">
      {grouped && (
        <SegmentedControl
          label="The chart shows"
          selectedId={measure}
          onChange={({ detail }) => setMeasure(detail.selectedId as Measure)}
          options={[
            { id: "count", text: "Number of claims" },
            { id: "total_amount", text: "Total amount" },
          ]}
        />
      )}
      <BarChart
        series={[{ title, type: "bar", data, valueFormatter: format }]}
        xDomain={data.map((datum) => datum.x)}
        yDomain={[0, Math.max(...data.map((datum) => datum.y))]}
        xScaleType="categorical"
        horizontalBars
        height={40 * data.length + 20}
        hideFilter
        hideLegend
        yTitle={title}
        ariaLabel={`${title} for ${label}: ${data.map(({ x, y }) => `${x} ${format(y)}`).join(", ")}`}
        i18nStrings={{ yTickFormatter: (value) => compact(value, title) }}
      />
    </SpaceBetween>
  );
}

function compact(value: number, title: string): string {
  if (title === "Claims") return Number.isInteger(value) ? String(value) : "";
  return value >= 1000 ? `$${value / 1000}k` : `$${value}`;
}
