import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Icon from "@cloudscape-design/components/icon";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { mayRead, type Sight } from "./plainWords";
import { TenantAndTier } from "./TenantAndTier";

interface Props {
  name: string;
  /** Not known yet: the server is being asked. */
  sight: Sight | undefined;
  actions?: ReactNode;
  children?: ReactNode;
}

/** One person, and what they may see. */
export function PersonCard({ name, sight, actions, children }: Props) {
  return (
    <Container
      header={
        <Header variant="h2" actions={actions}>
          <span className="named">
            {name} {sight && <TenantAndTier tenant={sight.tenant} tier={sight.tier} />}
          </span>
        </Header>
      }
    >
      <SpaceBetween size="s">
        {sight && (
          <ul className="may-read" aria-label={`What ${name} may see`}>
            {mayRead(sight).map(({ may, text }) => (
              <li key={text}>
                <Icon
                  name={may ? "status-positive" : "status-negative"}
                  variant={may ? "success" : "error"}
                  ariaLabel={may ? "Allowed" : "Not allowed"}
                />
                <span>{text}</span>
              </li>
            ))}
          </ul>
        )}
        {children}
      </SpaceBetween>
    </Container>
  );
}
