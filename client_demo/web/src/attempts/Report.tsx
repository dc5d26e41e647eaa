import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import type { Run, Verdict } from "./attempts";
import { Received } from "./Received";
import { Records } from "./Records";
import { Walls } from "./Walls";

interface Shown {
  type: StatusIndicatorProps.Type;
  text: string;
}

export const VERDICTS: Record<Verdict, Shown> = {
  held: { type: "success", text: "The walls held: nothing of others came out" },
  failed: { type: "error", text: "A wall did not hold" },
  unknown: { type: "warning", text: "Not measured: nothing is claimed for this run" },
};

/** What happened, run by run. */
export function Report({ title, runs }: { title: string; runs: Run[] }) {
  return (
    <SpaceBetween size="l">
      <Header variant="h2">What happened: {title}</Header>
      {runs.map((run) => (
        <div key={run.title} className="run" data-verdict={run.verdict}>
          <Container
            header={
              <Header variant="h3" description={run.how}>
                {run.title}
              </Header>
            }
          >
            <SpaceBetween size="m">
              <StatusIndicator type={VERDICTS[run.verdict].type}>{VERDICTS[run.verdict].text}</StatusIndicator>
              <Walls title={run.title} walls={run.walls} />
              {run.calls.map((call, position) => (
                <Box key={position} variant="div">
                  <Box variant="awsui-key-label">The model called</Box>
                  <code className="plain">
                    {call.tool}({JSON.stringify(call.arguments)})
                  </code>
                </Box>
              ))}
              <Received run={run} />
              <Records records={run.records} />
            </SpaceBetween>
          </Container>
        </div>
      ))}
    </SpaceBetween>
  );
}
