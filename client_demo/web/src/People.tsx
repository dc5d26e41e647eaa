import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import type { Person } from "./people";
import { PersonCard } from "./PersonCard";

interface Props {
  people: Person[];
  onAdd: () => void;
  onLeave: (person: Person) => void;
}

/** Who is signed in, as the server sees each person. */
export function People({ people, onAdd, onLeave }: Props) {
  const model = people.find((person) => person.model)?.model;
  return (
    <SpaceBetween size="s">
      <Header variant="h1" description={model ? `Answers by: ${model}` : "Asking the server who you are …"}>
        Same question, different answers
      </Header>
      <div className="side">
        {people.map((person) => (
          <SignedIn key={person.key} person={person} onLeave={onLeave} />
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
              A second person signs in in a separate window. Then each question goes out twice, once with each
              person&apos;s token, and you see both answers.
            </Box>
          </Container>
        )}
      </div>
    </SpaceBetween>
  );
}

function SignedIn({ person, onLeave }: { person: Person; onLeave: (person: Person) => void }) {
  const { identity, refusal, name } = person;
  return (
    <PersonCard
      name={name}
      sight={identity}
      actions={
        <Button ariaLabel={`Sign out ${name}`} onClick={() => onLeave(person)}>
          Sign out
        </Button>
      }
    >
      {refusal && (
        <Alert type="error" header="The server does not let this person in">
          {refusal}
        </Alert>
      )}
      {!identity && !refusal && <StatusIndicator type="loading">Asking the server</StatusIndicator>}
      {identity && (
        <Box variant="small" color="text-body-secondary">
          Signed in until {new Date(identity.expires_at).toLocaleTimeString()}
        </Box>
      )}
    </PersonCard>
  );
}
