/** Who is signed in: what the identity provider says of them, and what the server knows. */
import type { UserManager } from "oidc-client-ts";
import { useCallback, useState } from "react";
import { Agent, type Identity } from "./agent";
import type { Configuration } from "./configuration";
import { nameOf, type User } from "./signIn";

export interface Person {
  /** Unique here: the same account may sign in twice. */
  key: string;
  name: string;
  user: User;
  manager: UserManager;
  agent: Agent;
  identity?: Identity;
  model?: string;
  /** Why the server does not know this person, in its own words. */
  refusal?: string;
}

export function usePeople(configuration: Configuration) {
  const [people, setPeople] = useState<Person[]>([]);

  /** Add someone who has signed in, and ask the server who they are. */
  const add = useCallback(
    (user: User, manager: UserManager): Person => {
      const agent = new Agent(configuration, user.access_token);
      const person: Person = { key: crypto.randomUUID(), name: nameOf(user), user, manager, agent };
      setPeople((known) => [...known, person]);
      void agent
        .whoami()
        .catch((error: Error) => ({ refusal: error.message }))
        .then((found) =>
          setPeople((known) => known.map((one) => (one.key === person.key ? { ...one, ...found } : one))),
        );
      return person;
    },
    [configuration],
  );

  const remove = useCallback(async (person: Person) => {
    setPeople((known) => known.filter((one) => one.key !== person.key));
    await person.manager.removeUser();
  }, []);

  return { people, add, remove };
}
