-- The tenant context: signed by the server, bound to one statement, verified here with a key that the login cannot read.

SET LOCAL ROLE tenancy_owner;

CREATE SCHEMA tenancy;
REVOKE ALL ON SCHEMA tenancy FROM PUBLIC;
GRANT USAGE ON SCHEMA tenancy TO app_user, app_owner;

-- The two pads of HMAC-SHA-256 (RFC 2104) are stored in place of the secret: core PostgreSQL has no XOR of bytes.
CREATE TABLE tenancy.keys (
  kid       text PRIMARY KEY CHECK (kid ~ '^[a-z0-9][a-z0-9-]{0,31}$'),
  inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
  outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64),
  added_at  timestamptz NOT NULL DEFAULT now(),
  not_after timestamptz
);
REVOKE ALL ON tenancy.keys FROM PUBLIC;

-- {tenant, issuer, subject, tier} of the verified context; NULL when there is none; an error when it is not valid.
-- Form: v2|kid|tenant|base64url(issuer LF subject)|tier|expiry|sha256(statement)|hmac
CREATE FUNCTION tenancy.verified_context() RETURNS text[]
  LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  context constant text := current_setting('tenancy.context', true);
  part    text[];
  pads    tenancy.keys;
  mac     bytea;
  person  text[];
BEGIN
  -- After a transaction the setting is the empty string, not NULL: both mean that nobody set a context.
  IF context IS NULL OR context = '' THEN
    RETURN NULL;
  END IF;
  -- The length first: no pattern runs over a megabyte.
  IF octet_length(context) <= 1024 AND context ~ ('^v2\|[a-z0-9-]+\|[a-z0-9-]*\|[A-Za-z0-9_-]+\|[A-Za-z0-9_.-]*'
                                                  '\|[0-9]{1,12}\|[0-9a-f]{64}\|[0-9a-f]{64}$') THEN
    part := string_to_array(context, '|');
    SELECT * INTO pads FROM tenancy.keys WHERE kid = part[2] AND (not_after IS NULL OR not_after > clock_timestamp());
    mac := sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(left(context, -65), 'UTF8')));
    -- Hashed once more on both sides, the comparison's time tells nothing of the MAC.
    IF sha256(pads.inner_pad || mac) = sha256(pads.inner_pad || decode(part[8], 'hex'))
       AND to_timestamp(part[6]::bigint) > clock_timestamp()
       AND part[7] = encode(sha256(convert_to(current_query(), 'UTF8')), 'hex') THEN
      person := string_to_array(convert_from(decode(
        rpad(translate(part[4], '-_', '+/'), (length(part[4]) + 3) / 4 * 4, '='), 'base64'), 'UTF8'), chr(10));
      IF cardinality(person) = 2 THEN
        RETURN ARRAY[nullif(part[3], ''), person[1], person[2], nullif(part[5], '')];
      END IF;
    END IF;
  END IF;
  -- One sentence for every reason: it says nothing of which check failed.
  RAISE EXCEPTION 'the tenant context is not valid' USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION tenancy.verified_context() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.verified_context() TO app_user, app_owner;

-- Policies call these as `(SELECT tenancy.current_tenant())`: once a query, not once a row.
CREATE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN (tenancy.verified_context())[1];
CREATE FUNCTION tenancy.current_issuer() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN (tenancy.verified_context())[2];
CREATE FUNCTION tenancy.current_subject() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN (tenancy.verified_context())[3];
REVOKE ALL ON FUNCTION tenancy.current_tenant(), tenancy.current_issuer(), tenancy.current_subject() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenancy.current_tenant(), tenancy.current_issuer(), tenancy.current_subject()
  TO app_user, app_owner;

RESET ROLE;
