import Alert from "@cloudscape-design/components/alert";
import LiveRegion from "@cloudscape-design/components/live-region";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useEffect, useRef, useState } from "react";
import type { Configuration } from "../configuration";
import type { Person } from "../people";
import { type Attack, attempt, type Kind, type Ready, ready, type Run } from "./attempts";
import { Editor } from "./Editor";
import { KINDS } from "./kinds";
import { Report, VERDICTS } from "./Report";

interface Props {
  configuration: Configuration;
  person: Person;
}

type Draft = Pick<Attack, "text" | "tool">;
interface Outcome {
  title: string;
  runs?: Run[];
  error?: string;
}

/** One person's attempts: what they write, and the report of the last one. */
export function Workbench({ configuration, person }: Props) {
  const [offer, setOffer] = useState<Ready>();
  const [problem, setProblem] = useState("");
  const [kind, setKind] = useState<Kind>("sql");
  const [drafts, setDrafts] = useState<Partial<Record<Kind, Draft>>>({});
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<Outcome>();
  const report = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const leaving = new AbortController();
    ready(configuration, person, leaving.signal).then(setOffer, (error: Error) => {
      if (!leaving.signal.aborted) setProblem(error.message);
    });
    return () => leaving.abort();
  }, [configuration, person]);

  useEffect(() => {
    // The keyboard goes on where the report begins.
    if (!outcome) return;
    report.current?.focus({ preventScroll: true });
    report.current?.scrollIntoView({ block: "start" });
  }, [outcome]);

  if (problem) return <Alert type="error">{problem}</Alert>;
  if (!offer) return <StatusIndicator type="loading">Getting the attacks ready</StatusIndicator>;

  const draftOf = (one: Kind): Draft => drafts[one] ?? KINDS[one].first(offer);
  const write = (change: Partial<Draft>) => setDrafts({ ...drafts, [kind]: { ...draftOf(kind), ...change } });

  const run = async (title: string, { text, tool }: Draft) => {
    if (busy) return;
    setBusy(true);
    setOutcome(undefined);
    try {
      const runs = await attempt(configuration, person, { kind, text, ...(tool ? { tool } : {}) });
      setOutcome({ title, runs });
    } catch (error) {
      setOutcome({ title, error: error instanceof Error ? error.message : String(error) });
    }
    setBusy(false);
  };

  const click = (attack: Attack) => {
    if (busy) return;
    setDrafts({ ...drafts, [kind]: { text: attack.text, tool: attack.tool } });
    void run(attack.title, attack);
  };

  return (
    <SpaceBetween size="l">
      <SegmentedControl
        label="Attack with"
        selectedId={kind}
        onChange={({ detail }) => {
          setKind(detail.selectedId as Kind);
          setOutcome(undefined);
        }}
        options={(Object.keys(KINDS) as Kind[]).map((id) => ({ id, text: KINDS[id].label, disabled: busy }))}
      />
      <Editor
        kind={kind}
        offer={offer}
        draft={draftOf(kind)}
        busy={busy}
        onWrite={write}
        onRun={() => void run("Your own", draftOf(kind))}
        onClick={click}
      />
      <div
        ref={report}
        className="report"
        role="region"
        aria-label="Report"
        tabIndex={-1}
        data-finished={outcome !== undefined}
      >
        {busy && <StatusIndicator type="loading">Trying it</StatusIndicator>}
        {outcome?.error && (
          <Alert type="error" header="Nothing was tried">
            {outcome.error}
          </Alert>
        )}
        {outcome?.runs && <Report title={outcome.title} runs={outcome.runs} />}
      </div>
      <LiveRegion hidden>{spoken(outcome)}</LiveRegion>
    </SpaceBetween>
  );
}

function spoken(outcome: Outcome | undefined): string {
  if (!outcome) return "";
  if (outcome.error) return outcome.error;
  return (outcome.runs ?? []).map((run) => `${run.title}: ${VERDICTS[run.verdict].text}`).join(". ");
}
