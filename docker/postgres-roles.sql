-- Run once by the database image, before anything connects: the owner, who migrates, and the role the application uses,
-- which has no rights here beyond connecting. `coordinator migrate` gives it rows and no structure.
\set owner_password `cat /run/secrets/postgres_owner_password`
\set app_password `cat /run/secrets/postgres_app_password`
CREATE ROLE coordinator_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE coordinator_app LOGIN PASSWORD :'app_password';
CREATE DATABASE coordinator OWNER coordinator_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE coordinator FROM PUBLIC;
GRANT CONNECT ON DATABASE coordinator TO coordinator_app;
