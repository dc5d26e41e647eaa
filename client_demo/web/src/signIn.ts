/**
 * Sign-in with the authorization code flow and PKCE (RFC 7636, RFC 9700).
 *
 * Tokens are in this page's memory and nowhere else: localStorage can be read by every page of the origin and survives
 * the tab, sessionStorage survives a reload and is copied into windows that the page opens. The price is a new sign-in
 * after a reload. Only the state of a sign-in under way (state, nonce and PKCE verifier) is in sessionStorage, because
 * the first person's page is left for the identity provider; the answer removes it.
 */
import { ErrorResponse, InMemoryWebStorage, type User, UserManager, WebStorageStateStore } from "oidc-client-ts";
import type { Configuration } from "./configuration";

export type { User };

/** One manager per person: two people are signed in side by side, and neither store knows of the other. */
export function createManager(configuration: Configuration): UserManager {
  return new UserManager({
    authority: configuration.issuer,
    client_id: configuration.client_id,
    redirect_uri: `${location.origin}/`,
    popup_redirect_uri: `${location.origin}/popup.html`,
    silent_redirect_uri: `${location.origin}/popup.html`,
    post_logout_redirect_uri: `${location.origin}/`,
    scope: configuration.scopes.join(" "),
    // RFC 8707: the token is for this server alone.
    resource: configuration.resource,
    extraTokenParams: { resource: configuration.resource },
    userStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
    stateStore: new WebStorageStateStore({ store: sessionStorage }),
    automaticSilentRenew: false,
    revokeTokensOnSignout: true,
    revokeTokenTypes: ["refresh_token"],
  });
}

/** The person whose sign-in the browser has just come back from, or null when the page was opened plainly. */
export async function finishRedirect(manager: UserManager): Promise<User | null> {
  const answer = new URL(location.href);
  if (!answer.searchParams.has("state")) return null;
  // The code does not belong in the history, nor in an address that somebody copies.
  history.replaceState(null, "", "/");
  if (answer.searchParams.has("code") || answer.searchParams.has("error")) {
    return manager.signinRedirectCallback(answer.href);
  }
  await manager.signoutRedirectCallback(answer.href);
  return null;
}

/** Sign in on the provider's page, if the provider answers: otherwise this page would be left for an error. */
export async function signInByRedirect(manager: UserManager, configuration: Configuration): Promise<void> {
  const metadata = `${configuration.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  await fetch(metadata, { cache: "no-store" });
  await manager.signinRedirect();
}

/** Sign in beside the first person: in a separate window, and never as whoever the provider still remembers. */
export function signInBeside(manager: UserManager, configuration: Configuration): Promise<User> {
  return manager.signinPopup({
    prompt: "login",
    popupWindowFeatures: { width: 520, height: 720 },
    // Some identity providers isolate their window (Cross-Origin-Opener-Policy), which then looks closed from here.
    popupAbortOnClose: configuration.development !== undefined,
  });
}

/** Sign in a sample person without a form (`prompt=none`), which only the development issuer allows. */
export async function signInAtOnce(manager: UserManager, name: string): Promise<User> {
  const user = await manager.signinSilent({ login_hint: name }).catch((error: unknown) => {
    if (error instanceof ErrorResponse) throw new Error(`${name} must sign in by the form (${error.error}).`);
    throw error;
  });
  if (!user) throw new Error(`${name} was not signed in.`);
  return user;
}

/** End the session here and at the provider. */
export async function signOut(manager: UserManager, configuration: Configuration): Promise<void> {
  const provider = await manager.metadataService.getMetadata();
  if (!provider.end_session_endpoint) {
    await manager.removeUser();
    location.assign("/");
    return;
  }
  // Amazon Cognito has names of its own for two parameters of OpenID Connect RP-Initiated Logout.
  await manager.signoutRedirect({
    extraQueryParams: { client_id: configuration.client_id, logout_uri: `${location.origin}/` },
  });
}

/** What a failed sign-in means for the person, in words. */
export function whyNot(error: unknown, configuration: Configuration): string {
  if (error instanceof ErrorResponse && error.error === "access_denied") {
    return "The sign-in was cancelled, so nobody was signed in. You can try again.";
  }
  const message = error instanceof Error ? error.message : String(error);
  if (/popup closed/i.test(message)) return "The sign-in window was closed before anybody signed in. You can try again.";
  if (/popup window|blocked/i.test(message)) {
    return "The browser did not open the sign-in window. Allow windows for this page, then try again.";
  }
  if (error instanceof TypeError || /failed to fetch|network|timed? ?out/i.test(message)) {
    return `The identity provider at ${configuration.issuer} does not answer. Check that it runs, then try again.`;
  }
  return `The sign-in did not work: ${message}`;
}

export function nameOf(user: User): string {
  const { profile } = user;
  return String(profile["cognito:username"] ?? profile.preferred_username ?? profile.name ?? profile.sub);
}
