import Avatar from "@cloudscape-design/chat-components/avatar";
import ChatBubble from "@cloudscape-design/chat-components/chat-bubble";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import LiveRegion from "@cloudscape-design/components/live-region";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useRef } from "react";
import type { Answer, Round } from "./conversation";
import type { Person } from "./people";
import { ToolCall } from "./ToolCall";

interface Props {
  rounds: Round[];
  people: Person[];
}

/** The conversation: each question once, and below it one answer a person, side by side where there is room. */
export function Rounds({ rounds, people }: Props) {
  const end = useRef<HTMLDivElement>(null);
  const length = rounds.length;
  const finished = rounds.at(-1)?.answers.every((answer) => answer.finished);
  useEffect(() => {
    // Once when the question is asked, and once more when there is an answer to make room for.
    if (length > 0) end.current?.scrollIntoView({ block: "start" });
  }, [length, finished]);
  // A person who left keeps their answers under their name.
  const names = useRef(new Map<string, string>());
  for (const person of people) names.current.set(person.key, person.name);
  const nameOf = (key: string) => names.current.get(key) ?? "someone who signed out";
  return (
    <section aria-label="Conversation">
      <SpaceBetween size="l">
        {rounds.map((round, position) => (
          <div key={round.id} ref={position === length - 1 ? end : undefined} className="round">
            <SpaceBetween size="s">
              <ChatBubble
                type="outgoing"
                ariaLabel={`Question: ${round.question}`}
                avatar={<Avatar ariaLabel="You" tooltipText="You" iconName="user-profile" />}
              >
                {round.question}
              </ChatBubble>
              <ColumnLayout columns={round.answers.length > 1 ? 2 : 1}>
                {round.answers.map((answer) => (
                  <AnswerBubble
                    key={answer.person}
                    answer={answer}
                    name={nameOf(answer.person)}
                    place={`question ${position + 1}`}
                  />
                ))}
              </ColumnLayout>
            </SpaceBetween>
          </div>
        ))}
      </SpaceBetween>
    </section>
  );
}

interface AnswerProps {
  answer: Answer;
  name: string;
  /** Tells the tables of one answer from those of another, for those who hear the page. */
  place: string;
}

function AnswerBubble({ answer, name, place }: AnswerProps) {
  return (
    <div className="answer" data-person={name} data-finished={answer.finished}>
      <ChatBubble
        type="incoming"
        ariaLabel={`Answer to ${name}`}
        showLoadingBar={!answer.finished}
        avatar={
          <Avatar
            color="gen-ai"
            iconName="gen-ai"
            loading={!answer.finished}
            ariaLabel={`The agent, for ${name}`}
            tooltipText={`The agent, for ${name}`}
          />
        }
      >
        <SpaceBetween size="s">
          <Box variant="awsui-key-label">{name}</Box>
          {answer.text && <div className="said">{answer.text}</div>}
          {!answer.text && !answer.finished && <Box color="text-status-inactive">Working on it …</Box>}
          {answer.error && <Alert type="error">{answer.error}</Alert>}
          {answer.calls.map((call) => (
            <ToolCall key={call.id} call={call} label={`${name}, ${place}`} />
          ))}
          {answer.finished && answer.model && (
            <Box variant="small" color="text-body-secondary">
              Answered by: {answer.model}
            </Box>
          )}
        </SpaceBetween>
      </ChatBubble>
      <LiveRegion hidden>{answer.finished ? `${name}: ${answer.error || answer.text}` : ""}</LiveRegion>
    </div>
  );
}
