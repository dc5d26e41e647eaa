import type { Configuration } from "../configuration";
import type { Person } from "../people";

interface Props {
  configuration: Configuration;
  people: Person[];
}

/** The page "Try to break it". */
export function Attempts(_props: Props) {
  return null;
}
