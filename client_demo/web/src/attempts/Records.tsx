import Box from "@cloudscape-design/components/box";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { AuditRecord } from "./attempts";

/** The audit records of the requests, folded, with what the operator's log says beside them. */
export function Records({ records }: { records: AuditRecord[] }) {
  if (records.length === 0) {
    return (
      <Box variant="small" color="text-body-secondary">
        No request was made, so there is no audit record.
      </Box>
    );
  }
  return records.map((record) => (
    <ExpandableSection
      key={record.request}
      headerText={`Audit record of request ${record.request}`}
      headerDescription={[`HTTP ${record.status}`, record.audit?.tool].filter(Boolean).join(", ")}
    >
      <SpaceBetween size="s">
        <Lines title="Audit trail" values={record.audit} none="This refusal was counted, not written: the trail writes the first of a kind." />
        <Lines title="The operator's log" values={record.log} none="The log has no line for it." />
      </SpaceBetween>
    </ExpandableSection>
  ));
}

interface LinesProps {
  title: string;
  values: Record<string, unknown> | null;
  none: string;
}

function Lines({ title, values, none }: LinesProps) {
  return (
    <div>
      <Box variant="awsui-key-label">{title}</Box>
      {values ? (
        <dl className="record">
          {Object.entries(values).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <Box variant="p">{none}</Box>
      )}
    </div>
  );
}
