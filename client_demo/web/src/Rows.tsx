import Box from "@cloudscape-design/components/box";
import Table from "@cloudscape-design/components/table";
import { useEffect, useRef, useState } from "react";
import { isFigure, shown } from "./figures";
import { titled } from "./plainWords";
import type { Row } from "./results";

interface Props {
  label: string;
  rows: Row[];
  /** Shown in this order; by default, the columns of the first row. */
  columns?: { id: string; header: string }[];
  /** Prose wraps; figures and names stay whole. */
  wrapped?: boolean;
}

/** A table of any columns. On a narrow screen it scrolls, says so, and keeps its first column in view. */
export function Rows({ label, rows, columns = columnsOf(rows), wrapped = false }: Props) {
  const [place, scrolls] = useOverflow();
  return (
    <div ref={place} className="rows">
      {scrolls && (
        <Box variant="small" color="text-body-secondary">
          More columns: scroll the table sideways <span aria-hidden="true">→</span>
        </Box>
      )}
      <Table
        variant="embedded"
        contentDensity="compact"
        wrapLines={wrapped}
        stickyColumns={{ first: 1 }}
        ariaLabels={{ tableLabel: label }}
        columnDefinitions={columns.map(({ id, header }, place) => ({
          id,
          header,
          cell: (row: Row) => (isFigure(row[id]) ? <span className="figure">{shown(row[id])}</span> : shown(row[id])),
          isRowHeader: place === 0,
        }))}
        items={rows}
        empty="No rows"
      />
    </div>
  );
}

function columnsOf(rows: Row[]) {
  return Object.keys(rows[0] ?? {}).map((id) => ({ id, header: titled(id) }));
}

/** Whether the table in the element is wider than its place. */
function useOverflow() {
  const place = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const table = place.current?.querySelector("table");
    const frame = table?.parentElement;
    if (!table || !frame) return;
    const look = () => setScrolls(table.scrollWidth > frame.clientWidth + 1);
    const observer = new ResizeObserver(look);
    observer.observe(table);
    observer.observe(frame);
    return () => observer.disconnect();
  }, []);
  return [place, scrolls] as const;
}
