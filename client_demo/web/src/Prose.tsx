import Markdown from "markdown-to-jsx";
import { createElement, type ReactNode } from "react";

interface Props {
  text: string;
  /** The level of the text's first headings, so that they fit below the page's own. */
  level: 3 | 4 | 5;
}

interface Inner {
  children?: ReactNode;
}

/** Markdown of a document. It is data: no HTML, no images, and links are shown but lead nowhere. */
export function Prose({ text, level }: Props) {
  const headings = [1, 2, 3, 4, 5, 6].map((depth) => {
    const name = `h${Math.min(6, level + depth - 1)}`;
    return [`h${depth}`, { component: ({ children }: Inner) => createElement(name, null, children) }] as const;
  });
  const overrides = { ...Object.fromEntries(headings), a: { component: Plain }, img: { component: Nothing } };
  return (
    <div className="prose">
      <Markdown options={{ disableParsingRawHTML: true, forceBlock: true, overrides }}>{text}</Markdown>
    </div>
  );
}

const Plain = ({ children }: Inner) => <span>{children}</span>;
const Nothing = () => null;
