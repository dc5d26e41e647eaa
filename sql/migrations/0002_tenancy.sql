-- The tenant context: signed by the server, bound to one statement, verified here with a key that the login cannot read.

CREATE SCHEMA tenancy AUTHORIZATION tenancy_owner;

SET LOCAL ROLE tenancy_owner;
-- PostgreSQL lets everybody execute a new function; here each one is granted to whom it is for.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT USAGE ON SCHEMA tenancy TO :"login";

-- The two pads of HMAC-SHA-256 (RFC 2104) are stored in place of the secret: core PostgreSQL has no XOR of bytes.
CREATE TABLE tenancy.keys (
  kid       text PRIMARY KEY CHECK (kid ~ '^[a-z0-9][a-z0-9-]{0,31}$'),
  inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
  outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64),
  added_at  timestamptz NOT NULL DEFAULT now(),
  not_after timestamptz,
  -- Whether the database logs each context that it verifies. The login can neither read nor change it, and the row is
  -- read anyway: a setting of the session could be switched off by any SELECT with set_config().
  logged    boolean NOT NULL DEFAULT false
);
-- No policy: a grant made by mistake still shows nothing. The owner, whom the function below runs as, is not bound.
ALTER TABLE tenancy.keys ENABLE ROW LEVEL SECURITY;

-- The parts of the verified context, NULL for an empty one; NULL when there is no context; an error for an invalid one.
-- Form: v3|kid|tenant|base64(issuer)|base64(subject)|tier|request|expiry|sha256(statement)|hmac
-- It runs once for each use in a statement, not for each row, and in each transaction PostgreSQL prepares each of its expressions anew: so they are few.
CREATE FUNCTION tenancy.verified_context() RETURNS text[]
  LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  context   constant text := current_setting('tenancy.context', true);
  part      text[];
  is_logged boolean;
BEGIN
  -- The length first: nobody makes the server hash a megabyte.
  IF octet_length(context) BETWEEN 1 AND 1024 THEN
    -- Hashed once more on both sides, the time of the comparison says nothing about the MAC.
    SELECT string_to_array(context, '|', ''), k.logged INTO part, is_logged FROM tenancy.keys k
    WHERE k.kid = split_part(context, '|', 2) AND (k.not_after IS NULL OR k.not_after > clock_timestamp())
      AND sha256(convert_to(right(context, 64), 'UTF8')) = sha256(convert_to(
        encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to(left(context, -65), 'UTF8'))), 'hex'), 'UTF8'));
    -- Only the server can have written it, so its parts have their form: a pattern costs more than all the rest.
    IF part[1] = 'v3' AND cardinality(part) = 10 AND to_timestamp(part[8]::bigint) > clock_timestamp()
       AND part[9] = encode(sha256(convert_to(current_query(), 'UTF8')), 'hex') THEN
      IF is_logged THEN
        -- The subject last, and as JSON: whatever it holds, it can look like no other part, and like no other line.
        RAISE LOG 'tenantgate request=% statement=% tenant=% issuer=% subject=%',
          coalesce(part[7], ''), part[9], coalesce(part[3], ''), convert_from(decode(part[4], 'base64'), 'UTF8'),
          to_json(coalesce(convert_from(decode(part[5], 'base64'), 'UTF8'), ''));
      END IF;
      RETURN part;
    END IF;
  -- After a transaction the setting is the empty string, not NULL: both mean that nobody set a context.
  ELSIF coalesce(context, '') = '' THEN
    RETURN NULL;
  END IF;
  -- One sentence for every reason: it says nothing of which check failed.
  RAISE EXCEPTION 'the tenant context is not valid' USING ERRCODE = 'insufficient_privilege';
END
$$;

-- Policies call these as `(SELECT tenancy.current_tenant())`: once a query, not once a row.
CREATE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN (tenancy.verified_context())[3];
CREATE FUNCTION tenancy.current_issuer() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN convert_from(decode((tenancy.verified_context())[4], 'base64'), 'UTF8');
CREATE FUNCTION tenancy.current_subject() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN convert_from(decode((tenancy.verified_context())[5], 'base64'), 'UTF8');
GRANT EXECUTE ON FUNCTION tenancy.verified_context(), tenancy.current_tenant(), tenancy.current_issuer(),
  tenancy.current_subject() TO :"login";

RESET ROLE;
