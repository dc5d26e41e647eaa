import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { Configuration } from "./configuration";

interface Props {
  configuration: Configuration;
  onSignIn: () => void;
}

/** What a visitor sees before signing in. */
export function Welcome({ configuration, onSignIn }: Props) {
  return (
    <Container header={<Header variant="h1">Same question, different answers</Header>}>
        <SpaceBetween size="m">
          <Box variant="p">
            Ask an agent about insurance claims and policy documents. It answers from what your own tenant and tier may
            see: the server decides that from your sign-in, and nothing that you or the model write can change it.
          </Box>
          <Box variant="p">Then let a second person sign in beside you, and send the same question as both.</Box>
          <Button variant="primary" onClick={onSignIn}>
            Sign in
          </Button>
          <Box variant="small" color="text-body-secondary">
            You sign in at {configuration.issuer}. Your access token stays in this page&apos;s memory: a reload signs
            you out here.
          </Box>
        </SpaceBetween>
    </Container>
  );
}
