import "./page.css";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { loadConfiguration } from "./configuration";
import { createManager, finishRedirect } from "./signIn";

const root = createRoot(document.getElementById("root")!);

try {
  const configuration = await loadConfiguration();
  const manager = createManager(configuration);
  let notice = "";
  // Before the first render, which may happen twice: a code can be used once.
  const user = await finishRedirect(manager).catch((error: Error) => {
    notice = `Signing in did not work: ${error.message}. Try again.`;
    return null;
  });
  root.render(
    <StrictMode>
      <I18nProvider locale="en" messages={[messages]}>
        <App configuration={configuration} manager={manager} firstUser={user} firstNotice={notice} />
      </I18nProvider>
    </StrictMode>,
  );
} catch (error) {
  root.render(<p role="alert">{error instanceof Error ? error.message : String(error)}</p>);
}
