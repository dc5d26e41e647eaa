import Alert from "@cloudscape-design/components/alert";
import SpaceBetween from "@cloudscape-design/components/space-between";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import type { UserManager } from "oidc-client-ts";
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { Ask } from "./Ask";
import { Attempts } from "./attempts/Attempts";
import type { Configuration } from "./configuration";
import { conversation, historyOf } from "./conversation";
import { Pages, usePage } from "./Pages";
import { People } from "./People";
import { type Person, usePeople } from "./people";
import { Rounds } from "./Rounds";
import { createManager, signInBeside, signOut, type User } from "./signIn";
import { useTheme } from "./useTheme";
import { Welcome } from "./Welcome";

interface Props {
  configuration: Configuration;
  manager: UserManager;
  firstUser: User | null;
  firstNotice: string;
}

export function App({ configuration, manager, firstUser, firstNotice }: Props) {
  const page = usePage();
  const [dark, toggleTheme] = useTheme();
  const [notice, setNotice] = useState(firstNotice);
  const { people, add, remove } = usePeople(configuration);
  const [rounds, change] = useReducer(conversation, []);
  const nextId = useRef(0);
  const greeted = useRef(false);
  const busy = rounds.some((round) => round.answers.some((answer) => !answer.finished));

  useEffect(() => {
    if (!firstUser || greeted.current) return;
    greeted.current = true;
    void add(firstUser, manager);
  }, [add, firstUser, manager]);

  const tell = useCallback((error: unknown) => setNotice(error instanceof Error ? error.message : String(error)), []);
  const signIn = () => manager.signinRedirect().catch(tell);

  const addPerson = async () => {
    setNotice("");
    const beside = createManager(configuration);
    await signInBeside(beside).then(
      (user) => add(user, beside),
      (error: Error) => tell(`The second person did not sign in: ${error.message}`),
    );
  };

  const leave = (person: Person) => {
    if (person.manager === manager) signOut(manager, configuration).catch(tell);
    else void remove(person);
  };

  const askAs = async (person: Person, id: number, question: string) => {
    const failed = (message: string) => change({ kind: "failed", id, person: person.key, message });
    if (person.user.expired) {
      failed("The access token has expired. Sign out and sign in again; nothing was sent.");
      return;
    }
    try {
      for await (const event of person.agent.ask(question, historyOf(rounds, person.key))) {
        change({ kind: "event", id, person: person.key, event });
      }
    } catch (error) {
      failed(error instanceof Error ? error.message : String(error));
    }
  };

  const ask = (question: string) => {
    const id = nextId.current++;
    change({ kind: "asked", id, question, people: people.map((person) => person.key) });
    for (const person of people) void askAs(person, id, question);
  };

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
          ...(people.length === 0
            ? [{ type: "button" as const, text: "Sign in", disableUtilityCollapse: true, onClick: signIn }]
            : []),
        ]}
      />
      <Pages current={page} />
      <main>
        <SpaceBetween size="l">
          {notice && (
            <Alert type="error" dismissible onDismiss={() => setNotice("")}>
              {notice}
            </Alert>
          )}
          {page === "attempts" ? (
            <Attempts configuration={configuration} people={people} />
          ) : people.length === 0 ? (
            <Welcome configuration={configuration} onSignIn={signIn} />
          ) : (
            <>
              <People people={people} onAdd={addPerson} onLeave={leave} />
              <Rounds rounds={rounds} people={people} />
              <Ask busy={busy} people={people.length} fresh={rounds.length === 0} onAsk={ask} />
            </>
          )}
        </SpaceBetween>
      </main>
    </>
  );
}
