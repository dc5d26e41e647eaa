import Box from "@cloudscape-design/components/box";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import type { State, Wall } from "./attempts";

const NAMES: Record<Wall["name"], string> = {
  gate: "Gate (token)",
  tenant: "Tenant (context)",
  database: "Database (policy)",
  documents: "Documents (filter)",
};

const STATES: Record<State, { type: StatusIndicatorProps.Type; text: string }> = {
  passed: { type: "info", text: "Passed" },
  stopped: { type: "success", text: "Stopped here" },
  not_reached: { type: "pending", text: "Not reached" },
  failed: { type: "error", text: "Did not hold" },
  unknown: { type: "warning", text: "Not measured" },
};

/** The walls in the order in which an attempt meets them. */
export function Walls({ title, walls }: { title: string; walls: Wall[] }) {
  return (
    <ol className="walls" aria-label={`Walls: ${title}`}>
      {walls.map((wall, position) => (
        <li key={position} className="wall" data-wall={wall.name} data-state={wall.state}>
          <Box variant="awsui-key-label">{NAMES[wall.name]}</Box>
          <StatusIndicator type={STATES[wall.state].type}>{STATES[wall.state].text}</StatusIndicator>
          <p className="evidence">{wall.evidence}</p>
        </li>
      ))}
    </ol>
  );
}
