-- The roles: an owner that nobody can log in as, and the server's only login.
-- :"login" stands for the name that the setting database.login gives, app_user by default.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tenancy_owner') THEN
    CREATE ROLE tenancy_owner NOLOGIN NOINHERIT;
  END IF;
  -- No password: its owner sets one. Until then nobody logs in with it. The comment tells `migrate` in another database
  -- of this cluster that the role is this one and not an application's.
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'login') THEN
    CREATE ROLE :"login" LOGIN NOINHERIT;
  END IF;
  COMMENT ON ROLE :"login" IS 'the login of tenantgate';
  -- An administrator without superuser rights (Aurora, RDS) creates objects as their owners, so it joins them.
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    EXECUTE pg_catalog.format('GRANT tenancy_owner TO %I', current_user);
  END IF;
END
$$;

-- Not walls, since a session may change its own: the walls are the grants, the policies and the signed context.
ALTER ROLE :"login" SET default_transaction_read_only = on;
ALTER ROLE :"login" SET search_path = pg_catalog;
ALTER ROLE :"login" SET row_security = on;
-- What decides how values are written and read, so that no default of the database or the role changes an answer.
ALTER ROLE :"login" SET timezone = 'UTC';
ALTER ROLE :"login" SET datestyle = 'ISO, YMD';
ALTER ROLE :"login" SET intervalstyle = 'postgres';
ALTER ROLE :"login" SET extra_float_digits = 1;
ALTER ROLE :"login" SET bytea_output = 'hex';
ALTER ROLE :"login" SET standard_conforming_strings = on;
ALTER ROLE :"login" SET quote_all_identifiers = off;
ALTER ROLE :"login" SET statement_timeout = '5s';
ALTER ROLE :"login" SET lock_timeout = '1s';
ALTER ROLE :"login" SET idle_in_transaction_session_timeout = '10s';
-- A client that left: its statement is ended within half a second, not at its end.
ALTER ROLE :"login" SET client_connection_check_interval = '500ms';

-- What PUBLIC may do, the login may do, and nothing can be revoked from one role alone. So it is revoked from PUBLIC;
-- the logins that are there today and could do it keep it by a grant of their own, so that no application breaks.
DO $$
DECLARE
  here  constant text := pg_catalog.quote_ident(pg_catalog.current_database());
  other text;
BEGIN
  FOR other IN
    SELECT pg_catalog.quote_ident(rolname) FROM pg_catalog.pg_roles
    WHERE rolcanlogin AND NOT rolsuper AND rolname <> :'login' AND rolname !~ '^pg_'
  LOOP
    IF has_database_privilege(:'login', current_database(), 'TEMPORARY') THEN
      EXECUTE 'GRANT TEMPORARY ON DATABASE ' || here || ' TO ' || other;
    END IF;
    -- Until PostgreSQL 14 everybody may create objects in the schema public.
    IF has_schema_privilege(:'login', 'public', 'CREATE') THEN
      EXECUTE 'GRANT CREATE ON SCHEMA public TO ' || other;
    END IF;
  END LOOP;
  -- A temporary table could shadow a real one, and a schema open to all could plant a function in somebody's path.
  EXECUTE 'REVOKE TEMPORARY ON DATABASE ' || here || ' FROM PUBLIC';
  EXECUTE 'GRANT CONNECT ON DATABASE ' || here || ' TO ' || pg_catalog.quote_ident(:'login');
  REVOKE CREATE ON SCHEMA public FROM PUBLIC;
END
$$;

-- Large objects have no row level security, and whoever creates one owns something. They stay where they are in use,
-- and where the administrator is no superuser, who alone may revoke this (Aurora, RDS).
DO $$
DECLARE
  routine regprocedure;
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata) THEN
    FOR routine IN
      SELECT oid FROM pg_catalog.pg_proc
      WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^(lo_.*|loread|lowrite)$'
    LOOP
      EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', routine);
    END LOOP;
  END IF;
END
$$;
