/** The page that a sign-in window ends on: it hands the answer to the page that opened it, and closes. */
import { UserManager } from "oidc-client-ts";

new UserManager({ authority: "", client_id: "", redirect_uri: "" }).signinPopupCallback().catch((error: Error) => {
  document.querySelector("p")!.textContent = `${error.message} Close this window and try again.`;
});
