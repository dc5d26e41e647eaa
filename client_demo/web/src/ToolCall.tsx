import Alert from "@cloudscape-design/components/alert";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import type { Call } from "./conversation";
import { Result } from "./Result";

/** One tool call: what the model asked for, and what the server answered. */
export function ToolCall({ call, label }: { call: Call; label: string }) {
  const { outcome } = call;
  const words = outcome === undefined ? "running …" : outcome.isError ? "refused or failed" : "answered";
  return (
    <ExpandableSection
      defaultExpanded
      headerText={`Tool call: ${call.name}`}
      headerDescription={words}
    >
      <SpaceBetween size="s">
        <Arguments call={call} label={label} />
        {outcome?.isError && <Alert type="warning">{String(outcome.result)}</Alert>}
        {outcome && !outcome.isError && <Result result={outcome.result} label={label} />}
      </SpaceBetween>
    </ExpandableSection>
  );
}

function Arguments({ call, label }: { call: Call; label: string }) {
  const rows = Object.entries(call.arguments).map(([argument, value]) => ({ argument, value: asText(value) }));
  return (
    <Table
      variant="embedded"
      contentDensity="compact"
      wrapLines
      ariaLabels={{ tableLabel: `Arguments of ${call.name} for ${label}` }}
      columnDefinitions={[
        { id: "argument", header: "Argument", cell: (row) => row.argument, isRowHeader: true, minWidth: 110 },
        { id: "value", header: "Value", cell: (row) => row.value },
      ]}
      items={rows}
      trackBy="argument"
      empty="No arguments"
    />
  );
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
