"""The schema: tables, migrations, the SQL contract, roles."""
