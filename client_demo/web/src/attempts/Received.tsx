import Box from "@cloudscape-design/components/box";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
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
  const items = table.rows.map((cells, number) => ({ number, cells }));
  const more = table.all - table.rows.length;
  return (
    <Table
      variant="embedded"
      contentDensity="compact"
      wrapLines
      ariaLabels={{ tableLabel: label }}
      columnDefinitions={table.columns.map((header, place) => ({
        id: String(place),
        header,
        cell: (item: (typeof items)[number]) => item.cells[place],
        minWidth: 130,
        isRowHeader: place === 0,
      }))}
      items={items}
      trackBy="number"
      footer={more > 0 ? `and ${more} more rows` : undefined}
    />
  );
}
