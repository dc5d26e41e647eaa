import { partsOf } from "./differences";

/** An answer's text; what the other person's answer does not have is marked. */
export function Said({ text, other }: { text: string; other: string | undefined }) {
  return (
    <div className="said">
      {partsOf(text, other).map((part, place) =>
        part.differs ? <mark key={place}>{part.text.trimEnd()}</mark> : <span key={place}>{part.text}</span>,
      )}
    </div>
  );
}
