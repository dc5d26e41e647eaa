/** The conversation as data: rounds of one question and one answer per person, and how events change them. */
import type { Event, Said } from "./agent";

export interface Outcome {
  isError: boolean;
  result: unknown;
  /** The id of the server's request, under which its audit record is found. */
  request: string | undefined;
}

export interface Call {
  id: string;
  name: string;
  arguments: Record<string, unknown>;
  outcome?: Outcome;
}

export interface Answer {
  person: string;
  text: string;
  calls: Call[];
  error: string;
  stopped: boolean;
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
  | { kind: "failed"; id: number; person: string; message: string }
  | { kind: "stopped"; id: number; person: string };

/** The runtime takes 40 earlier messages; ten rounds are enough to refer back to. */
const ROUNDS_REMEMBERED = 10;
const UNANSWERED = { text: "", calls: [], error: "", stopped: false, finished: false };

export function conversation(rounds: Round[], change: Change): Round[] {
  if (change.kind === "asked") {
    const answers = change.people.map((person) => ({ ...UNANSWERED, person }));
    return [...rounds, { id: change.id, question: change.question, answers }];
  }
  const changed = (answer: Answer) => (answer.person === change.person ? withChange(answer, change) : answer);
  return rounds.map((round) => (round.id === change.id ? { ...round, answers: round.answers.map(changed) } : round));
}

function withChange(answer: Answer, change: Exclude<Change, { kind: "asked" }>): Answer {
  switch (change.kind) {
    case "event":
      return withEvent(answer, change.event);
    case "failed":
      return { ...answer, error: change.message, finished: true };
    case "stopped":
      return { ...answer, stopped: true, finished: true };
  }
}

function withEvent(answer: Answer, event: Event): Answer {
  switch (event.type) {
    case "start":
      return answer;
    case "text":
      return { ...answer, text: answer.text + event.text };
    case "tool_call":
      return { ...answer, calls: [...answer.calls, { id: event.id, name: event.name, arguments: event.arguments }] };
    case "tool_result": {
      const outcome = { isError: event.is_error, result: event.result, request: event.request };
      return { ...answer, calls: answer.calls.map((call) => (call.id === event.id ? { ...call, outcome } : call)) };
    }
    case "error":
      return { ...answer, error: event.message, finished: true };
    case "done":
      return { ...answer, finished: true };
  }
}

/** Whether the server refused what was asked, or it failed: the answer's text then gives the reason. */
export function isRefused(answer: Answer): boolean {
  return answer.calls.length > 0 && answer.calls.every((call) => call.outcome?.isError);
}

/** What one person asked and was answered, for the model; the other person's answers are no part of it. */
export function historyOf(rounds: Round[], person: string): Said[] {
  const answered = rounds.flatMap(({ question, answers }) => {
    const answer = answers.find((one) => one.person === person);
    return answer?.text && !answer.error && !answer.stopped ? [{ question, text: answer.text }] : [];
  });
  return answered.slice(-ROUNDS_REMEMBERED).flatMap(({ question, text }) => [
    { role: "user" as const, text: question },
    { role: "assistant" as const, text },
  ]);
}
