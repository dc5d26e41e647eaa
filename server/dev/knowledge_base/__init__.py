"""The development knowledge base: Bedrock's Retrieve over a folder of documents."""
