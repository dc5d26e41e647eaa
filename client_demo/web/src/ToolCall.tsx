import Box from "@cloudscape-design/components/box";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Tabs, { type TabsProps } from "@cloudscape-design/components/tabs";
import { Behind } from "./Behind";
import type { Call } from "./conversation";
import { Result } from "./Result";
import { Rows } from "./Rows";

interface Props {
  call: Call;
  label: string;
  /** The answer's text, which already gives the reason of a refusal. */
  said: string;
}

/** One tool call, folded: what the model asked for, what the server answered, and on demand what happened between. */
export function ToolCall({ call, label, said }: Props) {
  const { outcome } = call;
  const words = outcome === undefined ? "running …" : outcome.isError ? "refused or failed" : "answered";
  return (
    <ExpandableSection headerText={`Tool call: ${call.name}`} headerDescription={words} headingTagOverride="h4">
      {outcome ? <Inside call={call} outcome={outcome} label={label} said={said} /> : <Arguments call={call} label={label} />}
    </ExpandableSection>
  );
}

function Inside({ call, outcome, label, said }: Props & { outcome: NonNullable<Call["outcome"]> }) {
  const tabs: TabsProps.Tab[] = [
    { id: "arguments", label: "Arguments", content: <Arguments call={call} label={label} /> },
    {
      id: "result",
      label: "Result",
      content: outcome.isError ? <Refusal reason={String(outcome.result)} said={said} /> : <Result result={outcome.result} label={label} />,
    },
    { id: "sent", label: "SQL or filter", content: <Behind call={call} outcome={outcome} part="sent" /> },
    { id: "record", label: "Audit record", content: <Behind call={call} outcome={outcome} part="record" /> },
  ];
  return <Tabs ariaLabel={`Inside ${call.name} for ${label}`} tabs={tabs} />;
}

function Refusal({ reason, said }: { reason: string; said: string }) {
  return <Box variant="p">{said.includes(reason) ? "The server's reason is the answer above." : reason}</Box>;
}

function Arguments({ call, label }: { call: Call; label: string }) {
  const rows = Object.entries(call.arguments).map(([argument, value]) => ({ argument, value }));
  if (rows.length === 0) return <Box variant="p">The model sent no arguments.</Box>;
  return <Rows label={`Arguments of ${call.name} for ${label}`} rows={rows} wrapped />;
}
