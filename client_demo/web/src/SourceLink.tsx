import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useContext, useState } from "react";
import { CallContext } from "./callContext";
import { Prose } from "./Prose";

/** The name of a document, which opens it where the development server shows it. */
export function SourceLink({ document: name }: { document: string }) {
  const { calls, request } = useContext(CallContext);
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  if (!calls || !request) return <Box fontWeight="bold">Source: {name}</Box>;
  const read = () => {
    setOpen(true);
    setProblem("");
    calls.document(request, name).then(setText, (error: Error) => setProblem(error.message));
  };
  return (
    <>
      <Button variant="inline-link" ariaLabel={`Source: ${name}, open the document`} onClick={read}>
        {`Source: ${name}`}
      </Button>
      {open && (
        <Modal visible size="large" header={name} closeAriaLabel="Close the document" onDismiss={() => setOpen(false)}>
          {problem && <StatusIndicator type="error">{problem}</StatusIndicator>}
          {!problem && !text && <StatusIndicator type="loading">Reading the document</StatusIndicator>}
          {text && <Prose text={text} level={3} />}
        </Modal>
      )}
    </>
  );
}
