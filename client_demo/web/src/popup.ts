/** The page that a sign-in window, or a hidden frame, ends on: it gives the answer to the page that opened it. */
import { UserManager } from "oidc-client-ts";

const manager = new UserManager({ authority: "", client_id: "", redirect_uri: "" });
const finished = window.parent === window ? manager.signinPopupCallback() : manager.signinSilentCallback();
finished.catch((error: Error) => {
  document.querySelector("p")!.textContent = `${error.message} Close this window and try again.`;
});
