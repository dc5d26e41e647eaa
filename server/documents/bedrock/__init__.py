"""Amazon Bedrock Knowledge Bases as a document store: a bounded call of Retrieve, its errors."""
