import Box from "@cloudscape-design/components/box";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type Ref, useState } from "react";
import { AnswerCard, type Asker } from "./AnswerCard";
import { type Answer, isRefused, type Round } from "./conversation";
import { isSummary, type Summary } from "./results";
import { measureFor, measureName, scaleOf } from "./scale";

interface Props {
  round: Round;
  position: number;
  place: Ref<HTMLElement>;
  askerOf: (key: string) => Asker;
  /** None while answers still come. */
  onRetry: (() => void) | undefined;
}

/** One question, and below it one answer per person, side by side where there is room. */
export function RoundView({ round, position, place, askerOf, onRetry }: Props) {
  const { question, answers } = round;
  const scale = scaleOf(answers.flatMap(summariesOf));
  const [chosen, setChosen] = useState<string>();
  const measure = chosen ?? measureFor(question, scale.measures);
  return (
    <section ref={place} className="round" aria-label={`Question ${position}`}>
      <SpaceBetween size="s">
        <h2 className="question">{question}</h2>
        {scale.measures.length > 1 && (
          <SegmentedControl
            label="The charts show"
            selectedId={measure}
            onChange={({ detail }) => setChosen(detail.selectedId)}
            options={scale.measures.map((id) => ({ id, text: measureName(id) }))}
          />
        )}
        <div className="side">
          {answers.map((answer) => (
            <AnswerCard
              key={answer.person}
              answer={answer}
              asker={askerOf(answer.person)}
              place={`question ${position}`}
              other={comparedText(answer, answers)}
              scale={scale}
              measure={measure}
              onRetry={onRetry}
            />
          ))}
        </div>
        <Comparison answers={answers} />
      </SpaceBetween>
    </section>
  );
}

function summariesOf(answer: Answer): Summary[] {
  return answer.calls.flatMap(({ outcome }) => (isSummary(outcome?.result) ? [outcome.result] : []));
}

/** Texts are compared once both are complete. */
function comparedText(answer: Answer, answers: Answer[]): string | undefined {
  const other = answers.find((one) => one !== answer);
  const complete = other && answers.every((one) => one.finished && one.text && !isRefused(one));
  return complete ? other.text : undefined;
}

/** What was the same in both answers, and what was not. */
function Comparison({ answers }: { answers: Answer[] }) {
  const [first, second] = answers;
  if (!first || !second || comparedText(first, answers) === undefined) return null;
  const asked = ({ calls }: Answer) => JSON.stringify(calls.map((call) => [call.name, call.arguments]));
  const tools = [...new Set(first.calls.map((call) => call.name))].join(", ");
  const same = asked(first) === asked(second);
  return (
    <Box variant="small" color="text-body-secondary">
      {same ? `Both called ${tools} with the same arguments. ` : "The two calls differ. "}
      {first.text === second.text ? "Both answers read the same." : "What differs between the answers is marked."}
    </Box>
  );
}
