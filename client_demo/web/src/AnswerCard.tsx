import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import LiveRegion from "@cloudscape-design/components/live-region";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { CallContext } from "./callContext";
import type { OwnCalls } from "./calls";
import { type Answer, isRefused } from "./conversation";
import { Said } from "./Said";
import { Shown } from "./Shown";
import { TenantAndTier } from "./TenantAndTier";
import { ToolCall } from "./ToolCall";
import type { Scale } from "./scale";

/** Who the answer is for; kept after they signed out. */
export interface Asker {
  name: string;
  tenant: string | null;
  tier: string | null;
  calls: OwnCalls | undefined;
}

interface Props {
  answer: Answer;
  asker: Asker;
  /** Distinguishes the tables of one answer from those of another, for those who hear the page. */
  place: string;
  /** The other person's text, for marking what differs. */
  other: string | undefined;
  scale: Scale;
  measure: string;
  onRetry: (() => void) | undefined;
}

/** One answer under its person: the text first, then what it rests on, then the tool calls, folded. */
export function AnswerCard({ answer, asker, place, other, scale, measure, onRetry }: Props) {
  const { name, tenant, tier, calls } = asker;
  const label = `${name}, ${place}`;
  const refused = isRefused(answer);
  return (
    <article className="answer" data-person={name} data-finished={answer.finished} aria-busy={!answer.finished}>
      <header className="answer-head">
        <h3>{name}</h3>
        <TenantAndTier tenant={tenant} tier={tier} />
      </header>
      <SpaceBetween size="s">
        {!answer.text && !answer.finished && <StatusIndicator type="loading">Working on it</StatusIndicator>}
        {answer.text && !refused && <Said text={answer.text} other={other} />}
        {answer.text && refused && (
          <StatusIndicator type="warning" wrapText>
            <span className="said">{answer.text}</span>
          </StatusIndicator>
        )}
        {answer.stopped && <StatusIndicator type="stopped">You stopped this answer.</StatusIndicator>}
        {answer.error && (
          <Alert type="error" action={onRetry && <Button onClick={onRetry}>Ask again</Button>}>
            <span className="failure">{answer.error}</span>
          </Alert>
        )}
        {answer.calls.map((call) => (
          <CallContext key={call.id} value={{ calls, request: call.outcome?.request }}>
            <SpaceBetween size="s">
              <Shown call={call} label={label} said={answer.text} scale={scale} measure={measure} />
              <ToolCall call={call} label={label} said={answer.text} />
            </SpaceBetween>
          </CallContext>
        ))}
      </SpaceBetween>
      <LiveRegion hidden>{answer.finished ? `${name}: ${answer.error || answer.text || "stopped"}` : ""}</LiveRegion>
    </article>
  );
}
