import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { Configuration } from "./configuration";
import { PersonCard } from "./PersonCard";
import { FIRST_QUESTION } from "./suggestions";

interface Props {
  configuration: Configuration;
  starting: boolean;
  onStart: () => void;
  onSignIn: () => void;
}

/** The first screen: the idea, the two people, and the button that starts. */
export function Welcome({ configuration, starting, onStart, onSignIn }: Props) {
  const { development, issuer } = configuration;
  const scopes = configuration.scopes.filter((scope) => scope !== "openid");
  return (
    <SpaceBetween size="l">
      <Header
        variant="h1"
        description="Two people ask an agent the same question. The server gives each only what their sign-in allows: one
          tenant's rows, one tier's documents. Nothing that they or the model write changes that."
      >
        Same question, different answers
      </Header>
      {development ? (
        <SpaceBetween size="l">
          <div className="side">
            {development.people.map((person) => (
              <PersonCard key={person.name} name={person.name} sight={{ ...person, scopes }} />
            ))}
          </div>
          <Start starting={starting} names={development.people.map(({ name }) => name)} onStart={onStart} onSignIn={onSignIn} />
        </SpaceBetween>
      ) : (
        <Container header={<Header variant="h2">Sign in, then ask</Header>}>
          <SpaceBetween size="m">
            <Box variant="p">
              You sign in at {issuer}. Then a second person can sign in beside you: each question goes out twice, once
              with each person&apos;s token, and you see both answers.
            </Box>
            <Button variant="primary" onClick={onSignIn}>
              Sign in
            </Button>
          </SpaceBetween>
        </Container>
      )}
      <HowItWorks />
      <Box variant="small" color="text-body-secondary">
        Access tokens stay in this page&apos;s memory: a reload signs everybody out here.
      </Box>
    </SpaceBetween>
  );
}

interface StartProps {
  starting: boolean;
  names: string[];
  onStart: () => void;
  onSignIn: () => void;
}

function Start({ starting, names, onStart, onSignIn }: StartProps) {
  return (
    <Container>
      <div className="start">
        <Box variant="awsui-key-label">Both ask</Box>
        <p className="first-question">“{FIRST_QUESTION}”</p>
        <Button variant="primary" loading={starting} loadingText="Signing in" onClick={onStart}>
          Sign in both and ask
        </Button>
        <Button variant="inline-link" onClick={onSignIn}>
          Sign in as one person of your choice
        </Button>
        <Box variant="small" color="text-body-secondary" textAlign="center">
          {names.join(" and ")} are samples: the development sign-in asks for no password.
        </Box>
      </div>
    </Container>
  );
}

const STEPS = [
  { title: "1. Two sign-ins, two tokens", text: "The identity provider says who each person is. Neither token ever serves the other person." },
  { title: "2. One question, sent twice", text: "The agent calls the server's tools with one person's token at a time. It cannot name a tenant." },
  { title: "3. The server decides", text: "PostgreSQL returns the rows of the token's tenant, and the document search is filtered by its tier." },
  { title: "4. Look inside", text: "Open the tool call below an answer: arguments, result, the SQL or the filter, and the audit record." },
];

function HowItWorks() {
  return (
    <section aria-labelledby="how">
      <SpaceBetween size="s">
        <h2 id="how" className="small-heading">
          How it works
        </h2>
        <ol className="steps">
          {STEPS.map(({ title, text }) => (
            <li key={title}>
              <strong>{title}</strong>
              <span>{text}</span>
            </li>
          ))}
        </ol>
      </SpaceBetween>
    </section>
  );
}
