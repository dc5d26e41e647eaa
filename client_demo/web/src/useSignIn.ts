import type { UserManager } from "oidc-client-ts";
import { useState } from "react";
import type { Configuration } from "./configuration";
import type { Person } from "./people";
import { createManager, signInAtOnce, signInBeside, signInByRedirect, signOut, type User, whyNot } from "./signIn";

/** A sign-in that did not happen, and how to try it again. */
export interface Notice {
  text: string;
  retry?: () => void;
}

interface Parts {
  configuration: Configuration;
  /** The first person's; the others have one each. */
  manager: UserManager;
  firstProblem: string;
  add: (user: User, manager: UserManager) => Person;
  remove: (person: Person) => Promise<void>;
}

/** The ways to sign in and out, and what went wrong with the last one. */
export function useSignIn({ configuration, manager, firstProblem, add, remove }: Parts) {
  const byRedirect = () => void attempt(() => signInByRedirect(manager, configuration), byRedirect);
  const [notice, setNotice] = useState<Notice | undefined>(
    firstProblem ? { text: firstProblem, retry: byRedirect } : undefined,
  );
  const [starting, setStarting] = useState(false);

  async function attempt<T>(work: () => Promise<T>, retry: () => void): Promise<T | undefined> {
    setNotice(undefined);
    try {
      return await work();
    } catch (error) {
      setNotice({ text: whyNot(error, configuration), retry });
      return undefined;
    }
  }

  const beside = () =>
    void attempt(async () => {
      const other = createManager(configuration);
      add(await signInBeside(other, configuration), other);
    }, beside);

  /** Sign in the two sample people, without a form. */
  const bothAtOnce = async (retry: () => void): Promise<Person[] | undefined> => {
    setStarting(true);
    const both = await attempt(async () => {
      const names = configuration.development?.people.map(({ name }) => name) ?? [];
      const managers = names.map((_, place) => (place === 0 ? manager : createManager(configuration)));
      const users = await Promise.all(names.map((name, place) => signInAtOnce(managers[place]!, name)));
      return users.map((user, place) => add(user, managers[place]!));
    }, retry);
    setStarting(false);
    return both;
  };

  const leave = async (person: Person) => {
    setNotice(undefined);
    if (person.manager !== manager) return remove(person);
    try {
      await signOut(manager, configuration);
    } catch {
      await remove(person);
      setNotice({ text: `${person.name} is signed out here. The identity provider did not answer, so a session there may go on.` });
    }
  };

  return { notice, starting, byRedirect, beside, bothAtOnce, leave, dismiss: () => setNotice(undefined) };
}
