import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useRef } from "react";
import type { Asker } from "./AnswerCard";
import { OwnCalls } from "./calls";
import type { Configuration } from "./configuration";
import type { Round } from "./conversation";
import type { Person } from "./people";
import { RoundView } from "./RoundView";

interface Props {
  configuration: Configuration;
  rounds: Round[];
  people: Person[];
  busy: boolean;
  onAsk: (question: string) => void;
}

const NOBODY: Asker = { name: "someone who signed out", tenant: null, tier: null, calls: undefined };

/** The conversation, the newest question last and in view. */
export function Rounds({ configuration, rounds, people, busy, onAsk }: Props) {
  const newest = useRef<HTMLElement>(null);
  const length = rounds.length;
  const finished = rounds.at(-1)?.answers.every((answer) => answer.finished);
  useEffect(() => {
    // Once when the question is asked, and once more when there is an answer to make room for.
    if (length > 0) newest.current?.scrollIntoView({ block: "start" });
  }, [length, finished]);
  // Somebody who signed out keeps their answers under their name.
  const askers = useRef(new Map<string, Asker>());
  for (const person of people) {
    const { tenant, tier } = person.identity ?? NOBODY;
    askers.current.set(person.key, { name: person.name, tenant, tier, calls: OwnCalls.of(configuration, person) });
  }
  return (
    <section aria-label="Conversation">
      <SpaceBetween size="xl">
        {rounds.map((round, place) => (
          <RoundView
            key={round.id}
            round={round}
            position={place + 1}
            place={place === length - 1 ? newest : null}
            askerOf={(key) => askers.current.get(key) ?? NOBODY}
            onRetry={busy ? undefined : () => onAsk(round.question)}
          />
        ))}
      </SpaceBetween>
    </section>
  );
}
