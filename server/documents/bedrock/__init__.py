"""Amazon Bedrock Knowledge Bases as a document store: requests, filters, results and errors of Retrieve."""
