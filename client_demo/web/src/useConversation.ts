import { useReducer, useRef } from "react";
import { conversation, historyOf } from "./conversation";
import type { Person } from "./people";

/** The questions asked so far, with `ask` and `stop`. */
export function useConversation() {
  const [rounds, change] = useReducer(conversation, []);
  const nextId = useRef(0);
  const running = useRef(new Set<AbortController>());

  const askAs = async (person: Person, id: number, question: string, controller: AbortController) => {
    const failed = (message: string) => change({ kind: "failed", id, person: person.key, message });
    if (person.user.expired) {
      failed("The access token has expired. Sign out and sign in again; nothing was sent.");
      return;
    }
    try {
      for await (const event of person.agent.ask(question, historyOf(rounds, person.key), controller.signal)) {
        change({ kind: "event", id, person: person.key, event });
      }
    } catch (error) {
      if (controller.signal.aborted) change({ kind: "stopped", id, person: person.key });
      else failed(error instanceof Error ? error.message : String(error));
    }
  };

  const ask = (question: string, people: Person[]) => {
    const id = nextId.current++;
    change({ kind: "asked", id, question, people: people.map((person) => person.key) });
    for (const person of people) {
      const controller = new AbortController();
      running.current.add(controller);
      void askAs(person, id, question, controller).finally(() => running.current.delete(controller));
    }
  };

  const stop = () => running.current.forEach((controller) => controller.abort());
  const busy = rounds.some((round) => round.answers.some((answer) => !answer.finished));
  return { rounds, busy, ask, stop };
}
