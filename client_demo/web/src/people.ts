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

  const add = useCallback(
    async (user: User, manager: UserManager) => {
      const person: Person = {
        key: crypto.randomUUID(),
        name: nameOf(user),
        user,
        manager,
        agent: new Agent(configuration, user.access_token),
      };
      setPeople((known) => [...known, person]);
      const told = await person.agent.whoami().catch((error: Error) => ({ refusal: error.message }));
      setPeople((known) => known.map((one) => (one.key === person.key ? { ...one, ...told } : one)));
    },
    [configuration],
  );

  const remove = useCallback(async (person: Person) => {
    setPeople((known) => known.filter((one) => one.key !== person.key));
    await person.manager.removeUser();
  }, []);

  return { people, add, remove };
}
