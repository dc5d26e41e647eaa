/** What one text has that another has not, word by word. */

export interface Part {
  text: string;
  differs: boolean;
}

/** Longer texts take too long to compare, and a page full of marks shows nothing. */
const MOST_WORDS = 400;

export function partsOf(text: string, other: string | undefined): Part[] {
  const words = text.split(/(?<=\s)/);
  const others = other?.split(/(?<=\s)/) ?? [];
  if (other === undefined || words.length > MOST_WORDS || others.length > MOST_WORDS) return [{ text, differs: false }];
  const kept = commonPlaces(words.map(bare), others.map(bare));
  const parts: Part[] = [];
  words.forEach((word, place) => {
    const differs = !kept.has(place);
    const last = parts.at(-1);
    if (last?.differs === differs) last.text += word;
    else parts.push({ text: word, differs });
  });
  return parts;
}

const bare = (word: string) => word.trim();

/** The places in `words` of a longest common subsequence with `others`. */
function commonPlaces(words: string[], others: string[]): Set<number> {
  const lengths = Array.from({ length: words.length + 1 }, () => new Array<number>(others.length + 1).fill(0));
  const at = (row: number, column: number) => lengths[row]![column]!;
  for (let row = words.length - 1; row >= 0; row--) {
    for (let column = others.length - 1; column >= 0; column--) {
      const same = words[row] === others[column];
      lengths[row]![column] = same ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const places = new Set<number>();
  for (let row = 0, column = 0; row < words.length && column < others.length; ) {
    if (words[row] === others[column]) {
      places.add(row++);
      column++;
    } else if (at(row + 1, column) >= at(row, column + 1)) row++;
    else column++;
  }
  return places;
}
