import "./attempts.css";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type ReactNode, useState } from "react";
import type { Configuration } from "../configuration";
import type { Person } from "../people";
import { Workbench } from "./Workbench";

interface Props {
  configuration: Configuration;
  people: Person[];
}

/** The page "Try to break it": attempts of a signed-in person on the real development stack. */
export function Attempts({ configuration, people }: Props) {
  const [chosen, setChosen] = useState("");
  const person = people.find((one) => one.key === chosen) ?? people[0];
  return (
    <SpaceBetween size="l">
      <Header
        variant="h1"
        description="Write SQL, an argument, a token or a prompt. It really runs on the development stack behind this page, and you see what each wall did with it."
      >
        Try to break it
      </Header>
      {!configuration.attempts_url ? (
        <Unavailable>
          Attempts run only against a development stack on the web server&apos;s own machine. Start the demo with{" "}
          <Box variant="code">make web</Box>, without an address of another server.
        </Unavailable>
      ) : !person ? (
        <Unavailable>
          An attempt is made as somebody who is signed in. <a href="#ask">Sign in on the page Ask</a>, then come back.
        </Unavailable>
      ) : (
        <SpaceBetween size="m">
          {people.length > 1 && (
            <SegmentedControl
              label="Attempt as"
              selectedId={person.key}
              onChange={({ detail }) => setChosen(detail.selectedId)}
              options={people.map(({ key, name }) => ({ id: key, text: name }))}
            />
          )}
          <Box variant="p">
            You are <strong>{person.name}</strong>
            {person.identity && `, tenant ${person.identity.tenant ?? "none"}, tier ${person.identity.tier ?? "none"}`}.
            Whatever you try, rows of other tenants and documents of other tiers must not come out.
          </Box>
          <Workbench key={person.key} configuration={configuration} person={person} />
        </SpaceBetween>
      )}
    </SpaceBetween>
  );
}

function Unavailable({ children }: { children: ReactNode }) {
  return (
    <Alert type="info" header="Nothing can be tried yet">
      {children}
    </Alert>
  );
}
