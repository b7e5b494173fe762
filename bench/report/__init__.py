"""How measurements are told: the machine, figures with their spread, tables, JSON, pictures."""
