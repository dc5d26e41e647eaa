-- The roles: two owners that nobody can log in as, and the server's only login.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tenancy_owner') THEN
    CREATE ROLE tenancy_owner NOLOGIN NOINHERIT;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'app_owner') THEN
    CREATE ROLE app_owner NOLOGIN NOINHERIT;
  END IF;
  -- No password: its owner sets one. Until then nobody logs in with it.
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'app_user') THEN
    CREATE ROLE app_user LOGIN NOINHERIT;
  END IF;
  -- An administrator without superuser rights (Aurora, RDS) creates objects as their owners, so it joins them.
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    EXECUTE pg_catalog.format('GRANT tenancy_owner, app_owner TO %I', current_user);
  END IF;
END
$$;

ALTER ROLE app_user SET default_transaction_read_only = on;
ALTER ROLE app_user SET search_path = pg_catalog;
ALTER ROLE app_user SET row_security = on;
ALTER ROLE app_user SET timezone = 'UTC';
ALTER ROLE app_user SET statement_timeout = '5s';
ALTER ROLE app_user SET lock_timeout = '1s';
ALTER ROLE app_user SET idle_in_transaction_session_timeout = '10s';
-- A client that left: its statement is ended within half a second, not at its end.
ALTER ROLE app_user SET client_connection_check_interval = '500ms';

DO $$
BEGIN
  EXECUTE pg_catalog.format('GRANT CREATE ON DATABASE %I TO tenancy_owner, app_owner', pg_catalog.current_database());
  -- A temporary table could shadow a real one, and a schema open to all could plant a function in its path.
  EXECUTE pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
  EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO app_user', pg_catalog.current_database());
END
$$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
