import Box from "@cloudscape-design/components/box";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { Rows as RowTable } from "../Rows";
import type { Rows, Run } from "./attempts";

/** What the attacker received: a message, rows, or both. */
export function Received({ run }: { run: Run }) {
  return (
    <SpaceBetween size="xs">
      <Box variant="awsui-key-label">What came back</Box>
      {run.said && <div className="plain said-back">{run.said}</div>}
      {run.tables
        .filter((table) => table.rows.length > 0)
        .map((table, position) => (
          <RowsTable key={position} table={table} label={`Rows: ${run.title}`} />
        ))}
    </SpaceBetween>
  );
}

function RowsTable({ table, label }: { table: Rows; label: string }) {
  // Two columns may have the same name.
  const columns = table.columns.map((header, place) => ({ id: String(place), header }));
  const rows = table.rows.map((cells) => Object.fromEntries(cells.map((cell, place) => [String(place), cell])));
  const more = table.all - table.rows.length;
  return (
    <>
      <RowTable label={label} columns={columns} rows={rows} wrapped />
      {more > 0 && <Box variant="small">and {more} more rows</Box>}
    </>
  );
}
