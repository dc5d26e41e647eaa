import { useEffect, useState } from "react";

const PAGES = [
  { id: "ask", address: "#ask", text: "Ask" },
  { id: "attempts", address: "#attempts", text: "Try to break it" },
] as const;
export type PageId = (typeof PAGES)[number]["id"];

/** The page that the address names after its #, so that the browser's Back button works. */
export function usePage(): PageId {
  const [page, setPage] = useState(fromAddress);
  useEffect(() => {
    const changed = () => setPage(fromAddress());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return page;
}

/** The links between the pages. */
export function Pages({ current }: { current: PageId }) {
  return (
    <nav className="pages" aria-label="Pages">
      {PAGES.map(({ id, address, text }) => (
        <a key={id} href={address} aria-current={id === current ? "page" : undefined}>
          {text}
        </a>
      ))}
    </nav>
  );
}

function fromAddress(): PageId {
  return PAGES.find(({ address }) => address === location.hash)?.id ?? "ask";
}
