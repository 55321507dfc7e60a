"""Papers: bytes to documents, documents to blocks, blocks to chunks with exact character offsets."""
