import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import { Prose } from "./Prose";
import type { Passage } from "./results";
import { SourceLink } from "./SourceLink";

/** Passages as the search returned them, best first, each with its document. */
export function PassageList({ passages }: { passages: Passage[] }) {
  if (passages.length === 0) return <Box variant="p">No passage was found.</Box>;
  return (
    <ol className="passages">
      {passages.map((passage, place) => (
        <li key={place}>
          <PassageText passage={passage} />
        </li>
      ))}
    </ol>
  );
}

export function PassageText({ passage }: { passage: Passage }) {
  return (
    <figure className="passage">
      <blockquote>
        <Prose text={passage.text} level={4} />
      </blockquote>
      <figcaption>
        <SourceLink document={passage.document} />
        {passage.page !== undefined && <Badge>{`page ${passage.page}`}</Badge>}
        {Object.entries(passage.metadata).map(([label, value]) => (
          <Badge key={label}>{`${label.replaceAll("_", " ")}: ${String(value)}`}</Badge>
        ))}
      </figcaption>
    </figure>
  );
}
