"""The on-disk contract: TFRecord schema, writer, reader, manifest."""
