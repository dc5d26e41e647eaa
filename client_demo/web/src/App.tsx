import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import type { UserManager } from "oidc-client-ts";
import { useEffect, useRef } from "react";
import { Ask } from "./Ask";
import { Attempts } from "./attempts/Attempts";
import type { Configuration } from "./configuration";
import { Pages, usePage } from "./Pages";
import { People } from "./People";
import { usePeople } from "./people";
import { Rounds } from "./Rounds";
import { FIRST_QUESTION } from "./suggestions";
import type { User } from "./signIn";
import { useConversation } from "./useConversation";
import { type Notice, useSignIn } from "./useSignIn";
import { useTheme } from "./useTheme";
import { Welcome } from "./Welcome";

interface Props {
  configuration: Configuration;
  manager: UserManager;
  firstUser: User | null;
  firstProblem: string;
}

export function App({ configuration, manager, firstUser, firstProblem }: Props) {
  const page = usePage();
  const [dark, toggleTheme] = useTheme();
  const { people, add, remove } = usePeople(configuration);
  const { rounds, busy, ask, stop } = useConversation();
  const signIn = useSignIn({ configuration, manager, firstProblem, add, remove });
  const greeted = useRef(false);

  useEffect(() => {
    if (!firstUser || greeted.current) return;
    greeted.current = true;
    add(firstUser, manager);
  }, [add, firstUser, manager]);

  const start = async () => {
    const both = await signIn.bothAtOnce(() => void start());
    if (both) ask(FIRST_QUESTION, both);
  };
  // A person whom the server refuses was told so; a question would only repeat it.
  const admitted = people.filter((person) => !person.refusal);
  const askAll = (question: string) => ask(question, admitted);

  return (
    <>
      <TopNavigation
        identity={{ href: "/", title: "tenantgate" }}
        utilities={[
          {
            type: "button",
            text: dark ? "Light" : "Dark",
            ariaLabel: dark ? "Switch to light colours" : "Switch to dark colours",
            disableUtilityCollapse: true,
            onClick: toggleTheme,
          },
        ]}
      />
      <Pages current={page} />
      <main>
        <SpaceBetween size="l">
          {signIn.notice && <Problem notice={signIn.notice} onDismiss={signIn.dismiss} />}
          {page === "attempts" && <Attempts configuration={configuration} people={people} />}
          {page === "ask" && people.length === 0 && (
            <Welcome
              configuration={configuration}
              starting={signIn.starting}
              onStart={start}
              onSignIn={signIn.byRedirect}
            />
          )}
          {page === "ask" && people.length > 0 && (
            <SpaceBetween size="l">
              <People people={people} onAdd={signIn.beside} onLeave={(person) => void signIn.leave(person)} />
              <Rounds configuration={configuration} rounds={rounds} people={people} busy={busy} onAsk={askAll} />
            </SpaceBetween>
          )}
        </SpaceBetween>
        {page === "ask" && admitted.length > 0 && (
          <Ask busy={busy} people={admitted.length} fresh={rounds.length === 0} onAsk={askAll} onStop={stop} />
        )}
      </main>
    </>
  );
}

function Problem({ notice, onDismiss }: { notice: Notice; onDismiss: () => void }) {
  return (
    <div role="alert">
      <Alert
        type="error"
        dismissible
        onDismiss={onDismiss}
        action={notice.retry && <Button onClick={notice.retry}>Try again</Button>}
      >
        {notice.text}
      </Alert>
    </div>
  );
}
