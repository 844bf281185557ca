"""How pixels are stored: record schema, shard writer and reader, manifest, the offline converter, verification."""
