"""What Alembic runs: always inside the connection and transaction that `migrations.upgrade` opened."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
