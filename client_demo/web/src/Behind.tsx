import Box from "@cloudscape-design/components/box";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useContext, useEffect, useState } from "react";
import { CallContext } from "./callContext";
import type { Behind as Found, Statement } from "./calls";
import { Code } from "./Code";
import type { Call, Outcome } from "./conversation";
import { shown } from "./figures";

interface Props {
  call: Call;
  outcome: Outcome;
  part: "sent" | "record";
}

/** What the server did in a call; read from the development server when it is opened. */
export function Behind({ call, outcome, part }: Props) {
  const { calls } = useContext(CallContext);
  const [found, setFound] = useState<Found>();
  const [problem, setProblem] = useState("");
  const { request } = outcome;
  useEffect(() => {
    if (!calls || !request) return;
    calls.behind(request, call.arguments).then(setFound, (error: Error) => setProblem(error.message));
  }, [calls, request, call.arguments]);
  if (!request) return <Box variant="p">The call did not reach the server, so there is no record of it.</Box>;
  if (!calls) return <OnlyForTheOperator request={request} />;
  if (problem) return <StatusIndicator type="error">{problem}</StatusIndicator>;
  if (!found) return <StatusIndicator type="loading">Reading the audit trail</StatusIndicator>;
  return part === "sent" ? <SentParts found={found} /> : <AuditRecord record={found.record} />;
}

function OnlyForTheOperator({ request }: { request: string }) {
  return (
    <Box variant="p">
      Only the operator of this server can read this, with <code>tenantgate audit show</code>. The request id is{" "}
      <code>{request}</code>.
    </Box>
  );
}

function SentParts({ found }: { found: Found }) {
  const tenant = shown(found.record.tenant);
  if (found.statement) return <Sql statement={found.statement} tenant={tenant} />;
  if (found.filter) {
    return (
      <SpaceBetween size="xs">
        <Box variant="p">
          The search was limited to documents that match this filter. Tier and tenant in it come from the token, and
          arguments can only narrow it. The server then checked each passage again.
        </Box>
        <Code text={JSON.stringify(found.filter, null, 2)} label="Retrieval filter" />
      </SpaceBetween>
    );
  }
  return <Box variant="p">This call sent no SQL and no search to show: it was refused before, or it needs none.</Box>;
}

function Sql({ statement, tenant }: { statement: Statement; tenant: string }) {
  const values = statement.values.map((value, place) => `$${place + 1} = ${value}`);
  values.push(`$${statement.values.length + 1} = the signed context of this request, for tenant ${tenant}`);
  return (
    <SpaceBetween size="xs">
      <Box variant="p">
        The text is the same for every tenant. The tenant is only in the last value, which the server signed; PostgreSQL
        checks the signature, and its row security returns this tenant&apos;s rows.
      </Box>
      <Code text={values.join("\n")} label="Values" />
      <Code text={inLines(statement.sql)} label="SQL" />
      <Box variant="small" color="text-body-secondary">
        SHA-256 of the text, as in the audit record: <code className="digest">{statement.digest}</code>
      </Box>
    </SpaceBetween>
  );
}

/** Only line breaks are added. */
function inLines(sql: string): string {
  return sql.replace(/ (?=(?:SELECT answer|FROM|CROSS JOIN|WHERE|GROUP BY|ORDER BY|HAVING|LIMIT) )/g, "\n");
}

const DECISION = ["outcome", "refused", "tenant", "tier", "tool", "rows", "passages", "database_ms", "ms", "request"];

function AuditRecord({ record }: { record: Record<string, unknown> }) {
  const items = DECISION.filter((name) => record[name] !== undefined && record[name] !== null).map((name) => ({
    label: NAMES[name] ?? name,
    value: shown(record[name]),
  }));
  return (
    <SpaceBetween size="s">
      <KeyValuePairs columns={3} minColumnWidth={140} items={items} ariaLabel="The decision" />
      <Box variant="small" color="text-body-secondary">
        The whole record, as it is chained in the audit trail:
      </Box>
      <Code text={JSON.stringify(record, null, 2)} label="Audit record" />
    </SpaceBetween>
  );
}

const NAMES: Record<string, string> = {
  outcome: "Decision",
  refused: "Reason",
  tenant: "Tenant",
  tier: "Tier",
  tool: "Tool",
  rows: "Rows shown",
  passages: "Passages",
  database_ms: "Database, ms",
  ms: "All, ms",
  request: "Request id",
};
