import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { Attack, Kind, Ready } from "./attempts";
import { KINDS } from "./kinds";

interface Props {
  kind: Kind;
  offer: Ready;
  draft: Pick<Attack, "text" | "tool">;
  busy: boolean;
  onWrite: (change: Partial<Pick<Attack, "text" | "tool">>) => void;
  onRun: () => void;
  onClick: (attack: Attack) => void;
}

/** The attacks to click, and the field to write one's own. */
export function Editor({ kind, offer, draft, busy, onWrite, onRun, onClick }: Props) {
  const { field, explained, action } = KINDS[kind];
  return (
    <div className="bench">
      <Container header={<Header variant="h2">Attacks to click</Header>}>
        <ul className="attacks">
          {offer.attacks
            .filter((attack) => attack.kind === kind)
            .map((attack) => (
              <li key={attack.id}>
                <Button fullWidth onClick={() => onClick(attack)}>
                  {attack.title}
                </Button>
                <Box variant="small" color="text-body-secondary">
                  {attack.aim}
                </Box>
              </li>
            ))}
        </ul>
      </Container>
      <Container header={<Header variant="h2">Or write your own</Header>}>
        <SpaceBetween size="m">
          <Box variant="p">{explained}</Box>
          {kind === "argument" && (
            <Select
              inlineLabelText="Tool"
              selectedOption={{ value: draft.tool ?? "", label: draft.tool ?? "" }}
              options={offer.tools.map((tool) => ({ value: tool, label: tool }))}
              onChange={({ detail }) => onWrite({ tool: detail.selectedOption.value ?? null })}
            />
          )}
          <label className="attempt-text">
            <Box variant="awsui-key-label">{field}</Box>
            <textarea
              value={draft.text}
              rows={kind === "token" ? 14 : 7}
              maxLength={offer.longest}
              spellCheck={false}
              onChange={(event) => onWrite({ text: event.target.value })}
            />
          </label>
          <Button variant="primary" loading={busy} disabled={!draft.text.trim()} onClick={onRun}>
            {action}
          </Button>
        </SpaceBetween>
      </Container>
    </div>
  );
}
