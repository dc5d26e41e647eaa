/**
 * Sign-in with the authorization code flow and PKCE (RFC 7636, RFC 9700).
 *
 * Tokens live in this page's memory and nowhere else: localStorage can be read by every page of the origin and survives
 * the tab, sessionStorage survives a reload and is copied into windows that the page opens. What it costs is a new
 * sign-in after a reload. Only the state of a sign-in under way (state, nonce and PKCE verifier) is in sessionStorage,
 * because the first person's page is left for the identity provider; the answer removes it.
 */
import { InMemoryWebStorage, type User, UserManager, WebStorageStateStore } from "oidc-client-ts";
import type { Configuration } from "./configuration";

export type { User };

/** One manager a person: two people are signed in side by side, and neither store knows of the other. */
export function createManager(configuration: Configuration): UserManager {
  return new UserManager({
    authority: configuration.issuer,
    client_id: configuration.client_id,
    redirect_uri: `${location.origin}/`,
    popup_redirect_uri: `${location.origin}/popup.html`,
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
  // The code has no business in the history, nor in an address that somebody copies.
  history.replaceState(null, "", "/");
  if (answer.searchParams.has("code") || answer.searchParams.has("error")) {
    return manager.signinRedirectCallback(answer.href);
  }
  await manager.signoutRedirectCallback(answer.href);
  return null;
}

/** Sign in beside the first person: in a window of its own, and never as whoever the provider still remembers. */
export function signInBeside(manager: UserManager): Promise<User> {
  return manager.signinPopup({ prompt: "login", popupWindowFeatures: { width: 520, height: 720 } });
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

export function nameOf(user: User): string {
  const { profile } = user;
  return String(profile["cognito:username"] ?? profile.preferred_username ?? profile.name ?? profile.sub);
}
