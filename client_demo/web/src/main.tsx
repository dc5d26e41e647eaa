import "./page.css";
import "./answers.css";
import "./documents.css";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { loadConfiguration } from "./configuration";
import { createManager, finishRedirect, whyNot } from "./signIn";
import { Unavailable } from "./Unavailable";

const root = createRoot(document.getElementById("root")!);

try {
  const configuration = await loadConfiguration();
  const manager = createManager(configuration);
  let problem = "";
  // Before the first render, which may happen twice: a code can be used once.
  const user = await finishRedirect(manager).catch((error: unknown) => {
    problem = whyNot(error, configuration);
    return null;
  });
  root.render(
    <StrictMode>
      <I18nProvider locale="en" messages={[messages]}>
        <App configuration={configuration} manager={manager} firstUser={user} firstProblem={problem} />
      </I18nProvider>
    </StrictMode>,
  );
} catch (error) {
  root.render(<Unavailable reason={error instanceof Error ? error.message : String(error)} />);
}
