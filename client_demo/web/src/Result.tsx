import Box from "@cloudscape-design/components/box";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { Code } from "./Code";
import { shown } from "./figures";
import { PassageList } from "./PassageList";
import { titled } from "./plainWords";
import { isPassages, isSummary, listingOf, periodsOf, type Row } from "./results";
import { Rows } from "./Rows";
import { groupName, measureName } from "./scale";

interface Props {
  result: unknown;
  label: string;
}

/** A tool's whole result in the form that suits it; a form that this page does not know is shown as JSON. */
export function Result({ result, label }: Props) {
  const listing = listingOf(result);
  if (isPassages(result)) return <PassageList passages={result.passages} />;
  if (isSummary(result)) {
    const columns = ["key", ...Object.keys(result.total)];
    return (
      <SpaceBetween size="xs">
        <Rows
          label={`Summary for ${label}`}
          columns={columns.map((id) => ({ id, header: id === "key" ? "Group" : measureName(id) }))}
          rows={result.groups.map((group) => ({ ...group, key: groupName(group) }))}
        />
        <Periods result={result} />
      </SpaceBetween>
    );
  }
  if (listing) {
    return (
      <SpaceBetween size="xs">
        <Rows label={`${titled(listing.name)} for ${label}`} rows={listing.rows} />
        {listing.more && <Box variant="small">There are more rows than are shown.</Box>}
        <Periods result={result} />
      </SpaceBetween>
    );
  }
  return isFlat(result) ? <Pairs result={result} label={label} /> : <Code text={JSON.stringify(result, null, 2)} />;
}

function Pairs({ result, label }: { result: Row; label: string }) {
  const items = Object.entries(result).map(([key, value]) => ({ label: titled(key), value: shown(value) }));
  return <KeyValuePairs columns={2} minColumnWidth={120} items={items} ariaLabel={`Result for ${label}`} />;
}

function Periods({ result }: { result: unknown }) {
  return periodsOf(result).map((period) => (
    <Box key={period} variant="small" color="text-body-secondary">
      {titled(period)}
    </Box>
  ));
}

const isFlat = (result: unknown): result is Row => typeof result === "object" && result !== null && !Array.isArray(result);
