/** Text for machines; long lines wrap. */
export function Code({ text, label }: { text: string; label?: string }) {
  return (
    <pre className="code" aria-label={label}>
      {text}
    </pre>
  );
}
