import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { useState } from "react";
import { ClaimsChart } from "./ClaimsChart";
import { type Claim, type Group, isClaims, isIdentity, isPassages, isSummary, type Passage } from "./results";
import { money } from "./money";

interface Props {
  result: unknown;
  label: string;
}

/** A tool's result in the form that suits it; a tool that this page does not know is shown as it answered. */
export function Result({ result, label }: Props) {
  if (isSummary(result)) {
    return (
      <SpaceBetween size="s">
        <ClaimsChart summary={result} label={label} />
        <Rows label={`Claims summary for ${label}`} columns={GROUP_COLUMNS} rows={result.groups} by="key" none="No claims" />
        <Period from={result.filed_from} to={result.filed_to} />
      </SpaceBetween>
    );
  }
  if (isClaims(result)) {
    return (
      <SpaceBetween size="xs">
        <Rows label={`Claims of ${label}`} columns={CLAIM_COLUMNS} rows={result.claims} by="claim_number" none="No claims" />
        <Period from={result.filed_from} to={result.filed_to} />
      </SpaceBetween>
    );
  }
  if (isPassages(result)) {
    return (
      <Rows
        label={`Passages for ${label}, tier ${result.tier}`}
        columns={PASSAGE_COLUMNS}
        rows={result.passages}
        by="text"
        none="No passage fits"
        wrapped
      />
    );
  }
  if (isIdentity(result)) {
    const items = Object.entries(result).map(([key, value]) => ({ label: key, value: String(value ?? "none") }));
    return <KeyValuePairs columns={2} minColumnWidth={120} items={items} ariaLabel={`Who ${label} is`} />;
  }
  return <Box variant="code">{JSON.stringify(result, null, 2)}</Box>;
}

const GROUP_COLUMNS: TableProps.ColumnDefinition<Group>[] = [
  { id: "key", header: "Group", cell: (group) => group.key, isRowHeader: true },
  { id: "count", header: "Claims", cell: (group) => group.count },
  { id: "total", header: "Total", cell: (group) => money(group.total_amount) },
  { id: "average", header: "Average", cell: (group) => money(group.average_amount) },
  { id: "largest", header: "Largest", cell: (group) => money(group.largest_amount) },
];

const CLAIM_COLUMNS: TableProps.ColumnDefinition<Claim>[] = [
  { id: "number", header: "Claim", cell: (claim) => claim.claim_number, isRowHeader: true },
  { id: "customer", header: "Customer", cell: (claim) => claim.customer_name },
  { id: "amount", header: "Amount", cell: (claim) => money(claim.amount) },
  { id: "status", header: "Status", cell: (claim) => claim.status },
  { id: "line", header: "Line", cell: (claim) => claim.line_of_business },
  { id: "filed", header: "Filed", cell: (claim) => claim.filed_at.slice(0, 10) },
];

/** One column: on a telephone a passage beside anything else would be a word wide. */
const PASSAGE_COLUMNS: TableProps.ColumnDefinition<Passage>[] = [
  { id: "passage", header: "Passage", cell: (passage) => <PassageCell passage={passage} />, isRowHeader: true },
];

function PassageCell({ passage }: { passage: Passage }) {
  const [whole, setWhole] = useState(false);
  return (
    <SpaceBetween size="xxs">
      <SpaceBetween direction="horizontal" size="xs">
        <Box fontWeight="bold">{passage.document}</Box>
        {Object.entries(passage.metadata).map(([label, value]) => (
          <Badge key={label}>{`${label}: ${String(value)}`}</Badge>
        ))}
      </SpaceBetween>
      <div className={whole ? "passage" : "passage excerpt"}>{passage.text}</div>
      <Button variant="inline-link" ariaExpanded={whole} onClick={() => setWhole(!whole)}>
        {whole ? "Show less" : "Show the whole passage"}
      </Button>
    </SpaceBetween>
  );
}

interface RowsProps<T> {
  label: string;
  columns: TableProps.ColumnDefinition<T>[];
  rows: T[];
  by: string & keyof T;
  none: string;
  /** Prose wraps; figures and names stay whole, and a narrow screen scrolls the table. */
  wrapped?: boolean;
}

function Rows<T>({ label, columns, rows, by, none, wrapped = false }: RowsProps<T>) {
  return (
    <Table
      variant="embedded"
      contentDensity="compact"
      wrapLines={wrapped}
      ariaLabels={{ tableLabel: label }}
      columnDefinitions={columns}
      items={rows}
      trackBy={by}
      empty={none}
    />
  );
}

function Period({ from, to }: { from: string | null; to: string | null }) {
  if (!from && !to) return null;
  return (
    <Box variant="small" color="text-body-secondary">
      Filed {from ?? "at any time"} to {to ?? "today"} (UTC)
    </Box>
  );
}
