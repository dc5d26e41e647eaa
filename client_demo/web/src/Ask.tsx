import SupportPromptGroup from "@cloudscape-design/chat-components/support-prompt-group";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import PromptInput, { type PromptInputProps } from "@cloudscape-design/components/prompt-input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useRef, useState } from "react";
import { SUGGESTIONS } from "./suggestions";

interface Props {
  busy: boolean;
  people: number;
  fresh: boolean;
  onAsk: (question: string) => void;
  onStop: () => void;
}

/** Where a question is written, or picked; while answers come, where they are stopped. */
export function Ask({ busy, people, fresh, onAsk, onStop }: Props) {
  const [text, setText] = useState("");
  const input = useRef<PromptInputProps.Ref>(null);
  useEffect(() => {
    // The button that was pressed to get here is gone, and the keyboard's focus with it. A telephone would open its own.
    if (matchMedia("(pointer: fine)").matches) input.current?.focus();
  }, []);
  const ask = (question: string) => {
    if (busy || !question.trim()) return;
    setText("");
    onAsk(question.trim());
    input.current?.focus();
  };
  const stop = () => {
    onStop();
    input.current?.focus();
  };
  const label = people > 1 ? "Ask as both people" : "Ask a question";
  return (
    <div className={fresh ? "ask-first" : "ask"}>
      <Container>
        <SpaceBetween size="s">
          {fresh && (
            <SupportPromptGroup
              ariaLabel="Suggested questions"
              alignment="horizontal"
              items={SUGGESTIONS}
              onItemClick={({ detail }) => ask(detail.id)}
            />
          )}
          <div className="ask-row">
            {!fresh && (
              <ButtonDropdown
                variant="icon"
                ariaLabel="Suggested questions"
                disabled={busy}
                items={SUGGESTIONS}
                expandToViewport
                onItemClick={({ detail }) => ask(detail.id)}
              />
            )}
            <div className="ask-input">
              <PromptInput
                ref={input}
                value={text}
                onChange={({ detail }) => setText(detail.value)}
                onAction={({ detail }) => ask(detail.value)}
                ariaLabel={label}
                placeholder={label}
                actionButtonIconName="send"
                actionButtonAriaLabel="Send the question"
                disableActionButton={busy || !text.trim()}
                maxRows={6}
                nativeTextareaAttributes={{ maxLength: 4000 }}
              />
            </div>
            {busy && (
              <Button iconName="close" ariaLabel="Stop the answers" onClick={stop}>
                Stop
              </Button>
            )}
          </div>
        </SpaceBetween>
      </Container>
    </div>
  );
}
