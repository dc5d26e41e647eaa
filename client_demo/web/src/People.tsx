import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import type { Person } from "./people";

interface Props {
  people: Person[];
  onAdd: () => void;
  onLeave: (person: Person) => void;
}

/** Who am I: as the server sees each person, not as the page would like to. */
export function People({ people, onAdd, onLeave }: Props) {
  const model = people.find((person) => person.model)?.model;
  return (
    <SpaceBetween size="s">
      <Header variant="h1" description={model ? `Answers by: ${model}` : "Asking the server who you are …"}>
        Same question, different answers
      </Header>
      <div className="people">
        <ColumnLayout columns={2}>
          {people.map((person) => (
            <WhoAmI key={person.key} person={person} onLeave={onLeave} />
          ))}
          {people.length === 1 && (
            <Container
              header={
                <Header variant="h2" actions={<Button onClick={onAdd}>Sign in a second person</Button>}>
                  Side by side
                </Header>
              }
            >
              <Box variant="p">
                A second person signs in in a window of their own. Every question then goes out twice, once with each
                person&apos;s token, and you see both answers.
              </Box>
            </Container>
          )}
        </ColumnLayout>
      </div>
    </SpaceBetween>
  );
}

function WhoAmI({ person, onLeave }: { person: Person; onLeave: (person: Person) => void }) {
  const { identity } = person;
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button ariaLabel={`Sign out ${person.name}`} onClick={() => onLeave(person)}>
              Sign out
            </Button>
          }
        >
          {person.name}
        </Header>
      }
    >
      {person.refusal && (
        <Alert type="error" header="The server does not let this person in">
          {person.refusal}
        </Alert>
      )}
      {!identity && !person.refusal && <StatusIndicator type="loading">Asking the server</StatusIndicator>}
      {identity && (
        <KeyValuePairs
          ariaLabel={`Who ${person.name} is`}
          columns={2}
          minColumnWidth={120}
          items={[
            { label: "Tenant", value: identity.tenant },
            { label: "Tier", value: identity.tier ?? "none: policy documents are refused" },
            { label: "May use", value: identity.scopes.join(", ") },
            { label: "Signed in until", value: new Date(identity.expires_at).toLocaleTimeString() },
          ]}
        />
      )}
    </Container>
  );
}
