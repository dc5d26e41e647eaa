/** The conversation as data: rounds of one question and one answer a person, and how events change them. */
import type { Event, Said } from "./agent";

export interface Call {
  id: string;
  name: string;
  arguments: Record<string, unknown>;
  outcome?: { isError: boolean; result: unknown };
}

export interface Answer {
  person: string;
  text: string;
  calls: Call[];
  model: string;
  error: string;
  finished: boolean;
}

export interface Round {
  id: number;
  question: string;
  answers: Answer[];
}

export type Change =
  | { kind: "asked"; id: number; question: string; people: string[] }
  | { kind: "event"; id: number; person: string; event: Event }
  | { kind: "failed"; id: number; person: string; message: string };

/** The runtime takes 40 earlier messages; ten rounds are enough to refer back to. */
const ROUNDS_REMEMBERED = 10;

export function conversation(rounds: Round[], change: Change): Round[] {
  if (change.kind === "asked") {
    const answers = change.people.map((person) => ({
      person,
      text: "",
      calls: [],
      model: "",
      error: "",
      finished: false,
    }));
    return [...rounds, { id: change.id, question: change.question, answers }];
  }
  const changed = (answer: Answer) => {
    if (answer.person !== change.person) return answer;
    if (change.kind === "failed") return { ...answer, error: change.message, finished: true };
    return withEvent(answer, change.event);
  };
  return rounds.map((round) => (round.id === change.id ? { ...round, answers: round.answers.map(changed) } : round));
}

function withEvent(answer: Answer, event: Event): Answer {
  switch (event.type) {
    case "start":
      return { ...answer, model: event.model };
    case "text":
      return { ...answer, text: answer.text + event.text };
    case "tool_call":
      return { ...answer, calls: [...answer.calls, { id: event.id, name: event.name, arguments: event.arguments }] };
    case "tool_result": {
      const outcome = { isError: event.is_error, result: event.result };
      return { ...answer, calls: answer.calls.map((call) => (call.id === event.id ? { ...call, outcome } : call)) };
    }
    case "error":
      return { ...answer, error: event.message, finished: true };
    case "done":
      return { ...answer, finished: true };
  }
}

/** What one person asked and was told, for the model; the other person's answers are no part of it. */
export function historyOf(rounds: Round[], person: string): Said[] {
  const told = rounds.flatMap(({ question, answers }) => {
    const answer = answers.find((one) => one.person === person);
    return answer?.text && !answer.error ? [{ question, text: answer.text }] : [];
  });
  return told.slice(-ROUNDS_REMEMBERED).flatMap(({ question, text }) => [
    { role: "user" as const, text: question },
    { role: "assistant" as const, text },
  ]);
}
