import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useTheme } from "./useTheme";

/** Instead of the page, when it cannot start. */
export function Unavailable({ reason }: { reason: string }) {
  useTheme();
  return (
    <main>
      <SpaceBetween size="m">
        <h1 className="small-heading">tenantgate</h1>
        <Alert type="error" action={<Button onClick={() => location.reload()}>Try again</Button>}>
          {reason}
        </Alert>
      </SpaceBetween>
    </main>
  );
}
