"""What a person does with an exported model: load, embed, search, explore."""
