import type { Call } from "./conversation";
import { PassageText } from "./PassageList";
import { isPassages, isSummary, listingOf, type Passage } from "./results";
import { Result } from "./Result";
import type { Scale } from "./scale";
import { SummaryChart } from "./SummaryChart";

interface Props {
  call: Call;
  label: string;
  said: string;
  scale: Scale;
  measure: string;
}

/** The part of a result that belongs beside the answer: a chart, the rows, or the passage that the answer quotes. */
export function Shown({ call, label, said, scale, measure }: Props) {
  const result = call.outcome?.isError ? undefined : call.outcome?.result;
  if (isSummary(result)) return <SummaryChart summary={result} scale={scale} measure={measure} label={label} />;
  if (isPassages(result)) {
    const quoted = quotedIn(said, result.passages);
    return quoted && <PassageText passage={quoted} />;
  }
  return listingOf(result)?.rows.length ? <Result result={result} label={label} /> : null;
}

/** The passage that holds the answer's sentence, else the first of a document that the answer names. */
function quotedIn(said: string, passages: Passage[]): Passage | undefined {
  const sentence = plain(said.replace(/\(source: [^)]*\)\s*$/, ""));
  const named = passages.filter((passage) => said.includes(passage.document));
  return named.find((passage) => sentence && plain(passage.text).includes(sentence)) ?? named[0];
}

const plain = (text: string) => text.replaceAll("**", "").replace(/\s+/g, " ").trim();
